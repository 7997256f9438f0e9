"""What is to be reached, beside what was: bounds as data, each judged against the medians of one run. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

#: Most memory that the server may have had under all of it.
PEAK_MB = 300


@dataclass(frozen=True, slots=True)
class Figures:
    """What a bound is judged by; None for what was not measured, or not answered rightly."""

    #: Of Orthanc's speed.
    times: float | None = None
    #: Of each item, with the work that is put off.
    cpu_ms: float | None = None
    #: Of the speed of nginx.
    of_limit: float | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Bounds of one row; 0 for none."""

    times: float = 0.0
    cpu_ms: float = 0.0
    of_limit: float = 0.0

    def judged(self, figures: Figures) -> Iterator[tuple[str, bool | None]]:
        """Each bound in words, and whether it was reached; None where that cannot be said."""
        if self.times:
            yield f"≥ {self.times:g} ×", None if figures.times is None else figures.times >= self.times
        if self.cpu_ms:
            yield f"≤ {self.cpu_ms:g} CPU ms", None if figures.cpu_ms is None else figures.cpu_ms <= self.cpu_ms
        if self.of_limit:
            bound = f"≥ {self.of_limit:.0%} of nginx"
            yield bound, None if figures.of_limit is None else figures.of_limit >= self.of_limit


#: For what has no bounds.
ANY = Reach()


def said(bound: str, reached: bool | None) -> str:
    """A bound with its sign."""
    return f"{bound} {'?' if reached is None else '✓' if reached else '✗'}"

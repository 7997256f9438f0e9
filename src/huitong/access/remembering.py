"""Decisions that allowed something, remembered for a short time: each further image then costs a look-up.

Refusals are not remembered: what opens a record opens it at once. What takes a right away forgets everything here.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from huitong.access.model import Asker
from huitong.store.store import Store

#: In another process a right that was taken away ends after so long.
REMEMBER_S = 30.0
#: Past so many all are forgotten: viewers look at few studies at a time.
_MOST = 100_000

Key = tuple[Asker, str | None, str]


class Remembered:
    """By asker, institution as asked and study UID: what the decision found. One for each store."""

    def __init__(self) -> None:
        self._known: dict[Key, tuple[float, Any]] = {}
        #: Counts what took rights away.
        self.epoch = 0

    def get(self, key: Key) -> Any:
        """None where it has to be decided."""
        found = self._known.get(key)
        return found[1] if found is not None and monotonic() < found[0] else None

    def put(self, key: Key, found: Any, epoch: int) -> None:
        """Unless a right was taken away since `epoch`, before the facts were read."""
        if epoch == self.epoch:
            if len(self._known) >= _MOST:
                self._known = {}
            self._known[key] = monotonic() + REMEMBER_S, found

    def forget(self) -> None:
        """A right was taken away, and that is committed."""
        self.epoch += 1
        self._known = {}


def remembered(store: Store) -> Remembered:
    return store.once("access.remembered", Remembered)


def forget(store: Store) -> None:
    """To be called after the commit that takes a right away."""
    remembered(store).forget()

"""For how long a study can be shared, and how links are kept from being guessed, with date and source."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class SharingRules:
    """Numbers that are policy."""

    date: date
    #: GB/T 2260; empty where it is not one region's.
    region: str
    source: str
    #: What a person can choose from.
    hours: list[int]
    usual_hours: int
    #: Beside these, in demo mode.
    demo_seconds: int
    passcode_digits: int
    #: Wrong ones in the whole life of a link, after which it opens nothing any more.
    passcode_tries: int
    #: Of a browser that has opened a link.
    session_hours: int
    #: Of one person, at a time.
    open_links: int
    label_characters: int

    def durations(self, *, demo: bool) -> list[timedelta]:
        """What a person can choose from, the shortest first."""
        short = [timedelta(seconds=self.demo_seconds)] if demo else []
        return [*short, *(timedelta(hours=hours) for hours in self.hours)]

    @property
    def usual(self) -> timedelta:
        return timedelta(hours=self.usual_hours)

    @property
    def session(self) -> timedelta:
        return timedelta(hours=self.session_hours)


SHARING = SharingRules(**tomllib.loads(files("huitong.catalog").joinpath("sharing.toml").read_text("utf-8")))

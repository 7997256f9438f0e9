"""For how long outside records stay open, and what makes a study sensitive, with date and source of `access.toml`."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Relations:
    """For how long."""

    visit_grace: timedelta
    #: By patient class; "other" for all that are not named.
    visit_longest: Mapping[str, timedelta]
    visit_skew: timedelta
    card_scan: timedelta
    break_glass: timedelta
    break_glass_reason_characters: int
    guardian_until_years: int

    def longest(self, patient_class: str) -> timedelta:
        """How long a visit of this class counts whose end was never told."""
        return self.visit_longest.get(patient_class, self.visit_longest["other"])

    def is_guarded(self, birth_date: str, today: str) -> bool:
        """Whether somebody born on this day is young enough to have a guardian act for them; days are YYYYMMDD.

        Until the day of the birthday. Nobody whose birth date is not known.
        """
        if len(birth_date) != 8 or not birth_date.isdecimal():
            return False
        return f"{int(birth_date[:4]) + self.guardian_until_years}{birth_date[4:]}" > today


@dataclass(frozen=True, slots=True)
class SensitiveClass:
    """A kind of study that needs the person's explicit consent."""

    code: str
    #: Chinese, English.
    names: tuple[str, str]
    words: tuple[str, ...]


def _relations(said: Mapping[str, Any]) -> Relations:
    return Relations(
        visit_grace=timedelta(days=said["visit_grace_days"]),
        visit_longest={name: timedelta(days=days) for name, days in said["visit_longest_days"].items()},
        visit_skew=timedelta(minutes=said["visit_skew_minutes"]),
        card_scan=timedelta(hours=said["card_scan_hours"]),
        break_glass=timedelta(hours=said["break_glass_hours"]),
        break_glass_reason_characters=said["break_glass_reason_characters"],
        guardian_until_years=said["guardian_until_years"],
    )


def _class(code: str, said: Mapping[str, Any]) -> SensitiveClass:
    chinese, english = said["names"]
    return SensitiveClass(code, (chinese, english), tuple(said["words"]))


_SAID = tomllib.loads(files("huitong.catalog").joinpath("access.toml").read_text("utf-8"))
DATE: date = _SAID["date"]
REGION: str = _SAID["region"]
SOURCES: tuple[str, str] = (_SAID["relations"]["source"], _SAID["sensitive"]["source"])
RELATIONS = _relations(_SAID["relations"])
SENSITIVE = {code: _class(code, said) for code, said in _SAID["sensitive"]["classes"].items()}

_WORDS = {each.code: re.compile("|".join(map(re.escape, each.words)), re.IGNORECASE) for each in SENSITIVE.values()}


def sensitive_classes(texts: Iterable[str]) -> frozenset[str]:
    """Codes of the classes that a study with these texts is of."""
    said = "\n".join(texts)
    return frozenset(code for code, words in _WORDS.items() if words.search(said)) if said else frozenset()

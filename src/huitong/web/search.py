"""The search form of the study list: what the address line says <-> a `Query`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date, timedelta
from urllib.parse import urlencode

from huitong.web.look import dicom_date
from huitong.wire.query import Condition, Level, Match, Query

PAGE_ROWS = 50
#: Quick choices of the period, in days up to and with today.
PERIODS_DAYS = (1, 7, 30)
#: Cursors of the pages before, kept in the address so that "previous" needs no memory anywhere.
_TRAIL_LIMIT = 60
_TRAIL_MARK = "~"


@dataclass(frozen=True, slots=True)
class Search:
    """The form as filled in; every field a string as it stands in the address line."""

    name: str = ""
    patient: str = ""
    accession: str = ""
    days: str = ""
    #: YYYY-MM-DD, as `<input type=date>` sends it; these win over `days`.
    since: str = ""
    until: str = ""
    modality: str = ""
    institution: str = ""
    #: Cursor of the page, and those of the pages before it, oldest first.
    after: str = ""
    trail: str = ""

    @classmethod
    def read(cls, parameters: Mapping[str, str]) -> Search:
        """From query parameters; what is no field of the form is left out."""
        return cls(**{f.name: parameters.get(f.name, "").strip() for f in fields(cls)})

    @property
    def asks(self) -> bool:
        """Something is being searched for, so that nothing found means something else than nothing there."""
        return replace(self, after="", trail="") != Search()

    @property
    def narrow(self) -> bool:
        """Asks for more than a name and a quick choice of the period."""
        return any((self.patient, self.accession, self.since, self.until, self.modality, self.institution))

    @property
    def page(self) -> int:
        """From 1; exact as long as the trail is."""
        return 1 if not self.after else 2 + len(self._cursors())

    def _cursors(self) -> list[str]:
        return [cursor for cursor in self.trail.split(_TRAIL_MARK) if cursor]

    def next(self, cursor: str) -> Search:
        """The same search one page on."""
        before = [*self._cursors(), *([self.after] if self.after else [])][-_TRAIL_LIMIT:]
        return replace(self, after=cursor, trail=_TRAIL_MARK.join(before))

    def previous(self) -> Search:
        """The same search one page back."""
        *before, last = ["", *self._cursors()]
        return replace(self, after=last, trail=_TRAIL_MARK.join(each for each in before if each))

    def first(self) -> Search:
        return replace(self, after="", trail="")

    def path(self) -> str:
        """The address of this list."""
        said = {f.name: value for f in fields(self) if (value := getattr(self, f.name))}
        return "/?" + urlencode(said) if said else "/"

    def period(self, today: date) -> tuple[str, str]:
        """(from, to) as DA values, either empty for an open end."""
        since, until = dicom_date(self.since), dicom_date(self.until)
        days = int(self.days) if self.days.isdecimal() and len(self.days) < 6 else 0
        if since is None and until is None and 0 < days < 36500:
            since, until = today - timedelta(days=days - 1), today
        return (since.strftime("%Y%m%d") if since else "", until.strftime("%Y%m%d") if until else "")

    def query(self, today: date) -> Query:
        """What to ask of the imaging room."""
        conditions = [
            Condition(tag, Match.WILDCARD, (f"*{value.strip('*')}*",))
            for tag, value in (("00100010", self.name), ("00100020", self.patient), ("00080050", self.accession))
            if value.strip("*")
        ]
        if any(period := self.period(today)):
            conditions.append(Condition("00080020", Match.RANGE, period))
        if self.modality:
            conditions.append(Condition("00080061", Match.EQUAL, (self.modality,)))
        return Query(
            Level.STUDY,
            tuple(conditions),
            limit=PAGE_ROWS,
            after=self.after or None,
            fuzzy=True,
            institution=self.institution or None,
        )

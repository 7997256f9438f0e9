"""Lines of the audit as the person reads them: by day, together what one asker did in a row. Pure but for a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from huitong.access.auditing import Line
from huitong.access.model import Asker, Kind
from huitong.access.work import Work
from huitong.base.clock import CHINA, moment
from huitong.imaging.actions import list_studies
from huitong.imaging.model import StudyRow
from huitong.people.rights import Emergency
from huitong.web import own_words
from huitong.wire.query import Condition, Level, Match, Query

#: The decision that somebody may open in an emergency stands a moment before the emergency.
_BEFORE = timedelta(minutes=1)
_IN_EMERGENCY = frozenset({"break-glass", "emergency"})
_MOST = 500
#: Institution and UID.
StudyKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that was done or wanted."""

    done: str
    why: str
    study: StudyRow | None


@dataclass(frozen=True, slots=True)
class Visit:
    """What one asker did in a row, in one day, all of it allowed or all of it refused."""

    #: As shown, of a link the note that was made on it; empty for an institution's system.
    name: str
    roles: tuple[str, ...]
    #: Code; empty for residents.
    institution: str
    #: "self", or the kind of asker.
    kind: str
    first: datetime
    last: datetime
    allowed: bool
    deeds: list[Deed]
    emergency: Emergency | None
    is_emergency: bool


def studies_of(work: Work, lines: Iterable[Line]) -> dict[StudyKey, StudyRow]:
    """The studies that the lines are about, as far as the asker may see them."""
    uids = sorted({line.looked.id for line in lines if line.looked.kind == "study" and line.looked.id})
    if not uids:
        return {}
    query = Query(Level.STUDY, (Condition("0020000D", Match.EQUAL, tuple(uids)),), limit=_MOST)
    return {(row.institution, row.study_uid): row for row in list_studies(work, query)[0]}


def days(
    lines: Sequence[Line], known: dict[StudyKey, StudyRow], emergencies: Sequence[Emergency], asker: Asker
) -> list[tuple[date, list[Visit]]]:
    """Newest first."""
    visits = [
        _visit(list(group), known, emergencies, asker)
        for _, group in groupby(lines, key=lambda line: (_day(line), _who(line), line.looked.allowed, _urgent(line)))
    ]
    by_day = groupby(visits, key=lambda visit: visit.last.date())
    return [(day, list(group)) for day, group in by_day]


def _visit(lines: list[Line], known: dict[StudyKey, StudyRow], emergencies: Sequence[Emergency], asker: Asker) -> Visit:
    newest, said = lines[0], lines[0].asker
    mine = said["kind"] == Kind.PERSON and asker.person and said.get("person") == asker.person  # a link has one as well
    kind = "self" if mine else str(said["kind"])
    deeds = dict.fromkeys(_deed(line, known) for line in reversed(lines))
    return Visit(
        _name(kind, said),
        tuple(said["roles"]),
        said["institution"] or "",
        kind,
        _at(lines[-1]),
        _at(newest),
        newest.looked.allowed,
        list(deeds),
        next((each for each in emergencies if _urgent(newest) and _is_of(newest, each)), None),
        _urgent(newest),
    )


def _name(kind: str, said: Mapping[str, Any]) -> str:
    if kind == Kind.SYSTEM:
        return ""
    return str(said["display"] if kind == Kind.SHARE else said["display"] or said["name"])


def _deed(line: Line, known: dict[StudyKey, StudyRow]) -> Deed:
    looked = line.looked
    study = known.get((looked.institution, looked.id)) if looked.kind == "study" else None
    return Deed(own_words.done(line), own_words.why(line), study)


def _urgent(line: Line) -> bool:
    return line.looked.allowed and line.looked.rule in _IN_EMERGENCY


def _is_of(line: Line, emergency: Emergency) -> bool:
    who = (line.asker["name"], line.asker["institution"] or "")
    return who == (emergency.account, emergency.institution) and (
        emergency.at - _BEFORE <= moment(line.at_ms) <= emergency.until
    )


def _who(line: Line) -> tuple[str, str, str]:
    return line.asker["kind"], line.asker["name"], line.asker["institution"] or ""


def _at(line: Line) -> datetime:
    return moment(line.at_ms).astimezone(CHINA)


def _day(line: Line) -> date:
    return _at(line).date()

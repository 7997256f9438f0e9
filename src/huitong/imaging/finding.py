"""Answers to searches as DICOM JSON rows: those required at each level and those asked for (PS3.18 10.6.3.3).

Below study level the studies are walked in the order of the list (`search.Walk`), and the rows of each counted or read.
Longer than most, because series and instances are paged in one way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from time import monotonic
from typing import Any

import orjson
from pydicom.datadict import dictionary_VR

from huitong.base.errors import OurFault
from huitong.imaging import attributes as at
from huitong.imaging import lookups, plan, search
from huitong.imaging.model import StoredInstance
from huitong.imaging.permitting import Seen
from huitong.imaging.persons import RETURNED, Persons
from huitong.imaging.tables import INSTANCE, SERIES
from huitong.store.database import Session
from huitong.wire.query import Condition, Found, Match, Query

#: Studies whose rows are counted by one statement.
_BATCH = 200
_NO_LIMIT = 2**62


#: What `study_json` reads.
STUDY_ANSWERED = (
    "study_uid",
    "institution",
    "patient_pk",
    "modalities",
    "series_count",
    "instance_count",
    "attributes",
)


def study_json(r: Any, query: Query, persons: Persons | None) -> dict[str, Any]:
    """A row of the study table as an answer; by person, where `persons` are known."""
    known = orjson.loads(r["attributes"])
    if persons is not None:
        persons.say(known, r)
    known["00080056"] = _ONLINE
    known["00080061"] = {"vr": "CS", "Value": r["modalities"].split()} if r["modalities"] else {"vr": "CS"}
    known["0020000D"] = {"vr": "UI", "Value": [r["study_uid"]]}
    known["00201206"] = {"vr": "IS", "Value": [r["series_count"]]}
    known["00201208"] = {"vr": "IS", "Value": [r["instance_count"]]}
    if not query.include_all:
        known["00080060"] = known["00080061"]  # OHIF and others ask for it at study level; it is the same list
    return pick(known, at.STUDY_RETURNED if persons is None else _BY_PERSON, query)


#: Returned of studies whether asked for or not, where they are found by person.
_BY_PERSON = (*at.STUDY_RETURNED, *RETURNED)
_ONLINE = {"vr": "CS", "Value": ["ONLINE"]}
_CHARACTERS = {"vr": "CS", "Value": ["ISO_IR 192"]}


def pick(known: dict[str, Any], required: tuple[str, ...], query: Query) -> dict[str, Any]:
    """Of what is known the required attributes, empty where absent, and those asked for, in ascending order."""
    known["00080005"] = _CHARACTERS
    if query.include_all:
        missing = {tag: empty for tag, empty in _picked(required) if empty is not None}
        return dict(sorted((missing | known).items()))
    picked = _picked(required, tuple(c.tag for c in query.conditions) + query.include)
    return {tag: element for tag, empty in picked if (element := known.get(tag, empty)) is not None}


@lru_cache(maxsize=256)
def _picked(required: tuple[str, ...], asked: tuple[str, ...] = ()) -> list[tuple[str, dict[str, Any] | None]]:
    """Tags in ascending order, and what stands for each that is absent, if anything does."""
    empty = {tag: {"vr": dictionary_VR(int(tag, 16))} for tag in required}
    empty.pop("00080201", None)  # TimezoneOffsetFromUTC: only if known
    return [(tag, empty.get(tag)) for tag in sorted({*required, *(tag.partition(".")[0] for tag in asked)})]


# --- series ---

#: Columns by tag, and whether they hold numbers.
_SERIES_COLUMNS = {
    "0020000E": ("series.series_uid", False),
    "00080060": ("series.modality", False),
    "00200011": ("series.series_number", True),
    "0008103E": ("series.description", False),
}
_SERIES = f"""
    SELECT {", ".join(f"series.{column.name}" for column in SERIES.columns)},
    study.study_uid, study.institution, study.patient_pk, study.attributes AS study_attributes
    FROM series JOIN study ON study.pk = series.study_pk
"""


def find_series(session: Session, query: Query, seen: Seen, issuer: str, *, limit: int, count_limit: int) -> Found:
    """A page of series: of one study, or of all studies that match."""
    up, own = list[Condition](), list[Condition]()
    for condition in map(plan.bounded, query.conditions):
        (up if _goes_up(condition, at.SERIES_TAGS | {"0020000E"}) else own).append(condition)
    studies = _study_plan(session, query, up, seen)
    where, deep = _compared(studies.values, own, _SERIES_COLUMNS)
    below = _Below(
        studies,
        _SERIES,
        "series",
        tuple(where),
        _IN_STUDY,
        "" if where or deep else "series_count",
        [plan.json_check(condition) for condition in deep],
    )
    page = _page(session, below, query, limit, count_limit)
    persons = Persons(session, page.rows, issuer) if query.institution is None else None
    return Found([_series_json(r, query, persons) for r in page.rows], page.total, page.at_least, page.next)


def _compared(
    values: plan.Values, conditions: Iterable[Condition], columns: Mapping[str, tuple[str, bool]]
) -> tuple[list[str], list[Condition]]:
    """As SQL where a column has it, and those that are left to be looked at."""
    where, left = [], []
    for condition in conditions:
        column, is_number = columns.get(condition.tag, ("", False))
        if not column or condition.match is not Match.EQUAL:
            left.append(condition)
        elif is_number:
            numbers = [number for value in condition.values if (number := at.number(value)) is not None]
            where.append(values.among(column, numbers, "bigint"))
        else:
            where.append(values.among(column, condition.values))
    return where, left


def _goes_up(condition: Condition, own: Iterable[str]) -> bool:
    """Whether a condition below study level speaks of the study."""
    return condition.tag.partition(".")[0] not in own and plan.is_study_condition(condition)


def _study_plan(session: Session, query: Query, up: list[Condition], seen: Seen) -> plan.Plan:
    """The studies to look into: those that the query means, narrowed by what its own level says of them."""
    of_study = Query(query.level, tuple(up), study_uid=query.study_uid, institution=query.institution)
    studies = plan.study_plan(session.kind, of_study)
    seen.narrow(studies)
    for condition in query.conditions:
        if condition.match is Match.EQUAL and condition.tag == "00080060":
            studies.modalities.append(condition)
        elif condition.match is Match.EQUAL and condition.tag in _WHOSE:
            sql, column = _WHOSE[condition.tag]
            values = plan.Values(session.kind)
            named = values.among(column, condition.values)
            pks = [r[0] for r in session.rows(f"{sql} WHERE {named} LIMIT {search.CANDIDATES + 1}", values.named)]
            if len(pks) <= search.CANDIDATES:
                studies.pks = sorted(set(pks).intersection(pks if studies.pks is None else studies.pks))
    return studies


#: UIDs that name their study at once.
_WHOSE = {
    "0020000E": ("SELECT DISTINCT study_pk FROM series", "series_uid"),
    "00080018": (
        "SELECT DISTINCT series.study_pk FROM instance JOIN series ON series.pk = instance.series_pk",
        "instance.sop_uid",
    ),
}


def _series_json(r: Any, query: Query, persons: Persons | None) -> dict[str, Any]:
    known = orjson.loads(r["attributes"])
    if query.study_uid is None or query.include_all:
        of_study = orjson.loads(r["study_attributes"])
        if persons is not None:
            persons.say(of_study, r)
        known = of_study | known
    known["0020000D"] = {"vr": "UI", "Value": [r["study_uid"]]}
    known["0020000E"] = {"vr": "UI", "Value": [r["series_uid"]]}
    known["00201209"] = {"vr": "IS", "Value": [r["instance_count"]]}
    return pick(known, at.SERIES_RETURNED, query)


# --- instances ---

_INSTANCE_COLUMNS = {
    "00080018": ("instance.sop_uid", False),
    "00080016": ("instance.sop_class_uid", False),
    "00200013": ("instance.instance_number", True),
    "0020000E": ("series.series_uid", False),
    "00080060": ("series.modality", False),
}
_INSTANCES = f"""
    SELECT {", ".join(f"instance.{column.name}" for column in INSTANCE.columns)},
    study.study_uid, study.institution, study.patient_pk, series.series_uid, pack.name AS pack
    FROM series JOIN study ON study.pk = series.study_pk JOIN instance ON instance.series_pk = series.pk
    JOIN pack ON pack.pk = instance.pack_pk
"""


#: Gives the header kept for an instance.
HeaderReader = Callable[[StoredInstance], dict[str, Any]]


def find_instances(
    session: Session,
    query: Query,
    seen: Seen,
    read_header: HeaderReader,
    issuer: str,
    *,
    limit: int,
    count_limit: int,
) -> Found:
    """A page of instances, each answered from its own header. `read_header(stored)` gives it."""
    up, own = list[Condition](), list[Condition]()
    for condition in map(plan.bounded, query.conditions):
        (up if _goes_up(condition, _INSTANCE_COLUMNS) else own).append(condition)
    studies = _study_plan(session, query, up, seen)
    where, deep = _compared(studies.values, own, _INSTANCE_COLUMNS)
    if query.series_uid is not None:
        where.append(studies.values.among("series.series_uid", [query.series_uid]))
    below = _Below(
        studies,
        _INSTANCES,
        "series JOIN instance ON instance.series_pk = series.pk",
        (*where, "instance.variant = 0"),
        f"{_IN_STUDY}, {_IN_SERIES}",
        "" if where or deep else "instance_count",
        [_header_check(condition, read_header) for condition in deep],
    )
    page = _page(session, below, query, limit, count_limit)
    persons = Persons(session, page.rows, issuer) if query.institution is None else None
    stored = [lookups.stored_of(r) for r in page.rows]
    answers = [
        _instance_json(r, each, _header(each, read_header), query, persons)
        for r, each in zip(page.rows, stored, strict=True)
    ]
    return Found(answers, page.total, page.at_least, page.next)


def _header_check(condition: Condition, read_header: HeaderReader) -> plan.Check:
    path = condition.tag.split(".")
    return lambda r: plan.value_matches(_header(lookups.stored_of(r), read_header), path, condition)


def _header(stored: StoredInstance, read_header: HeaderReader) -> dict[str, Any]:
    """The header, or what the index knows of it where its pack is gone: one loss must not hide the others."""
    try:
        return read_header(stored)
    except OurFault:
        known: dict[str, Any] = {
            "00080016": {"vr": "UI", "Value": [stored.sop_class_uid]},
            "00080018": {"vr": "UI", "Value": [stored.sop_instance_uid]},
            "0020000D": {"vr": "UI", "Value": [stored.study_uid]},
            "0020000E": {"vr": "UI", "Value": [stored.series_uid]},
        }
        if stored.instance_number is not None:
            known["00200013"] = {"vr": "IS", "Value": [stored.instance_number]}
        return known


def _instance_json(
    r: Any, stored: StoredInstance, header: dict[str, Any], query: Query, persons: Persons | None
) -> dict[str, Any]:
    known = {tag: element for tag, element in header.items() if "BulkDataURI" not in element}
    if persons is not None:
        persons.say(known, r)
    known["00080056"] = _ONLINE
    if stored.frames is not None and "00280008" not in known and stored.frames.count > 1:
        known["00280008"] = {"vr": "IS", "Value": [stored.frames.count]}
    return pick(known, at.INSTANCE_RETURNED, query)


# --- paging below study level ---


#: Without a number comes last, in the order of arrival.
_IN_STUDY = "series.series_number IS NULL, series.series_number, series.pk"
_IN_SERIES = "instance.instance_number IS NULL, instance.instance_number, instance.pk"


@dataclass(frozen=True, slots=True)
class _Below:
    """Rows below study level: of which studies, how they are read, counted and checked."""

    studies: plan.Plan
    #: Up to the conditions.
    select: str
    #: The tables that have to be looked into for counting.
    tables: str
    where: tuple[str, ...]
    #: Within their study.
    order: str
    #: The column of the study that has the same count, empty if none does.
    count_column: str
    checks: list[plan.Check]


@dataclass(slots=True)
class _Place:
    """Where the next page begins: after `rows` of the study at `key` (-1: behind the study), and `skip` more matches;
    `passed` matched before."""

    key: search.Key | None
    rows: int
    skip: int
    passed: int

    def text(self) -> str:
        date, time, pk = self.key or ("", "", 0)
        return search.write_cursor([date, time, pk, self.rows + 1, self.skip, self.passed])

    @classmethod
    def read(cls, cursor: str) -> _Place:
        date, time, pk, rows, skip, passed = search.read_cursor(cursor, 4)
        return cls((date, time, pk), rows - 1, skip, passed)


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Any]
    total: int | None
    at_least: int
    next: str | None


def _page(session: Session, below: _Below, query: Query, limit: int, count_limit: int) -> _Page:
    place = _Place.read(query.after) if query.after is not None else _Place(None, 0, query.offset, 0)
    return _Paging(session, below, place, limit, None if query.count_exactly else count_limit).page()


class _Paging:
    """One page on its way: what has been passed, what is on the page, where it ended."""

    def __init__(self, session: Session, below: _Below, place: _Place, limit: int, count_limit: int | None) -> None:
        self._session, self._below, self._limit, self._most = session, below, limit, count_limit
        self._until = None if count_limit is None else monotonic() + search.WALK_S
        #: Once the page is full.
        self._count_until: float | None = None
        self._start, self._skip, self._passed = place, place.skip, place.passed
        self._rows: list[Any] = []
        #: Behind the last row of the page.
        self._ended: _Place | None = None
        #: Where a bound of time or rows stopped the search.
        self._stopped: _Place | None = None

    def page(self) -> _Page:
        walk = self._walk()
        checked = self._check if self._below.checks else self._count
        studies = iter(walk)
        while not self._stopped and not self._enough() and (batch := list(islice(studies, _BATCH))):
            checked(batch)
            if self._late() and self._stopped is None:
                self._stop(search.key_of(batch[-1]), -1)
        if walk.stopped is not None and self._stopped is None:
            self._stop(search.key_of(walk.stopped), -1)
        done = self._stopped is None and not self._enough()
        more = self._ended if self._ended is not None and self._passed > self._ended.passed else None
        if not done and more is None:
            # Whether there is more behind a full page is not known: it is said that there may be.
            more = self._ended if len(self._rows) >= self._limit else self._stopped
        return _Page(self._rows, self._passed if done else None, self._passed, more.text() if more else None)

    def _walk(self) -> search.Walk:
        below, start = self._below, self._start
        way = search.way_to(self._session, below.studies, count_limit=self._most)
        also = [below.count_column] if below.count_column else []
        behind = {"after": start.key} if start.rows < 0 else {"from_key": start.key}
        return search.Walk(self._session, way, below.studies, until=self._until, also=also, **behind)

    def _enough(self) -> bool:
        """Whether the page is full, is known not to be the last, and no more is counted."""
        full = self._ended is not None and self._passed > self._ended.passed
        if self._below.checks and self._most is not None:
            return full
        if full and self._count_until is None:
            self._count_until = monotonic() + search.COUNT_S
        late = self._count_until is not None and monotonic() > self._count_until
        return full and self._most is not None and (late or self._passed > self._most)

    def _late(self) -> bool:
        return self._until is not None and monotonic() > self._until

    def _stop(self, key: search.Key, rows: int) -> None:
        self._stopped = _Place(key, rows, self._skip, self._passed)

    def _given(self, key: search.Key) -> int:
        """Rows of the study that an earlier page has dealt with."""
        return self._start.rows if key == self._start.key else 0

    def _count(self, studies: list[Any]) -> None:
        """Studies of which all rows count: those before and behind the page are only counted."""
        counts = self._counts(studies)
        for study in studies:
            key = search.key_of(study)
            given = self._given(key)
            there = max(counts.get(study["pk"], 0) - given, 0)
            if self._skip >= there:
                self._skip -= there
            elif len(self._rows) < self._limit:
                rows = list(self._read(key[2], given + self._skip, self._limit - len(self._rows)))
                self._rows += rows
                taken, self._skip = self._skip + len(rows), 0
                self._ended = _Place(key, given + taken, 0, self._passed + taken)
                if len(self._rows) < self._limit:
                    self._ended = None
            self._passed += there

    def _counts(self, studies: list[Any]) -> dict[int, int]:
        if name := self._below.count_column:
            return {study["pk"]: study[name] for study in studies}
        values = plan.Values(self._session.kind, dict(self._below.studies.values.named))
        of_these = values.among("series.study_pk", [study["pk"] for study in studies], "bigint")
        where = " AND ".join((of_these, *self._below.where))
        sql = f"SELECT series.study_pk, count(*) FROM {self._below.tables} WHERE {where} GROUP BY series.study_pk"
        return dict(map(tuple, self._session.rows(sql, values.named)))

    def _check(self, studies: list[Any]) -> None:
        """Studies of which every row has to be looked at."""
        for study in studies:
            key = search.key_of(study)
            at_row = self._given(key)
            for row in self._read(key[2], at_row, None):
                at_row += 1
                if all(check(row) for check in self._below.checks):
                    self._take(row, key, at_row)
                    if self._enough():
                        return
                if self._late():
                    self._stop(key, at_row)
                    return

    def _take(self, row: Any, key: search.Key, at_row: int) -> None:
        self._passed += 1
        if self._skip:
            self._skip -= 1
        elif len(self._rows) < self._limit:
            self._rows.append(row)
            if len(self._rows) == self._limit:
                self._ended = _Place(key, at_row, 0, self._passed)

    def _read(self, study_pk: int, offset: int, limit: int | None) -> Iterable[Any]:
        """Rows of the study; all of them, however many, where no limit is given."""
        below = self._below
        where = " AND ".join(("series.study_pk = :study_pk", *below.where))
        sql = f"{below.select} WHERE {where} ORDER BY {below.order} LIMIT :most OFFSET :passed"
        values = {**below.studies.values.named, "study_pk": study_pk, "most": limit or _NO_LIMIT, "passed": offset}
        return (self._session.each if limit is None else self._session.rows)(sql, values)

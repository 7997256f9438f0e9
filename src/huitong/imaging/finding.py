"""Answers to searches as DICOM JSON rows: those required at each level and those asked for (PS3.18 10.6.3.3).

Below study level the studies are walked in the order of the list (`search.Walk`), and the rows of each counted or read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

import orjson
from pydicom.datadict import dictionary_VR
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from huitong.base.errors import OurFault
from huitong.imaging import attributes as at
from huitong.imaging import lookups, search
from huitong.imaging.model import StoredInstance
from huitong.imaging.tables import INSTANCE, SERIES, STUDY
from huitong.wire.query import Condition, Found, Match, Query

#: Studies whose rows are counted by one statement.
_BATCH = 200


def study_json(r: Row[Any], query: Query) -> dict[str, Any]:
    """A row of the study table as an answer."""
    known = orjson.loads(r.attributes)
    known["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    known["00080061"] = {"vr": "CS", "Value": r.modalities.split()} if r.modalities else {"vr": "CS"}
    known["0020000D"] = {"vr": "UI", "Value": [r.study_uid]}
    known["00201206"] = {"vr": "IS", "Value": [r.series_count]}
    known["00201208"] = {"vr": "IS", "Value": [r.instance_count]}
    # OHIF and others ask for (0008,0060) at study level; it is the same list.
    return pick(known, at.STUDY_RETURNED, query, also={"00080060": known["00080061"]})


def pick(
    known: dict[str, Any], required: Iterable[str], query: Query, also: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Of what is known the required attributes, empty where absent, and those asked for, in ascending order."""
    if query.include_all:
        wanted = dict(known)
    else:
        asked = [c.tag.partition(".")[0] for c in query.conditions] + list(query.include)
        source = known | (also or {})
        wanted = {tag: source[tag] for tag in asked if tag in source}
    for tag in required:
        if tag in known:
            wanted[tag] = known[tag]
        elif tag != "00080201":  # TimezoneOffsetFromUTC: only if known
            wanted[tag] = {"vr": dictionary_VR(int(tag, 16))}
    wanted["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return dict(sorted(wanted.items()))


# --- series ---

_SERIES_COLUMNS: dict[str, ColumnElement[Any]] = {
    "0020000E": SERIES.c.series_uid,
    "00080060": SERIES.c.modality,
    "00200011": SERIES.c.series_number,
    "0008103E": SERIES.c.description,
}


def find_series(tx: Connection, query: Query, *, limit: int, count_limit: int) -> Found:
    """A page of series: of one study, or of all studies that match."""
    up, where, checks = [], list[search.Where](), list[search.Check]()
    for condition in map(search.bounded, query.conditions):
        column = _SERIES_COLUMNS.get(condition.tag)
        if _goes_up(condition, at.SERIES_TAGS | {"0020000E"}):
            up.append(condition)
        elif column is not None and condition.match is Match.EQUAL:
            where.append(column.in_(_typed(column, condition.values)))
        else:
            checks.append(search.json_check(condition))
    statement = (
        select(SERIES, STUDY.c.study_uid, STUDY.c.attributes.label("study_attributes"))
        .join_from(SERIES, STUDY, STUDY.c.pk == SERIES.c.study_pk)
        .where(*where)
        .order_by(*lookups.IN_STUDY)
    )
    counted = select(SERIES.c.study_pk, func.count()).where(*where).group_by(SERIES.c.study_pk)
    plan = _study_plan(tx, query, up)
    below = _Below(plan, statement, counted, "" if where or checks else "series_count", checks)
    page = _page(tx, below, query, limit, count_limit)
    return Found([_series_json(r, query) for r in page.rows], page.total, page.at_least, page.next)


def _goes_up(condition: Condition, own: Iterable[str]) -> bool:
    """Whether a condition below study level speaks of the study."""
    return condition.tag.partition(".")[0] not in own and search.is_study_condition(condition)


def _study_plan(tx: Connection, query: Query, up: list[Condition]) -> search.Plan:
    """The studies to look into: those that the query means, narrowed by what its own level says of them."""
    plan = search.study_plan(Query(query.level, tuple(up), study_uid=query.study_uid, institution=query.institution))
    for condition in query.conditions:
        if condition.match is Match.EQUAL and condition.tag == "00080060":
            plan.modalities.append(condition)
        elif condition.match is Match.EQUAL and condition.tag in _WHOSE:
            column, joined = _WHOSE[condition.tag]
            named = tx.execute(joined.where(column.in_(condition.values)).distinct().limit(search.CANDIDATES + 1))
            pks = [r[0] for r in named]
            if len(pks) <= search.CANDIDATES:
                plan.pks = pks if plan.pks is None else sorted(set(pks).intersection(plan.pks))
    return plan


#: UIDs that name their study at once.
_WHOSE: dict[str, tuple[ColumnElement[str], Select[Any]]] = {
    "0020000E": (SERIES.c.series_uid, select(SERIES.c.study_pk)),
    "00080018": (
        INSTANCE.c.sop_uid,
        select(SERIES.c.study_pk).join_from(INSTANCE, SERIES, SERIES.c.pk == INSTANCE.c.series_pk),
    ),
}


def _typed(column: ColumnElement[Any], values: Iterable[str]) -> list[Any]:
    return [at.number(v) for v in values] if column.type.python_type is int else list(values)


def _series_json(r: Row[Any], query: Query) -> dict[str, Any]:
    known = orjson.loads(r.attributes)
    if query.study_uid is None or query.include_all:
        known = orjson.loads(r.study_attributes) | known
    known["0020000D"] = {"vr": "UI", "Value": [r.study_uid]}
    known["0020000E"] = {"vr": "UI", "Value": [r.series_uid]}
    known["00201209"] = {"vr": "IS", "Value": [r.instance_count]}
    return pick(known, at.SERIES_RETURNED, query)


# --- instances ---

_INSTANCE_COLUMNS: dict[str, ColumnElement[Any]] = {
    "00080018": INSTANCE.c.sop_uid,
    "00080016": INSTANCE.c.sop_class_uid,
    "00200013": INSTANCE.c.instance_number,
    "0020000E": SERIES.c.series_uid,
    "00080060": SERIES.c.modality,
}


#: Gives the header kept for an instance.
HeaderReader = Callable[[StoredInstance], dict[str, Any]]


def find_instances(tx: Connection, query: Query, read_header: HeaderReader, *, limit: int, count_limit: int) -> Found:
    """A page of instances, each answered from its own header. `read_header(stored)` gives it."""
    up, where, deep = [], list[search.Where](), list[search.Check]()
    for condition in map(search.bounded, query.conditions):
        column = _INSTANCE_COLUMNS.get(condition.tag)
        if column is not None and condition.match is Match.EQUAL:
            where.append(column.in_(_typed(column, condition.values)))
        elif column is None and search.is_study_condition(condition):
            up.append(condition)
        else:
            deep.append(_header_check(condition, read_header))
    if query.series_uid is not None:
        where.append(SERIES.c.series_uid == query.series_uid)
    first = (*where, INSTANCE.c.variant == 0)
    statement = lookups.STORED.where(*first).order_by(*lookups.IN_STUDY, *lookups.IN_SERIES)
    counted = (
        select(SERIES.c.study_pk, func.count())
        .join_from(SERIES, INSTANCE, SERIES.c.pk == INSTANCE.c.series_pk)
        .where(*first)
        .group_by(SERIES.c.study_pk)
    )
    plan = _study_plan(tx, query, up)
    below = _Below(plan, statement, counted, "" if where or deep else "instance_count", deep)
    page = _page(tx, below, query, limit, count_limit)
    stored = [lookups.stored_of(r) for r in page.rows]
    answers = [_instance_json(each, _header(each, read_header), query) for each in stored]
    return Found(answers, page.total, page.at_least, page.next)


def _header_check(condition: Condition, read_header: HeaderReader) -> search.Check:
    path = condition.tag.split(".")
    return lambda r: search.value_matches(_header(lookups.stored_of(r), read_header), path, condition)


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


def _instance_json(stored: StoredInstance, header: dict[str, Any], query: Query) -> dict[str, Any]:
    known = {tag: element for tag, element in header.items() if "BulkDataURI" not in element}
    known["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    if stored.frames is not None and "00280008" not in known and stored.frames.count > 1:
        known["00280008"] = {"vr": "IS", "Value": [stored.frames.count]}
    return pick(known, at.INSTANCE_RETURNED, query)


# --- paging below study level ---


@dataclass(frozen=True, slots=True)
class _Below:
    """Rows below study level: of which studies, how they are read, counted and checked."""

    plan: search.Plan
    #: Rows in the order within their study.
    rows: Select[Any]
    #: `study_pk` and how many, for many studies.
    counted: Select[Any]
    #: The column of the study that has the same count, empty if none does.
    count_column: str
    checks: list[search.Check]


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
    rows: list[Row[Any]]
    total: int | None
    at_least: int
    next: str | None


def _page(tx: Connection, below: _Below, query: Query, limit: int, count_limit: int) -> _Page:
    place = _Place.read(query.after) if query.after is not None else _Place(None, 0, query.offset, 0)
    return _Paging(tx, below, place, limit, None if query.count_exactly else count_limit).page()


class _Paging:
    """One page on its way: what has been passed, what is on the page, where it ended."""

    def __init__(self, tx: Connection, below: _Below, place: _Place, limit: int, count_limit: int | None) -> None:
        self._tx, self._below, self._limit, self._most = tx, below, limit, count_limit
        self._until = None if count_limit is None else monotonic() + search.WALK_S
        #: Once the page is full.
        self._count_until: float | None = None
        self._start, self._skip, self._passed = place, place.skip, place.passed
        self._rows: list[Row[Any]] = []
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
                self._stop(_key(batch[-1]), -1)
        if walk.stopped is not None and self._stopped is None:
            self._stop(_key(walk.stopped), -1)
        done = self._stopped is None and not self._enough()
        more = self._ended if self._ended is not None and self._passed > self._ended.passed else None
        if not done and more is None:
            # Whether there is more behind a full page is not known: it is said that there may be.
            more = self._ended if len(self._rows) >= self._limit else self._stopped
        return _Page(self._rows, self._passed if done else None, self._passed, more.text() if more else None)

    def _walk(self) -> search.Walk:
        below, start = self._below, self._start
        way = search.way_to(self._tx, below.plan, count_limit=self._most)
        also = [below.count_column] if below.count_column else []
        behind = {"after": start.key} if start.rows < 0 else {"from_key": start.key}
        return search.Walk(self._tx, way, below.plan, until=self._until, also=also, **behind)

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

    def _count(self, studies: list[Row[Any]]) -> None:
        """Studies of which all rows count: those before and behind the page are only counted."""
        counts = self._counts(studies)
        for study in studies:
            key = _key(study)
            given = self._given(key)
            there = max(counts.get(study.pk, 0) - given, 0)
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

    def _counts(self, studies: list[Row[Any]]) -> dict[int, int]:
        if name := self._below.count_column:
            return {study.pk: study._mapping[name] for study in studies}
        statement = self._below.counted.where(SERIES.c.study_pk.in_([study.pk for study in studies]))
        return {r[0]: r[1] for r in self._tx.execute(statement)}

    def _check(self, studies: list[Row[Any]]) -> None:
        """Studies of which every row has to be looked at."""
        for study in studies:
            key = _key(study)
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

    def _take(self, row: Row[Any], key: search.Key, at_row: int) -> None:
        self._passed += 1
        if self._skip:
            self._skip -= 1
        elif len(self._rows) < self._limit:
            self._rows.append(row)
            if len(self._rows) == self._limit:
                self._ended = _Place(key, at_row, 0, self._passed)

    def _read(self, study_pk: int, offset: int, limit: int | None) -> Iterator[Row[Any]]:
        statement = self._below.rows.where(SERIES.c.study_pk == study_pk).offset(offset)
        if limit is not None:
            statement = statement.limit(limit)
        with self._tx.execution_options(yield_per=500).execute(statement) as rows:
            yield from rows


def _key(study: Row[Any]) -> search.Key:
    return study.study_date, study.study_time, study.pk

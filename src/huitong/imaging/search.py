"""Searches for studies: how a `Plan` is run, and pages by cursor.

Longer than most, because the ways to a page share their order, bounds and cursors.

How a page of studies is found, whatever the archive's size:
1. The order (date, time, key; newest first) is in every index behind its own column, and so is what is filtered most:
   keys of a page and counts come from one index alone, full rows are fetched for the page only.
2. A text condition gives grams, a modality the sets of modalities that there are: both name candidates. Where they
   are few they are all listed and sorted, and each is checked.
3. Where they are many, or a pattern is too short for grams, matches are dense: an index is walked in order, window by
   window, until the page is full or a bound of rows or time is met; the cursor then says where to go on.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import orjson

from huitong.base.errors import BadRequest
from huitong.imaging.plan import RANKED, Plan, Values, has_one, looked_at
from huitong.imaging.tables import STUDY
from huitong.store.database import Session
from huitong.wire.query import Match, Query
from huitong.wire.text import pattern_to_like, to_regex

#: Candidates that are listed and sorted; more are walked.
CANDIDATES = 20_000
#: Rows looked at for one page when walking, and for how long; how many at first, and at a time.
WALK = 1_000_000
WALK_S = 1.0
_FIRST_WINDOW, _WINDOW = 200, 10_000
#: Counting for its own sake, once the page is full.
COUNT_S = 0.3
#: So many studies are not skipped one by one: the days say where the page begins.
_LONG_WAY = 500
#: Rows between two looks at the clock.
_TICK = 64
#: Different sets of modalities that are told apart; an archive has hundreds.
_SETS = 5000
#: So many sets are read side by side for a page, and so many rows of each.
_MERGED_SETS, _MERGED_ROWS = 50, 1000
#: Grams asked for: what has these has few others to be checked.
_TOKENS = 48

Key = tuple[str, str, int]
_ORDER = "ORDER BY study_date DESC, study_time DESC, pk DESC"
_KEY = "study_date, study_time, pk"
EVERY_COLUMN = tuple(column.name for column in STUDY.columns)


def key_of(row: Any) -> Key:
    return row["study_date"], row["study_time"], row["pk"]


def _all_of(conditions: Iterable[str]) -> str:
    return " AND ".join(conditions) or "TRUE"


# --- how the studies are come by ---


@dataclass(frozen=True, slots=True)
class Way:
    """Few candidates to be sorted, or an index in the order of the list (`drive`) and what is filtered on the way."""

    drive: tuple[str, ...]
    filters: tuple[str, ...] = ()
    sparse: bool = False
    #: All matches that there are, where an index says so (up to the limit of counting and one more).
    count: int | None = None


def way_to(session: Session, plan: Plan, *, count_limit: int | None) -> Way:
    """The way to the studies of the plan; None for `count_limit` asks for all of them, however many."""
    keys = sorted(plan.keys, key=RANKED.index)
    leading = next((name for name in keys if len(plan.keys[name]) == 1), None)
    others = [_is(plan, name, looked_at(name)) for name in keys if name != leading]
    drive = [*plan.where] if leading is None else [*plan.where, _is(plan, leading, leading)]
    modality = _modality_filter(session, plan)
    filters = [*others, *plan.filters, *([] if modality is None else [modality[0]])]
    if (named := _named(session, plan, exact=count_limit is None)) is not None:
        every = [_is(plan, name, looked_at(name)) for name in keys]
        also = (*every, *plan.filters, *(filters[-1:] if modality else ()))
        return Way((named[0], *plan.where), also, sparse=named[1])
    several = _is(plan, keys[0], keys[0]) if keys and leading is None else None
    if several is not None and _count(session, plan.values.named, [several, *plan.where], CANDIDATES) <= CANDIDATES:
        return Way((several, *plan.where), tuple(filters), sparse=True)
    if modality is None or modality[1] is None or leading not in (None, "institution"):
        return Way(tuple(drive), tuple(filters))
    # The index on modalities has the institution and the order as well: it can count.
    sets = [plan.values.among("modalities", modality[1]), *plan.where]
    sets += [_is(plan, name, looked_at(name)) for name in keys[:1] if name == leading]
    count = _count(session, plan.values.named, sets, max(count_limit or 0, CANDIDATES))
    if count <= CANDIDATES:
        return Way(tuple(sets), (*others, *plan.filters), sparse=True)
    alone = len(filters) == 1 and not plan.checks and count_limit is not None
    return Way(tuple(drive), tuple(filters), count=count if alone else None)


def _is(plan: Plan, name: str, column: str) -> str:
    """That the key of this name has one of its values, in the words of an index or of a filter."""
    return has_one(plan.values, name, column, plan.keys[name])


def _modality_filter(session: Session, plan: Plan) -> tuple[str, list[str] | None] | None:
    """The condition on `study.modalities` as a filter, and the sets that fulfil it if they could be named."""
    if not plan.modalities:
        return None
    sets = _sets(session, plan)
    return (_likes(plan), None) if sets is None else (plan.values.among(looked_at("modalities"), sets), sets)


def _sets(session: Session, plan: Plan) -> list[str] | None:
    """The sets of modalities that there are and that are asked for; None where there are too many to be told apart."""
    there = [r[0] for r in session.rows(_DISTINCT, {"most": _SETS + 1})]
    if len(there) > _SETS:
        return None
    wanted = [(c.match, [to_regex(value, ignore_case=True) for value in c.values]) for c in plan.modalities]
    return [each for each in there if all(_has_modality(each.split(), *c) for c in wanted)]


#: From one set of modalities to the next by the index, instead of all rows.
_DISTINCT = """
    WITH RECURSIVE each(modalities) AS (
        SELECT min(modalities) FROM study UNION ALL
        SELECT (SELECT min(study.modalities) FROM study WHERE study.modalities > each.modalities)
        FROM each WHERE each.modalities IS NOT NULL
    ) SELECT modalities FROM each WHERE modalities IS NOT NULL LIMIT :most
"""


def _has_modality(modalities: list[str], match: Match, wanted: list[re.Pattern[str]]) -> bool:
    if match is Match.EMPTY:
        return not modalities
    return any(expression.fullmatch(modality) for modality in modalities for expression in wanted)


def _likes(plan: Plan) -> str:
    like = "modalities LIKE {} ESCAPE '\\'"
    names = [[plan.values.name(f"% {pattern_to_like(value)} %") for value in c.values] for c in plan.modalities]
    either = [f"({' OR '.join(map(like.format, each))})" for each in names]
    empty = [c.match is Match.EMPTY for c in plan.modalities]
    return _all_of("modalities = ''" if none else one for none, one in zip(empty, either, strict=True))


def _named(session: Session, plan: Plan, *, exact: bool) -> tuple[str, bool] | None:
    """The condition on the studies that a lower level or the grams name, if they are few enough (`exact`: however
    many), and whether they are few."""
    if plan.pks is not None:
        return plan.values.among("pk", plan.pks, "bigint"), True
    if not plan.tokens:
        return None
    tokens = sorted(plan.tokens, key=lambda token: (-len(token), token))[:_TOKENS]
    named = _NAMED[session.kind].format(plan.values.name(" AND ".join(tokens) if session.kind == "sqlite" else tokens))
    pks = [r[0] for r in session.rows(f"{named} LIMIT {CANDIDATES + 1}", plan.values.named)]
    if len(pks) <= CANDIDATES:
        return plan.values.among("pk", pks, "bigint"), True
    return (f"pk IN ({named})", False) if exact else None


#: The studies that have all tokens.
_NAMED = {
    "sqlite": "SELECT rowid FROM study_grams WHERE study_grams MATCH {}",
    "postgresql": "SELECT study_pk FROM study_grams WHERE grams @> CAST({} AS text[])",
}


def _count(session: Session, values: Mapping[str, Any], where: Iterable[str], most: int | None) -> int:
    """How many there are, up to one more than `most`."""
    limit = "" if most is None else " LIMIT :most"
    sql = f"SELECT count(*) FROM (SELECT pk FROM study WHERE {_all_of(where)}{limit}) AS counted"
    return int(session.rows(sql, {**values, "most": (most or 0) + 1})[0][0])


#: Bounds in the order of the list, and the values that they name.
_BEHIND = f"({_KEY}) < (:date, :time, :pk)"
_FROM = f"({_KEY}) <= (:date, :time, :pk)"
_UP_TO = f"({_KEY}) >= (:last_date, :last_time, :last_pk)"


def _bound(key: Key | None, prefix: str = "") -> dict[str, Any]:
    return {} if key is None else {f"{prefix}{name}": v for name, v in zip(("date", "time", "pk"), key, strict=True)}


class Walk:
    """The studies of a plan in order, as rows of their keys and what else was asked for, behind the key `after`.

    Unless the way is sparse, an index is gone along in windows, small ones at first; after `WALK` rows or at the time
    `until` it stops, and `stopped` is the last row seen.
    """

    def __init__(
        self,
        session: Session,
        way: Way,
        plan: Plan,
        *,
        after: Key | None = None,
        from_key: Key | None = None,
        until: float | None = None,
        also: Iterable[str] = (),
    ) -> None:
        self._session, self._values = session, plan.values.named
        self._checks, self._until = plan.checks, until
        self._where, self._drive = (*way.drive, *way.filters), way.drive
        self._windows = not way.sparse and until is not None
        self._read = session.rows if way.sparse or self._windows else session.each
        self._columns = ", ".join((_KEY, *sorted(plan.needs.union(also))))
        self._first = _FROM if from_key is not None else _BEHIND
        self._start = from_key if from_key is not None else after
        self.stopped: Any = None

    def __iter__(self) -> Iterator[Any]:
        start, first, seen, walked, size = self._start, self._first, 0, 0, _FIRST_WINDOW
        while True:
            size = min(size, _WINDOW, WALK)
            end = self._end(start, first, size) if self._windows else None
            for row in self._rows(start, first, end):
                seen += 1
                if all(check(row) for check in self._checks):
                    yield row
                if seen % _TICK == 0 and self._late():
                    self.stopped = row
                    return
            walked, size = walked + size, size * 5
            if end is None:
                return
            if self._late() or walked >= WALK:
                self.stopped = end
                return
            start, first = key_of(end), _BEHIND

    def count(self, most: int) -> tuple[int, bool]:
        """How many there are without looking at any in Python, and whether that is all."""
        start, first, found = self._start, self._first, 0
        while True:
            end = self._end(start, first, min(_WINDOW, WALK)) if self._windows else None
            where, values = self._between(start, first, end)
            found += _count(self._session, values, where, most - found)
            if found > most or end is None:
                return found, found <= most
            if self._late():
                return found, False
            start, first = key_of(end), _BEHIND

    def _late(self) -> bool:
        return self._until is not None and monotonic() > self._until

    def _end(self, start: Key | None, first: str, size: int) -> Any:
        """The last row of a window of the index; None where it ends before."""
        where = _all_of(self._drive if start is None else (*self._drive, first))
        sql = f"SELECT {_KEY} FROM study WHERE {where} {_ORDER} LIMIT 1 OFFSET :passed"
        rows = self._session.rows(sql, {**self._values, **_bound(start), "passed": size - 1})
        return rows[0] if rows else None

    def _between(self, start: Key | None, first: str, end: Any) -> tuple[list[str], dict[str, Any]]:
        where, values = [*self._where], {**self._values, **_bound(start)}
        if start is not None:
            where.append(first)
        if end is not None:
            where.append(_UP_TO)
            values |= _bound(key_of(end), "last_")
        return where, values

    def _rows(self, start: Key | None, first: str, end: Any) -> Iterable[Any]:
        where, values = self._between(start, first, end)
        return self._read(f"SELECT {self._columns} FROM study WHERE {_all_of(where)} {_ORDER}", values)


# --- running a study search ---


@dataclass(frozen=True, slots=True)
class Hits:
    """Studies in order, and what is known of the rest."""

    rows: list[Any]
    total: int | None
    at_least: int
    next: str | None


def find_studies(
    session: Session,
    plan: Plan,
    query: Query,
    *,
    limit: int,
    count_limit: int,
    columns: Sequence[str] = EVERY_COLUMN,
) -> Hits:
    """A page of studies, newest first, with these columns and those of their order."""
    most = None if query.count_exactly else count_limit
    start = Cursor.read(query.after) if query.after is not None else Cursor(None, query.offset)
    if start.skip + limit <= _MERGED_ROWS and (sets := _sets_alone(session, plan)) is not None:
        return _merged_page(session, plan, sets, start, limit, most, columns)
    way = way_to(session, plan, count_limit=most)
    if not plan.checks and not way.filters and not way.sparse:
        return _plain_page(session, way, plan, start, limit, most, columns)
    hits = (
        _listed(session, way, plan, start, limit)
        if way.sparse or most is None
        else _walked(session, way, plan, start, limit, most)
    )
    return replace(hits, rows=_full(session, hits.rows, columns))


def _of_page(columns: Sequence[str]) -> str:
    return ", ".join(f"study.{name}" for name in dict.fromkeys((*columns, "study_date", "study_time", "pk")))


def _plain_page(
    session: Session, way: Way, plan: Plan, start: Cursor, limit: int, most: int | None, columns: Sequence[str]
) -> Hits:
    """Keys from an index alone; how many there are from the days where there is no other condition."""
    whole = plan.keys.keys() <= {"institution"}
    drive, values, skip = [*way.drive], {**plan.values.named, **_bound(start.key)}, start.skip
    if start.key is not None:
        drive.append(_BEHIND)
    elif whole and skip >= _LONG_WAY and (day := _day_at(session, plan, skip)) is not None:
        drive.append("study_date <= :from_day")
        values["from_day"], skip = day
    sql = f"SELECT pk AS of_page FROM study WHERE {_all_of(drive)} {_ORDER} LIMIT :rows OFFSET :skip"
    rows = session.rows(
        f"SELECT {_of_page(columns)} FROM ({sql}) AS page JOIN study ON study.pk = page.of_page",
        {**values, "rows": limit + 1, "skip": skip},
    )
    rows.sort(key=key_of, reverse=True)
    more = Cursor.at(rows[limit - 1]).text() if len(rows) > limit else None
    if start.key is None and not more and (rows or not start.skip):
        total = start.skip + len(rows)  # this page is the last
    elif whole:
        total = _count_days(session, plan)
    else:
        total = _count(session, plan.values.named, way.drive, most)
        if most is not None and total > most:
            return Hits(rows[:limit], None, total, more)
    return Hits(rows[:limit], total, total, more)


def _sets_alone(session: Session, plan: Plan) -> list[str] | None:
    """The sets of modalities that are asked for, where they are few and nothing else is but days."""
    if not plan.modalities or plan.keys or plan.filters or plan.checks or plan.tokens or plan.pks is not None:
        return None
    sets = _sets(session, plan)
    return sets if sets is not None and len(sets) <= _MERGED_SETS else None


def _merged_page(
    session: Session,
    plan: Plan,
    sets: list[str],
    start: Cursor,
    limit: int,
    most: int | None,
    columns: Sequence[str],
) -> Hits:
    """The newest of each set from the index on modalities, and of these the page."""
    where = _all_of(["modalities = :set", *plan.where, *([] if start.key is None else [_BEHIND])])
    sql = f"SELECT {_KEY} FROM study WHERE {where} {_ORDER} LIMIT :rows"
    values = {**plan.values.named, **_bound(start.key), "rows": start.skip + limit + 1}
    found = [key for each in sets for key in session.rows(sql, {**values, "set": each})]
    found.sort(key=key_of, reverse=True)
    page = found[start.skip : start.skip + limit]
    more = Cursor.at(page[-1]).text() if len(found) > start.skip + limit else None
    total = len(found)
    if more or start.key is not None:
        total = _count(session, plan.values.named, [plan.values.among("modalities", sets), *plan.where], most)
    known = total if most is None or total <= most or not (more or start.key) else None
    return Hits(_full(session, page, columns), known, total, more)


def _count_days(session: Session, plan: Plan) -> int:
    """How many studies the plan is of, if it has no conditions but its list and its days."""
    listed = plan.listed if plan.days else f"{plan.listed} by month"
    sql = f"SELECT coalesce(sum(studies), 0) FROM study_day WHERE {_all_of(['list = :list', *plan.days])}"
    return int(session.rows(sql, {**plan.values.named, "list": listed})[0][0])


def _day_at(session: Session, plan: Plan, skip: int) -> tuple[str, int] | None:
    """The day of the study that comes after `skip` others, and how many of that day come before it."""
    values = {**plan.values.named, "list": plan.listed}
    if plan.days:
        return _period_at(session, values, plan.days, skip)
    month = _period_at(session, {"list": f"{plan.listed} by month"}, [], skip)
    if month is None:
        return None
    values |= {"month": month[0], "month_end": f"{month[0]}99" if month[0] else ""}
    return _period_at(session, values, ["study_date BETWEEN :month AND :month_end"], month[1])


def _period_at(session: Session, values: Mapping[str, Any], where: list[str], skip: int) -> tuple[str, int] | None:
    sql = f"""
        SELECT study_date, CAST(sum(studies) AS bigint) FROM study_day WHERE {_all_of(["list = :list", *where])}
        GROUP BY study_date ORDER BY study_date DESC
    """
    for period, studies in session.rows(sql, values):
        if skip < studies:
            return period, skip
        skip -= studies
    return None


def _listed(session: Session, way: Way, plan: Plan, start: Cursor, limit: int) -> Hits:
    """Every row is checked, so that the total is known; only the keys of the page are held."""
    total, passed = 0, 0
    page: list[Any] = []
    for row in Walk(session, way, plan):
        total += 1
        if start.key is None or key_of(row) < start.key:
            passed += 1
            if start.skip < passed <= start.skip + limit:
                page.append(row)
    more = passed > start.skip + limit
    return Hits(page, total, total, Cursor.at(page[-1]).text() if more and page else None)


def _walked(session: Session, way: Way, plan: Plan, start: Cursor, limit: int, most: int) -> Hits:
    """Rows are checked in order until the page is full or the walk stops: then the cursor says where to go on."""
    walk = Walk(session, way, plan, after=start.key, until=monotonic() + WALK_S)
    page, passed, more = list[Any](), 0, None
    for row in walk:
        passed += 1
        if passed > start.skip + limit:
            more = Cursor.at(page[-1])
            break
        if passed > start.skip:
            page.append(row)
    if more is None and walk.stopped is not None:
        more = Cursor.at(walk.stopped, max(start.skip - passed, 0))
    at_least, every = passed, more is None and start.key is None
    if way.count is not None:
        at_least, every = way.count, way.count <= most
    elif not every and not plan.checks and not plan.reads_rows:
        at_least, every = Walk(session, way, plan, until=monotonic() + COUNT_S).count(most)
    return Hits(page, at_least if every else None, at_least, more.text() if more is not None else None)


def _full(session: Session, keys: list[Any], columns: Sequence[str]) -> list[Any]:
    """The rows, in the order of the keys."""
    if not keys:
        return []
    values = Values(session.kind)
    among = values.among("pk", [key["pk"] for key in keys], "bigint")
    rows = {r["pk"]: r for r in session.rows(f"SELECT {_of_page(columns)} FROM study WHERE {among}", values.named)}
    return [rows[key["pk"]] for key in keys]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: behind a study, after `skip` more matches."""

    key: Key | None
    skip: int = 0

    @classmethod
    def at(cls, row: Any, skip: int = 0) -> Cursor:
        return cls(key_of(row), skip)

    def text(self) -> str:
        return write_cursor([*(self.key or ()), self.skip])

    @classmethod
    def read(cls, cursor: str) -> Cursor:
        """Raises BadRequest for what is no cursor of ours."""
        date, time, pk, skip = read_cursor(cursor, 2)
        return cls((date, time, pk), skip)


def write_cursor(values: list[str | int]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def read_cursor(cursor: str, numbers: int) -> list[Any]:
    """Date, time and as many numbers. Raises BadRequest for what is no such cursor."""
    try:
        values = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        values = None
    kinds = [str, str, *[int] * numbers]
    if not isinstance(values, list) or [type(value) for value in values] != kinds:
        raise BadRequest("`after` is not a cursor that this server gave")
    if not all(0 <= number < 2**62 for number in values[2:]) or any(len(part) > 64 for part in values[:2]):
        raise BadRequest("`after` is not a cursor that this server gave")
    return values

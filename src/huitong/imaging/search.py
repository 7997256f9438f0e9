"""Searches: a `Query` becomes SQL over indexed columns and grams, and a check of what no column holds.

Longer than most, because how a plan is read and how it is run have to fit each other.

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
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from time import monotonic
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, func, or_, select, text, tuple_

from huitong.base.errors import BadRequest
from huitong.imaging import attributes as at
from huitong.imaging.tables import STUDY
from huitong.wire.grams import pattern_grams
from huitong.wire.query import Condition, Match, Query
from huitong.wire.text import pattern_matches, pattern_to_like, text_forms, to_regex

Check = Callable[[Row[Any]], bool]
Where = ColumnElement[bool]

#: Candidates that are listed and sorted; more are walked.
CANDIDATES = 20_000
#: Rows looked at for one page when walking, how many at a time, and for how long.
WALK = 1_000_000
_WINDOW = 10_000
WALK_S = 1.0
#: Counting for its own sake, once the page is full.
COUNT_S = 0.3
#: Rows between two looks at the clock.
_TICK = 64
#: Values of one key, characters of one value, modalities of one key.
_VALUES = 1000
_VALUE_CHARS = 4096
_MODALITY_VALUES = 100
#: Different sets of modalities that are told apart; an archive has hundreds.
_SETS = 5000
#: Grams asked for: what has these has few others to be checked.
_TOKENS = 48


@dataclass
class Plan:
    """What an index can decide, what SQL can, and what is left to look at."""

    #: Conditions that hold for nearly every row of an index, or are a range of its order.
    where: list[Where] = field(default_factory=list)
    #: Equality on columns of `_RANKED`: column -> values.
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Conditions that no index helps with.
    filters: list[Where] = field(default_factory=list)
    modalities: list[Condition] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    checks: list[Check] = field(default_factory=list)
    #: Columns that the checks look at.
    needs: set[str] = field(default_factory=set)
    #: Only these studies, where a lower level knows them.
    pks: list[int] | None = None


# --- conditions at study level ---

#: Attributes with a plain column.
_COLUMNS = {
    "0020000D": STUDY.c.study_uid,
    "00100020": STUDY.c.patient_id,
    "00100040": STUDY.c.patient_sex,
    "00080050": STUDY.c.accession_number,
    "00200010": STUDY.c.study_id,
    "00081030": STUDY.c.description,
}
#: Columns with an index of their own, the most selective first: it leads, the others are looked at.
_RANKED = (
    "study_uid", "accession_number", "patient_id", "patient_birth_date", "study_id", "institution", "patient_sex",
)  # fmt: skip
#: Attributes searched by text: gram field and the column of their forms.
_NAMES = {"00100010": ("n", STUDY.c.name_forms), "00080090": ("r", STUDY.c.referring_forms)}
_TEXTS = {"00100020": "i", "00080050": "a", "00081030": "d"}
_MODALITIES = ("00080061", "00080060")


def study_plan(query: Query, *, every_sender: bool = False) -> Plan:
    """The plan of a study search. Raises BadRequest for an attribute that has no meaning at study level."""
    plan = Plan()
    if query.institution is not None:
        _key(plan, STUDY.c.institution, (query.institution,))
    elif not every_sender:
        plan.where.append(STUDY.c.shown == 1)
    if query.study_uid is not None:
        _key(plan, STUDY.c.study_uid, (query.study_uid,))
    for condition in query.conditions:
        add_study_condition(plan, condition)
    return plan


def is_study_condition(condition: Condition) -> bool:
    tag = condition.tag.partition(".")[0]
    return tag[:4] == "0010" or tag in at.STUDY_TAGS or tag == "00080061"


def bounded(condition: Condition) -> Condition:
    """The condition itself. Raises BadRequest where it is none that anybody means."""
    most = _MODALITY_VALUES if condition.tag in _MODALITIES else _VALUES
    if len(condition.values) > most:
        raise BadRequest(f"{condition.tag}: more than {most} values")
    if any(len(value) > _VALUE_CHARS for value in condition.values):
        raise BadRequest(f"{condition.tag}: a value of more than {_VALUE_CHARS} characters")
    return condition


def add_study_condition(plan: Plan, condition: Condition) -> None:
    tag = bounded(condition).tag
    if tag in _MODALITIES:
        plan.modalities.append(condition)
    elif tag in _NAMES:
        _name(plan, condition)
    elif tag == "00080020":
        _study_date(plan, condition)
    elif tag == "00100030":
        _birth_date(plan, condition)
    elif tag == "00080030":
        plan.filters.append(ranged(STUDY.c.study_time, condition, at.time))
    elif tag in _COLUMNS:
        _plain(plan, condition)
    elif is_study_condition(condition):
        plan.checks.append(json_check(condition))
        plan.needs.add("attributes")
    else:
        raise BadRequest(f"{tag} cannot be matched at this level")


def _key(plan: Plan, column: ColumnElement[Any], values: Iterable[str]) -> None:
    """Equality on an indexed column; the second for the same column is only looked at."""
    if column.key in _RANKED and column.key not in plan.keys:
        plan.keys[str(column.key)] = tuple(values)
    else:
        plan.filters.append(_looked_at(column).in_(tuple(values)))


def _looked_at(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column's value, so written that no index on it is chosen."""
    return func.coalesce(column, "")


def _study_date(plan: Plan, condition: Condition) -> None:
    if condition.match is Match.EQUAL and len(condition.values) > 1:
        days = sorted(_cleaned(condition, at.date))
        plan.where.append(STUDY.c.study_date.between(days[0], days[-1]))
        plan.filters.append(_looked_at(STUDY.c.study_date).in_(days))
    else:
        plan.where.append(ranged(STUDY.c.study_date, condition, at.date))


def _birth_date(plan: Plan, condition: Condition) -> None:
    column = STUDY.c.patient_birth_date
    if condition.match is Match.RANGE:
        plan.filters.append(ranged(_looked_at(column), condition, at.date))
    else:
        _key(plan, column, [""] if condition.match is Match.EMPTY else _cleaned(condition, at.date))


def _name(plan: Plan, condition: Condition) -> None:
    letter, column = _NAMES[condition.tag]
    if condition.match is Match.EMPTY:
        plan.filters.append(column == "")
        return
    patterns = condition.values
    if len(patterns) == 1:
        plan.tokens |= pattern_grams(letter, patterns[0]) or set()
    name = column.name
    plan.needs.add(name)
    plan.checks.append(lambda r: any(pattern_matches(p, r._mapping[name].split("\n")) for p in patterns))


def _plain(plan: Plan, condition: Condition) -> None:
    column, values = _COLUMNS[condition.tag], condition.values
    if condition.match is Match.EMPTY:
        _key(plan, column, [""])
    elif condition.match is Match.EQUAL:
        _key(plan, column, values)
        if column.key not in _RANKED and len(values) == 1 and not set("*?").intersection(values[0]):
            plan.tokens |= pattern_grams(_TEXTS[condition.tag], values[0]) or set()
    elif condition.match is Match.WILDCARD:
        _text(plan, condition, values[0])
    else:
        raise BadRequest(f"{condition.tag} has no ranges")


def _text(plan: Plan, condition: Condition, pattern: str) -> None:
    """Folded like the grams, so that `*ct-01*` finds CT-01: more is found than the standard's literal match would."""
    name = _COLUMNS[condition.tag].name
    plan.needs.add(name)
    if (letter := _TEXTS.get(condition.tag)) is None:
        expression = to_regex(pattern, ignore_case=True)
        plan.checks.append(lambda r: expression.fullmatch(r._mapping[name]) is not None)
        return
    plan.tokens |= pattern_grams(letter, pattern) or set()
    plan.checks.append(lambda r: pattern_matches(pattern, text_forms(r._mapping[name])))


def ranged(column: ColumnElement[str], condition: Condition, clean: Callable[[str], str]) -> Where:
    """Dates and times as text compare in order; what is no date is stored empty and lies in no range."""
    if condition.match is Match.EMPTY:
        return column == ""
    values = _cleaned(condition, clean)
    if condition.match is Match.EQUAL:
        return column.in_(values) if len(values) > 1 else column == values[0]
    low, high = values
    bound = column >= low if low else column > ""
    return bound & (column <= high + "~") if high else bound  # 120000 as an upper end includes 120000.5


def _cleaned(condition: Condition, clean: Callable[[str], str]) -> list[str]:
    values = [clean(v) for v in condition.values]
    if any(v and not c for v, c in zip(condition.values, values, strict=True)) or condition.match is Match.WILDCARD:
        raise BadRequest(f"{condition.tag}: {condition.values} is no date or time")
    return values


def json_check(condition: Condition) -> Check:
    """A check of an attribute that only the JSON of the row has (`attributes`), also inside sequences."""
    path = condition.tag.split(".")
    return lambda r: value_matches(orjson.loads(r.attributes), path, condition)


def value_matches(header: dict[str, Any], path: list[str], condition: Condition) -> bool:
    """Whether some value at the path of the DICOM JSON matches; numbers are compared as numbers."""
    values = list(_values(header, path))
    if condition.match is Match.EMPTY:
        return not any(value for _, value in values)
    if condition.match is Match.RANGE:
        low, high = condition.values
        return any(v and (not low or v >= low) and (not high or v <= high + "~") for _, v in values)
    if condition.match is Match.WILDCARD:
        expression = to_regex(condition.values[0], ignore_case=True)
        return any(expression.fullmatch(v) for _, v in values)
    wanted = {_number(v) for v in condition.values} - {None}
    return any(v in condition.values or (vr in _NUMBERS and _number(v) in wanted) for vr, v in values)


#: Value representations of numbers: 70 is 70.0 (PS3.4 C.2.2.2.1).
_NUMBERS = frozenset({"DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"})


def _number(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number.adjusted()) < 400 else None


def _values(header: dict[str, Any], path: list[str]) -> Iterator[tuple[str, str]]:
    """VR and text of each."""
    element = header.get(path[0], {})
    for value in element.get("Value", ()):
        if len(path) > 1:
            if isinstance(value, dict):
                yield from _values(value, path[1:])
        elif isinstance(value, dict):
            yield from (("PN", str(group)) for group in value.values())
        else:
            yield element.get("vr", ""), str(value)


# --- how the studies are come by ---

Key = tuple[str, str, int]
ORDER = (STUDY.c.study_date.desc(), STUDY.c.study_time.desc(), STUDY.c.pk.desc())
_KEY: tuple[ColumnElement[Any], ...] = (STUDY.c.study_date, STUDY.c.study_time, STUDY.c.pk)


@dataclass(frozen=True, slots=True)
class Way:
    """Few candidates to be sorted, or an index in the order of the list (`drive`) and what is filtered on the way."""

    drive: tuple[Where, ...]
    filters: tuple[Where, ...] = ()
    sparse: bool = False
    #: All matches that there are, where an index says so (up to the limit of counting and one more).
    count: int | None = None


def way_to(tx: Connection, plan: Plan, *, count_limit: int | None) -> Way:
    """The way to the studies of the plan; None for `count_limit` asks for all of them, however many."""
    keys = sorted(plan.keys, key=_RANKED.index)
    leading = next((name for name in keys if len(plan.keys[name]) == 1), None)
    others = [_looked_at(STUDY.c[name]).in_(plan.keys[name]) for name in keys if name != leading]
    drive = [*plan.where] if leading is None else [*plan.where, STUDY.c[leading] == plan.keys[leading][0]]
    modality = _modality_filter(tx, plan.modalities)
    filters = [*others, *plan.filters, *([] if modality is None else [modality[0]])]
    if (named := _named(tx, plan, exact=count_limit is None)) is not None:
        looked_at = [_looked_at(STUDY.c[name]).in_(plan.keys[name]) for name in keys]
        return Way((named, *plan.where), (*looked_at, *plan.filters, *(filters[-1:] if modality else ())), sparse=True)
    several = next((STUDY.c[name].in_(plan.keys[name]) for name in keys), None) if leading is None else None
    if several is not None and _count(tx, [several, *plan.where], CANDIDATES) <= CANDIDATES:
        return Way((several, *plan.where), tuple(filters), sparse=True)
    if modality is None or modality[1] is None or leading not in (None, "institution"):
        return Way(tuple(drive), tuple(filters))
    # The index on modalities has the institution and the order as well: it can count.
    sets = [STUDY.c.modalities.in_(modality[1]), *plan.where]
    sets += [_looked_at(STUDY.c[name]).in_(plan.keys[name]) for name in keys[:1] if name == leading]
    count = _count(tx, sets, max(count_limit or 0, CANDIDATES))
    if count <= CANDIDATES:
        return Way(tuple(sets), (*others, *plan.filters), sparse=True)
    alone = len(filters) == 1 and not plan.checks and count_limit is not None
    return Way(tuple(drive), tuple(filters), count=count if alone else None)


def _modality_filter(tx: Connection, conditions: list[Condition]) -> tuple[Where, list[str] | None] | None:
    """The condition on `study.modalities` as a filter, and the sets that fulfil it if they could be named."""
    if not conditions:
        return None
    there = [r[0] for r in tx.execute(_DISTINCT, {"most": _SETS + 1})]
    if len(there) > _SETS:
        return _likes(conditions), None
    sets = [each for each in there if all(_has_modality(each.split(), c) for c in conditions)]
    return _looked_at(STUDY.c.modalities).in_(sets), sets


#: From one set of modalities to the next by the index, instead of all rows.
_DISTINCT = text("""
    WITH RECURSIVE each(modalities) AS (
        SELECT min(modalities) FROM study UNION ALL
        SELECT (SELECT min(study.modalities) FROM study WHERE study.modalities > each.modalities)
        FROM each WHERE each.modalities IS NOT NULL
    ) SELECT modalities FROM each WHERE modalities IS NOT NULL LIMIT :most
""")


def _has_modality(modalities: list[str], condition: Condition) -> bool:
    if condition.match is Match.EMPTY:
        return not modalities
    wanted = [to_regex(value, ignore_case=True) for value in condition.values]
    return any(expression.fullmatch(modality) for modality in modalities for expression in wanted)


def _likes(conditions: list[Condition]) -> Where:
    column = STUDY.c.modalities
    each = [
        column == ""
        if c.match is Match.EMPTY
        else or_(*(column.like(f"% {pattern_to_like(value)} %", escape="\\") for value in c.values))
        for c in conditions
    ]
    first, *others = each
    for other in others:
        first = first & other
    return first


def _named(tx: Connection, plan: Plan, *, exact: bool) -> Where | None:
    """The studies that a lower level or the grams name, if they are few enough (`exact`: however many)."""
    if plan.pks is not None:
        return STUDY.c.pk.in_(plan.pks)
    if not plan.tokens:
        return None
    tokens = sorted(plan.tokens, key=lambda token: (-len(token), token))[:_TOKENS]
    match: Any = " AND ".join(tokens) if tx.dialect.name == "sqlite" else tokens
    named = _NAMED[tx.dialect.name]
    pks = [r[0] for r in tx.execute(text(f"{named} LIMIT :most"), {"match": match, "most": CANDIDATES + 1})]
    if len(pks) <= CANDIDATES:
        return STUDY.c.pk.in_(pks)
    return STUDY.c.pk.in_(text(named).bindparams(match=match)) if exact else None


#: The studies that have all tokens.
_NAMED = {
    "sqlite": "SELECT rowid FROM study_grams WHERE study_grams MATCH :match",
    "postgresql": "SELECT study_pk FROM study_grams WHERE grams @> CAST(:match AS text[])",
}


def _count(tx: Connection, where: Iterable[Where], most: int | None) -> int:
    """How many there are, up to one more than `most`."""
    counted = select(STUDY.c.pk).where(*where)
    if most is not None:
        counted = counted.limit(most + 1)
    return int(tx.execute(select(func.count()).select_from(counted.subquery())).scalar_one())


class Walk:
    """The studies of a plan in order, as rows of their keys and what else was asked for, behind the key `after`.

    Unless the way is sparse, an index is gone along in windows; after `WALK` rows or at the time `until` it stops,
    and `stopped` is the last row seen.
    """

    def __init__(
        self,
        tx: Connection,
        way: Way,
        plan: Plan,
        *,
        after: Key | None = None,
        from_key: Key | None = None,
        until: float | None = None,
        also: Iterable[str] = (),
    ) -> None:
        names = sorted(plan.needs.union(also))
        self._tx, self._checks, self._until = tx, plan.checks, until
        self._where = (*way.drive, *way.filters)
        self._drive = way.drive
        self._windows = not way.sparse and until is not None
        self._columns = [*_KEY, *(STUDY.c[name] for name in names)]
        self._start = _from(from_key) if from_key is not None else _behind(after)
        self.stopped: Row[Any] | None = None

    def __iter__(self) -> Iterator[Row[Any]]:
        start, seen, walked = self._start, 0, 0
        while True:
            end = self._end(start) if self._windows else None
            last = () if end is None else (tuple_(*_KEY) >= tuple_(*end),)
            for row in self._rows(start + last):
                seen += 1
                if all(check(row) for check in self._checks):
                    yield row
                if seen % _TICK == 0 and self._late():
                    self.stopped = row
                    return
            walked += _WINDOW
            if end is None:
                return
            if self._late() or walked >= WALK:
                self.stopped = end
                return
            start = _behind((end.study_date, end.study_time, end.pk))

    def count(self, most: int) -> tuple[int, bool]:
        """How many there are without looking at any in Python, and whether that is all."""
        start, found = self._start, 0
        while True:
            end = self._end(start) if self._windows else None
            last = () if end is None else (tuple_(*_KEY) >= tuple_(*end),)
            found += _count(self._tx, (*self._where, *start, *last), most - found)
            if found > most or end is None:
                return found, found <= most
            if self._late():
                return found, False
            start = _behind((end.study_date, end.study_time, end.pk))

    def _late(self) -> bool:
        return self._until is not None and monotonic() > self._until

    def _end(self, start: tuple[Where, ...]) -> Row[Any] | None:
        size = min(_WINDOW, WALK)
        statement = select(*_KEY).where(*self._drive, *start).order_by(*ORDER).limit(1).offset(size - 1)
        return self._tx.execute(statement).first()

    def _rows(self, bounds: tuple[Where, ...]) -> Iterator[Row[Any]]:
        statement = select(*self._columns).where(*self._where, *bounds).order_by(*ORDER)
        with self._tx.execution_options(yield_per=500).execute(statement) as rows:
            yield from rows


def _behind(key: Key | None) -> tuple[Where, ...]:
    return () if key is None else (tuple_(*_KEY) < tuple_(*key),)


def _from(key: Key) -> tuple[Where, ...]:
    return (tuple_(*_KEY) <= tuple_(*key),)


# --- running a study search ---


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows of `study` in order, and what is known of the rest."""

    rows: list[Row[Any]]
    total: int | None
    at_least: int
    next: str | None


def find_studies(tx: Connection, plan: Plan, query: Query, *, limit: int, count_limit: int) -> Hits:
    """A page of studies, newest first."""
    most = None if query.count_exactly else count_limit
    start = Cursor.read(query.after) if query.after is not None else Cursor(None, query.offset)
    way = way_to(tx, plan, count_limit=most)
    if not plan.checks and not way.filters and not way.sparse:
        return _plain_page(tx, way, start, limit, most)
    if way.sparse or most is None:
        return _listed(tx, way, plan, start, limit)
    return _walked(tx, way, plan, start, limit, most)


def _plain_page(tx: Connection, way: Way, start: Cursor, limit: int, most: int | None) -> Hits:
    """Keys and count from an index alone."""
    statement = select(*_KEY).where(*way.drive, *_behind(start.key)).order_by(*ORDER)
    keys = list(tx.execute(statement.limit(limit + 1).offset(start.skip)))
    total = _count(tx, way.drive, most)
    more = Cursor.at(keys[limit - 1]).text() if len(keys) > limit else None
    return Hits(_full(tx, keys[:limit]), total if most is None or total <= most else None, total, more)


def _listed(tx: Connection, way: Way, plan: Plan, start: Cursor, limit: int) -> Hits:
    """Every row is checked, so that the total is known; only the keys of the page are held."""
    total, passed = 0, 0
    page: list[Row[Any]] = []
    for row in Walk(tx, way, plan):
        total += 1
        if start.key is None or (row.study_date, row.study_time, row.pk) < start.key:
            passed += 1
            if start.skip < passed <= start.skip + limit:
                page.append(row)
    more = passed > start.skip + limit
    return Hits(_full(tx, page), total, total, Cursor.at(page[-1]).text() if more and page else None)


def _walked(tx: Connection, way: Way, plan: Plan, start: Cursor, limit: int, most: int) -> Hits:
    """Rows are checked in order until the page is full or the walk stops: then the cursor says where to go on."""
    walk = Walk(tx, way, plan, after=start.key, until=monotonic() + WALK_S)
    page, passed, more = list[Row[Any]](), 0, None
    for row in walk:
        passed += 1
        if passed > start.skip + limit:
            more = Cursor.at(page[-1])
            break
        if passed > start.skip:
            page.append(row)
    if more is None and walk.stopped is not None:
        more = Cursor.at(walk.stopped, max(start.skip - passed, 0))
    rows, at_least, every = _full(tx, page), passed, more is None and start.key is None
    if way.count is not None:
        at_least, every = way.count, way.count <= most
    elif not every and not plan.checks:
        at_least, every = Walk(tx, way, plan, until=monotonic() + COUNT_S).count(most)
    return Hits(rows, at_least if every else None, at_least, more.text() if more is not None else None)


def _full(tx: Connection, keys: list[Row[Any]]) -> list[Row[Any]]:
    """The whole rows, in the order of the keys."""
    rows = {r.pk: r for r in tx.execute(select(STUDY).where(STUDY.c.pk.in_([key.pk for key in keys])))}
    return [rows[key.pk] for key in keys]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: behind a study, after `skip` more matches."""

    key: Key | None
    skip: int = 0

    @classmethod
    def at(cls, row: Row[Any], skip: int = 0) -> Cursor:
        return cls((row.study_date, row.study_time, row.pk), skip)

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
    if not all(-1 <= number < 2**62 for number in values[2:]) or any(len(part) > 64 for part in values[:2]):
        raise BadRequest("`after` is not a cursor that this server gave")
    return values

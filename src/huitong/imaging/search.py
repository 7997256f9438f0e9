"""Searches: a `Query` becomes SQL over indexed columns and grams, and a check of what no column holds.

How a page of studies is found, whatever the archive's size:
1. Conditions on columns go into SQL; the order (date, time, key; newest first) is an index, paging is by its key.
2. A text condition gives grams; the gram index names the candidates, and each is checked against the pattern.
3. Where candidates are too many to list, or a pattern is too short for grams, matches are dense: the date index is
   walked and each row checked until the page is full, at most `_WALK` rows; the cursor then says where to go on.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_, select, text, tuple_

from huitong.base.errors import BadRequest
from huitong.imaging import attributes as at
from huitong.imaging.tables import STUDY
from huitong.wire.grams import pattern_grams
from huitong.wire.query import Condition, Match, Query
from huitong.wire.text import pattern_matches, pattern_to_like, text_forms, to_regex

Check = Callable[[Row[Any]], bool]

#: Candidates that are listed and sorted; more are walked.
_CANDIDATES = 4000
#: Rows looked at for one page when walking.
_WALK = 200_000
_BATCH = 500


@dataclass
class Plan:
    """What SQL can decide, and what is left to look at."""

    where: list[ColumnElement[bool]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    checks: list[Check] = field(default_factory=list)


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
_DATES = {"00080020": STUDY.c.study_date, "00100030": STUDY.c.patient_birth_date}
_TIMES = {"00080030": STUDY.c.study_time}
#: Attributes searched by text: gram field and the column of their forms.
_NAMES = {"00100010": ("n", STUDY.c.name_forms), "00080090": ("r", STUDY.c.referring_forms)}
_TEXTS = {"00100020": "i", "00080050": "a", "00081030": "d"}
_MODALITIES = ("00080061", "00080060")


def study_plan(query: Query, *, every_sender: bool = False) -> Plan:
    """The plan of a study search. Raises BadRequest for an attribute that has no meaning at study level."""
    plan = Plan()
    if query.institution is not None:
        plan.where.append(STUDY.c.institution == query.institution)
    elif not every_sender:
        plan.where.append(STUDY.c.shown == 1)
    if query.study_uid is not None:
        plan.where.append(STUDY.c.study_uid == query.study_uid)
    for condition in query.conditions:
        add_study_condition(plan, condition)
    return plan


def is_study_condition(condition: Condition) -> bool:
    tag = condition.tag.partition(".")[0]
    return tag[:4] == "0010" or tag in at.STUDY_TAGS or tag == "00080061"


def add_study_condition(plan: Plan, condition: Condition) -> None:
    tag = condition.tag
    if tag in _MODALITIES:
        plan.where.append(_modalities(condition))
    elif tag in _NAMES:
        _name(plan, condition)
    elif tag in _DATES:
        plan.where.append(ranged(_DATES[tag], condition, at.date))
    elif tag in _TIMES:
        plan.where.append(ranged(_TIMES[tag], condition, at.time))
    elif tag in _COLUMNS:
        _plain(plan, condition)
    elif is_study_condition(condition):
        plan.checks.append(json_check(condition))
    else:
        raise BadRequest(f"{tag} cannot be matched at this level")


def _modalities(condition: Condition) -> ColumnElement[bool]:
    if condition.match is Match.EMPTY:
        return STUDY.c.modalities == ""
    likes = [f"% {pattern_to_like(value)} %" for value in condition.values]
    return or_(*(STUDY.c.modalities.like(like, escape="\\") for like in likes))


def _name(plan: Plan, condition: Condition) -> None:
    letter, column = _NAMES[condition.tag]
    if condition.match is Match.EMPTY:
        plan.where.append(column == "")
        return
    patterns = condition.values
    if len(patterns) == 1:
        plan.tokens |= pattern_grams(letter, patterns[0]) or set()
    name = column.name
    plan.checks.append(lambda r: any(pattern_matches(p, r._mapping[name].split("\n")) for p in patterns))


def _plain(plan: Plan, condition: Condition) -> None:
    column, values = _COLUMNS[condition.tag], condition.values
    if condition.match is Match.EMPTY:
        plan.where.append(column == "")
    elif condition.match is Match.EQUAL:
        plan.where.append(column.in_(values) if len(values) > 1 else column == values[0])
    elif condition.match is Match.WILDCARD:
        _text(plan, condition, values[0])
    else:
        raise BadRequest(f"{condition.tag} has no ranges")


def _text(plan: Plan, condition: Condition, pattern: str) -> None:
    """Folded like the grams, so that `*ct-01*` finds CT-01: more is found than the standard's literal match would."""
    name = _COLUMNS[condition.tag].name
    if (letter := _TEXTS.get(condition.tag)) is None:
        expression = to_regex(pattern, ignore_case=True)
        plan.checks.append(lambda r: expression.fullmatch(r._mapping[name]) is not None)
        return
    plan.tokens |= pattern_grams(letter, pattern) or set()
    plan.checks.append(lambda r: pattern_matches(pattern, text_forms(r._mapping[name])))


def ranged(column: ColumnElement[str], condition: Condition, clean: Callable[[str], str]) -> ColumnElement[bool]:
    """Dates and times as text compare in order; what is no date is stored empty and lies in no range."""
    if condition.match is Match.EMPTY:
        return column == ""
    values = [clean(v) for v in condition.values]
    if any(v and not c for v, c in zip(condition.values, values, strict=True)) or condition.match is Match.WILDCARD:
        raise BadRequest(f"{condition.tag}: {condition.values} is no date or time")
    if condition.match is Match.EQUAL:
        return column.in_(values)
    low, high = values
    bounds = [column != ""]
    if low:
        bounds.append(column >= low)
    if high:
        bounds.append(column <= high + "~")  # 120000 as an upper end includes 120000.5
    return and_(*bounds)


def json_check(condition: Condition) -> Check:
    """A check of an attribute that only the JSON of the row has (`attributes`), also inside sequences."""
    path = condition.tag.split(".")
    return lambda r: value_matches(orjson.loads(r.attributes), path, condition)


def value_matches(header: dict[str, Any], path: list[str], condition: Condition) -> bool:
    """Whether some value at the path of the DICOM JSON matches."""
    values = list(_values(header, path))
    if condition.match is Match.EMPTY:
        return not any(values)
    if condition.match is Match.RANGE:
        low, high = condition.values
        return any(v and (not low or v >= low) and (not high or v <= high + "~") for v in values)
    if condition.match is Match.WILDCARD:
        expression = to_regex(condition.values[0], ignore_case=True)
        return any(expression.fullmatch(v) for v in values)
    return any(v in condition.values for v in values)


def _values(header: dict[str, Any], path: list[str]) -> Iterator[str]:
    for value in header.get(path[0], {}).get("Value", ()):
        if len(path) > 1:
            if isinstance(value, dict):
                yield from _values(value, path[1:])
        elif isinstance(value, dict):
            yield from (str(group) for group in value.values())
        else:
            yield str(value)


# --- running a study search ---

ORDER = (STUDY.c.study_date.desc(), STUDY.c.study_time.desc(), STUDY.c.pk.desc())
_KEY = tuple_(STUDY.c.study_date, STUDY.c.study_time, STUDY.c.pk)


@dataclass(frozen=True, slots=True)
class Hits:
    """Rows of `study` in order, and what is known of the rest."""

    rows: list[Row[Any]]
    total: int | None
    at_least: int
    next: str | None


def find_studies(tx: Connection, plan: Plan, query: Query, *, limit: int, count_limit: int) -> Hits:
    """A page of studies, newest first."""
    where = list(plan.where)
    if plan.tokens:
        pks = _candidates(tx, plan.tokens)
        if len(pks) <= _CANDIDATES:
            return _listed(tx, [*where, STUDY.c.pk.in_(pks)], plan.checks, query, limit)
        if query.count_exactly:
            every = text("SELECT rowid FROM study_grams WHERE study_grams MATCH :match")
            named = STUDY.c.pk.in_(every.bindparams(match=_match(plan.tokens)))
            return _listed(tx, [*where, named], plan.checks, query, limit)
    if plan.checks:
        if query.count_exactly:
            return _listed(tx, where, plan.checks, query, limit)
        return _walked(tx, where, plan.checks, query, limit)
    return _unchecked(tx, where, query, limit, None if query.count_exactly else count_limit)


def _match(tokens: set[str]) -> str:
    return " AND ".join(sorted(tokens))


def _candidates(tx: Connection, tokens: set[str]) -> list[int]:
    sql = text("SELECT rowid FROM study_grams WHERE study_grams MATCH :match LIMIT :most")
    return [r[0] for r in tx.execute(sql, {"match": _match(tokens), "most": _CANDIDATES + 1})]


def _unchecked(tx: Connection, where: list[ColumnElement[bool]], query: Query, limit: int, most: int | None) -> Hits:
    page = _behind(select(STUDY).where(*where), query).order_by(*ORDER).limit(limit + 1)
    if query.after is None:
        page = page.offset(query.offset)
    rows = list(tx.execute(page))
    more = len(rows) > limit
    counted = select(STUDY.c.pk).where(*where)
    if most is not None:
        counted = counted.limit(most + 1)
    total = tx.execute(select(func.count()).select_from(counted.subquery())).scalar_one()
    known = most is None or total <= most
    return Hits(rows[:limit], total if known else None, total, cursor_of(rows[limit - 1]) if more else None)


def _listed(tx: Connection, where: list[ColumnElement[bool]], checks: list[Check], query: Query, limit: int) -> Hits:
    """Every row is checked, so that the total is known; only the page is held."""
    behind = cursor_values(query.after) if query.after else None
    skip, total, passed = 0 if behind else query.offset, 0, 0
    page: list[Row[Any]] = []
    for row in _stream(tx, select(STUDY).where(*where)):
        if not all(check(row) for check in checks):
            continue
        total += 1
        if behind is None or (row.study_date, row.study_time, row.pk) < behind:
            passed += 1
            if skip < passed <= skip + limit:
                page.append(row)
    more = passed > skip + limit
    return Hits(page, total, total, cursor_of(page[-1]) if more and page else None)


def _walked(tx: Connection, where: list[ColumnElement[bool]], checks: list[Check], query: Query, limit: int) -> Hits:
    """Rows are checked in order until the page is full, or `_WALK` of them: then the cursor says where to go on."""
    skip, passed = 0 if query.after else query.offset, 0
    page: list[Row[Any]] = []
    stream = _stream(tx, _behind(select(STUDY).where(*where), query))
    for seen, row in enumerate(stream, 1):
        if all(check(row) for check in checks):
            passed += 1
            if passed > skip + limit:
                return Hits(page, None, passed, cursor_of(page[-1]))
            if passed > skip:
                page.append(row)
        if seen >= _WALK:
            return Hits(page, None, passed, cursor_of(row))
    return Hits(page, None if query.after else passed, passed, None)


def _stream(tx: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
    with tx.execution_options(yield_per=_BATCH).execute(statement.order_by(*ORDER)) as rows:
        yield from rows


def _behind(statement: Select[Any], query: Query) -> Select[Any]:
    if query.after is None:
        return statement
    return statement.where(tuple_(*cursor_values(query.after)) > _KEY)


def cursor_of(row: Row[Any]) -> str:
    raw = orjson.dumps([row.study_date, row.study_time, row.pk])
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def cursor_values(cursor: str) -> tuple[str, str, int]:
    """Raises BadRequest for what is no cursor of ours."""
    try:
        date, time, pk = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError) as e:
        raise BadRequest("`after` is not a cursor that this server gave") from e
    if not (isinstance(date, str) and isinstance(time, str) and isinstance(pk, int)):
        raise BadRequest("`after` is not a cursor that this server gave")
    return date, time, pk

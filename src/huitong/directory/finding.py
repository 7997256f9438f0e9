"""Searches of the directory's FHIR resources: conditions -> SQL, on one table or on several that stand for one type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, and_, false, not_, or_, true

from huitong.base.clock import moment
from huitong.directory import lookups
from huitong.directory.kinds import parts_of
from huitong.directory.model import Granted
from huitong.directory.tables import INSTITUTION
from huitong.wire.fhir.search import Condition, Range, Search

Answer = Callable[[Condition], ColumnElement[bool]]
Words = Column[Any]


@dataclass(frozen=True)
class Source:
    """A table, and how it answers each parameter; what it cannot answer it has nothing for."""

    table: Table
    answers: Mapping[str, Answer]
    #: What holds of all its rows that are of the type; None where all are.
    where: ColumnElement[bool] | None = None

    @property
    def base(self) -> list[ColumnElement[bool]]:
        return [] if self.where is None else [self.where]


@dataclass(frozen=True, slots=True)
class Found:
    """Rows with the place of their source, in the order of logical ids."""

    rows: list[tuple[int, Row[Any]]]
    total: int
    next: str
    #: By institution, for sources of institutions.
    certificates: Mapping[str, list[Row[Any]]]


def find(work: Granted, sources: Sequence[Source], search: Search) -> Found:
    """One page of what the sources have."""
    with work.store.database.read() as tx:
        rows: list[tuple[int, Row[Any]]] = []
        total = 0
        for at, source in enumerate(sources):
            where = [*source.base, *(_answer(source, each) for each in search.conditions)]
            total += lookups.count(tx, source.table, where)
            if search.count:
                found = lookups.page(tx, source.table, where, after=search.after, limit=search.count + 1)
                rows += [(at, row) for row in found]
        rows.sort(key=lambda each: str(each[1].logical_id).encode())
        page = rows[: search.count]
        more = page[-1][1].logical_id if len(rows) > len(page) and page else ""
        return Found(page, total, more, _certificates(tx, sources, page))


def read(work: Granted, sources: Sequence[Source], logical_id: str) -> Found:
    """The row of this id, or nothing."""
    with work.store.database.read() as tx:
        for at, source in enumerate(sources):
            for row in lookups.page(
                tx, source.table, [*source.base, source.table.c.logical_id == logical_id], after="", limit=1
            ):
                return Found([(at, row)], 1, "", _certificates(tx, sources, [(at, row)]))
    return Found([], 0, "", {})


def _certificates(
    tx: Any, sources: Sequence[Source], rows: Sequence[tuple[int, Row[Any]]]
) -> dict[str, list[Row[Any]]]:
    codes = [row.code for at, row in rows if sources[at].table is INSTITUTION]
    grouped: dict[str, list[Row[Any]]] = {}
    for each in lookups.certificates(tx, codes) if codes else []:
        grouped.setdefault(each.institution, []).append(each)
    return grouped


def _answer(source: Source, condition: Condition) -> ColumnElement[bool]:
    if condition.name == "_id":
        return source.table.c.logical_id.in_([each.code for each in condition.tokens()])
    if condition.name == "_lastUpdated":
        return or_(*(_moment(source.table.c.changed_at_ms, each) for each in condition.dates()))
    answer = source.answers.get(condition.name)
    return answer(condition) if answer else false()


# --- how a parameter is answered ---


def named(table: Table, column: str = "name") -> Answer:
    """string: the beginning of a word of a name in hanzi, pinyin or initials; `exact` the name as it is."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        if condition.modifier == "exact":
            return table.c[column].in_(condition.texts())
        match = lookups.contains if condition.modifier == "contains" else lookups.begins
        return or_(*(match(table, each) for each in condition.texts()))

    return answer


def written(column: Words) -> Answer:
    """string: the text as it stands; a part of it will do, as addresses have no order."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        if condition.modifier == "exact":
            return column.in_(condition.texts())
        return or_(*(column.icontains(each, autoescape=True) for each in condition.texts()))

    return answer


def beginning(column: Words) -> Answer:
    """token: a code or the beginning of one, as codes of regions are nested."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        return or_(*(column.startswith(each.code or "", autoescape=True) for each in condition.tokens()))

    return answer


def coded(*columns: tuple[Words, Collection[str]], values: Mapping[str, str] | None = None) -> Answer:
    """token: each column with the systems that its values are of; `values` are FHIR's words for ours."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        choices: list[ColumnElement[bool]] = []
        for each in condition.tokens():
            code = values.get(each.code or "", "?") if values is not None and each.code else each.code
            for column, systems in columns:
                if each.system is None or each.system in systems:
                    choices.append(column == code if code else column != "")
        return or_(false(), *choices)

    return answer


def constant(values: Collection[str]) -> Answer:
    """token: what all rows of the table have."""
    return lambda condition: true() if any(each.code in values for each in condition.tokens()) else false()


def institution_of(column: Words, department: Words | None = None) -> Answer:
    """reference to an Organization: an institution, with the departments that rows name, or a department."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        choices = []
        for each in condition.references():
            institution, *rest = parts_of(each.id)
            if not rest:
                choices.append(column == institution)
            elif department is not None:
                choices.append(and_(column == institution, department == rest[0]))
        return or_(false(), *choices)

    return answer


def code_of(column: Words) -> Answer:
    """reference to what is named by one code."""
    return lambda condition: or_(false(), *(column == parts_of(each.id)[0] for each in condition.references()))


def itself(table: Table) -> Answer:
    """reference to the resource of the same id."""
    return lambda condition: table.c.logical_id.in_([each.id for each in condition.references()])


def lasting(start: Words, end: Words) -> Answer:
    """date: a period of days, with both of them; empty is open."""

    def answer(condition: Condition) -> ColumnElement[bool]:
        return or_(*(_period(start, end, each) for each in condition.dates()))

    return answer


def _period(start: Words, end: Words, asked: Range) -> ColumnElement[bool]:
    first, behind = _day(asked.start_ms), _day(asked.end_ms)
    within = and_(start >= first, start != "", end < behind, end != "")
    later, earlier = or_(end == "", end >= behind), start < first  # an open start is "", before all days
    return {
        "eq": within,
        "ne": not_(within),
        "gt": later,
        "lt": earlier,
        "ge": or_(later, within),
        "le": or_(earlier, within),
        "sa": start >= behind,
        "eb": and_(end < first, end != ""),
        "ap": and_(start < behind, or_(end == "", end >= first)),
    }[asked.prefix]


def _day(at_ms: int) -> str:
    return moment(at_ms).strftime("%Y%m%d")


def _moment(column: Words, asked: Range) -> ColumnElement[bool]:
    within = and_(column >= asked.start_ms, column < asked.end_ms)
    after, before = column >= asked.end_ms, column < asked.start_ms
    return {
        "eq": within, "ap": within, "ne": not_(within), "gt": after, "sa": after, "lt": before, "eb": before,
        "ge": or_(within, after), "le": or_(within, before),
    }[asked.prefix]  # fmt: skip

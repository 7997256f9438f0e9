"""What a search asks of a study: a `Query` becomes a `Plan`, of SQL over columns, of grams, and of checks in Python.

Knows attributes and columns; `search` knows how a plan is run. SQL is put together of few constant pieces, and all
values are named apart from it: the same kind of search is the same statement, prepared once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from huitong.base.errors import BadRequest
from huitong.imaging import attributes as at
from huitong.store.database import Kind, among, listed
from huitong.wire.grams import pattern_grams
from huitong.wire.query import Condition, Match, Query
from huitong.wire.text import part_of, pattern_matches, text_forms, to_regex

#: Of a row with values by name.
Check = Callable[[Any], bool]

#: Values of one key, characters of one value, modalities of one key.
_VALUES = 1000
_VALUE_CHARS = 4096
_MODALITY_VALUES = 100


@dataclass
class Values:
    """What the names in SQL mean, so that its text is the same whatever the values are."""

    kind: Kind
    named: dict[str, Any] = field(default_factory=dict)

    def name(self, value: Any) -> str:
        """A name for the value, as it stands in SQL."""
        name = f"v{len(self.named)}"
        self.named[name] = value
        return f":{name}"

    def among(self, column: str, values: Sequence[str] | Sequence[int], kind: str = "text") -> str:
        """The condition that the column, of a `kind` of PostgreSQL's, has one of the values, however many there are."""
        if len(values) == 1:
            return f"{column} = {self.name(values[0])}"
        return among(self.kind, column, self.name(listed(self.kind, values)), kind)


@dataclass
class Plan:
    """What an index can decide, what SQL can, and what is left to look at. Conditions are SQL that names `values`."""

    values: Values
    #: The list of `study_day` that the studies are of.
    listed: str
    #: Conditions on `study_date` alone; they stand in `where` as well.
    days: list[str] = field(default_factory=list)
    #: Conditions that hold for nearly every row of an index, or are a range of its order.
    where: list[str] = field(default_factory=list)
    #: Equality on columns of `RANKED`: column -> values.
    keys: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    #: Conditions that no index helps with; and whether one of them needs more of a row than indices have.
    filters: list[str] = field(default_factory=list)
    reads_rows: bool = False
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
    "0020000D": "study_uid",
    "00100020": "patient_id",
    "00100040": "patient_sex",
    "00080050": "accession_number",
    "00200010": "study_id",
    "00081030": "description",
}
#: Records of people, by key: what a search by person asks for.
RECORD = "00100020.record"
#: That the number was issued by this institution.
ISSUED_BY = "00100021.institution"
#: Columns with an index of their own, the most selective first: it leads, the others are looked at.
RANKED = (
    "study_uid", "patient_pk", "accession_number", "patient_id", "patient_birth_date", "study_id", "institution",
    "patient_sex",
)  # fmt: skip
#: Attributes searched by text: gram field and the column of their forms.
_NAMES = {"00100010": ("n", "name_forms"), "00080090": ("r", "referring_forms")}
#: The function that finds a text in another.
_PLACE_OF = {"sqlite": "instr", "postgresql": "strpos"}
_TEXTS = {"00100020": "i", "00080050": "a", "00081030": "d"}
MODALITIES = ("00080061", "00080060")


def study_plan(kind: Kind, query: Query, *, every_sender: bool = False) -> Plan:
    """The plan of a study search. Raises BadRequest for an attribute that has no meaning at study level."""
    plan = Plan(Values(kind), "every" if every_sender else "shown")
    if query.institution is not None:
        plan.listed = f"at {query.institution}"
        _key(plan, "institution", (query.institution,))
    elif not every_sender:
        plan.where.append("shown = 1")
    if query.study_uid is not None:
        _key(plan, "study_uid", (query.study_uid,))
    for condition in query.conditions:
        add_study_condition(plan, condition)
    return plan


def is_study_condition(condition: Condition) -> bool:
    tag = condition.tag.partition(".")[0]
    return tag[:4] == "0010" or tag in at.STUDY_TAGS or tag == "00080061"


def bounded(condition: Condition) -> Condition:
    """The condition itself. Raises BadRequest where it is none that anybody means."""
    most = _MODALITY_VALUES if condition.tag in MODALITIES else _VALUES
    if len(condition.values) > most:
        raise BadRequest(f"{condition.tag}: more than {most} values")
    if any(len(value) > _VALUE_CHARS for value in condition.values):
        raise BadRequest(f"{condition.tag}: a value of more than {_VALUE_CHARS} characters")
    return condition


def add_study_condition(plan: Plan, condition: Condition) -> None:
    tag = bounded(condition).tag
    if tag == RECORD:
        _key(plan, "patient_pk", map(int, condition.values))
    elif tag == ISSUED_BY:
        _key(plan, "institution", condition.values)
    elif tag in MODALITIES:
        plan.modalities.append(condition)
    elif tag in _NAMES:
        _name(plan, condition)
    elif tag == "00080020":
        _study_date(plan, condition)
    elif tag == "00100030":
        _birth_date(plan, condition)
    elif tag == "00080030":
        plan.filters.append(ranged(plan.values, "study_time", condition, at.time))
    elif tag in _COLUMNS:
        _plain(plan, condition)
    elif is_study_condition(condition):
        plan.checks.append(json_check(condition))
        plan.needs.add("attributes")
    else:
        raise BadRequest(f"{tag} cannot be matched at this level")


def _key(plan: Plan, column: str, values: Iterable[str] | Iterable[int]) -> None:
    """Equality on an indexed column; the second for the same column is only looked at."""
    if column in RANKED and column not in plan.keys:
        plan.keys[column] = tuple(values)
    else:
        plan.filters.append(has_one(plan.values, column, looked_at(column), tuple(values)))


def looked_at(column: str) -> str:
    """The column's value, so written that no index on it is chosen."""
    return f"coalesce({column}, {0 if column in _NUMBERS_OF else repr('')})"


#: Columns that hold numbers.
_NUMBERS_OF = frozenset({"patient_pk"})


def has_one(values: Values, column: str, written: str, wanted: Sequence[Any]) -> str:
    """The condition that the column, written like this, has one of the values."""
    return values.among(written, wanted, "bigint" if column in _NUMBERS_OF else "text")


def _study_date(plan: Plan, condition: Condition) -> None:
    if condition.match is Match.EQUAL and len(condition.values) > 1:
        days = sorted(_cleaned(condition, at.date))
        plan.where.append(f"study_date BETWEEN {plan.values.name(days[0])} AND {plan.values.name(days[-1])}")
        plan.filters.append(plan.values.among(looked_at("study_date"), days))
    else:
        plan.days.append(ranged(plan.values, "study_date", condition, at.date))
        plan.where += plan.days


def _birth_date(plan: Plan, condition: Condition) -> None:
    column = "patient_birth_date"
    if condition.match is Match.RANGE:
        plan.filters.append(ranged(plan.values, looked_at(column), condition, at.date))
    else:
        _key(plan, column, [""] if condition.match is Match.EMPTY else _cleaned(condition, at.date))


def _name(plan: Plan, condition: Condition) -> None:
    letter, name = _NAMES[condition.tag]
    if condition.match is Match.EMPTY:
        plan.filters.append(f"{name} = ''")
        return
    patterns = condition.values
    if len(patterns) == 1:
        plan.tokens |= pattern_grams(letter, patterns[0]) or set()
        if part := part_of(patterns[0]):
            plan.filters.append(f"{_PLACE_OF[plan.values.kind]}({name}, {plan.values.name(part)}) > 0")
            plan.reads_rows = True
            return
    plan.needs.add(name)
    plan.checks.append(lambda r: any(pattern_matches(p, r[name].split("\n")) for p in patterns))


def _plain(plan: Plan, condition: Condition) -> None:
    column, values = _COLUMNS[condition.tag], condition.values
    if condition.match is Match.EMPTY:
        _key(plan, column, [""])
    elif condition.match is Match.EQUAL:
        _key(plan, column, values)
        if column not in RANKED and len(values) == 1 and not set("*?").intersection(values[0]):
            plan.tokens |= pattern_grams(_TEXTS[condition.tag], values[0]) or set()
    elif condition.match is Match.WILDCARD:
        _text(plan, condition, values[0])
    else:
        raise BadRequest(f"{condition.tag} has no ranges")


def _text(plan: Plan, condition: Condition, pattern: str) -> None:
    """Folded like the grams, so that `*ct-01*` finds CT-01: more is found than the standard's literal match would."""
    name = _COLUMNS[condition.tag]
    plan.needs.add(name)
    if (letter := _TEXTS.get(condition.tag)) is None:
        expression = to_regex(pattern, ignore_case=True)
        plan.checks.append(lambda r: expression.fullmatch(r[name]) is not None)
        return
    plan.tokens |= pattern_grams(letter, pattern) or set()
    plan.checks.append(lambda r: pattern_matches(pattern, text_forms(r[name])))


def ranged(values: Values, column: str, condition: Condition, clean: Callable[[str], str]) -> str:
    """Dates and times as text compare in order; what is no date is stored empty and lies in no range."""
    if condition.match is Match.EMPTY:
        return f"{column} = ''"
    cleaned = _cleaned(condition, clean)
    if condition.match is Match.EQUAL:
        return values.among(column, cleaned)
    low, high = cleaned
    bound = f"{column} >= {values.name(low)}" if low else f"{column} > ''"
    # 120000 as an upper end includes 120000.5
    return f"{bound} AND {column} <= {values.name(high + '~')}" if high else bound


def _cleaned(condition: Condition, clean: Callable[[str], str]) -> list[str]:
    values = [clean(v) for v in condition.values]
    if any(v and not c for v, c in zip(condition.values, values, strict=True)) or condition.match is Match.WILDCARD:
        raise BadRequest(f"{condition.tag}: {condition.values} is no date or time")
    return values


def json_check(condition: Condition) -> Check:
    """A check of an attribute that only the JSON of the row has (`attributes`), also inside sequences."""
    path = condition.tag.split(".")
    return lambda r: value_matches(orjson.loads(r["attributes"]), path, condition)


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

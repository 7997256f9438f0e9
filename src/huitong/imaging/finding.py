"""Answers to searches as DICOM JSON rows: those required at each level and those asked for (PS3.18 10.6.3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import orjson
from pydicom.datadict import dictionary_VR
from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from huitong.imaging import attributes as at
from huitong.imaging import lookups, search
from huitong.imaging.model import StoredInstance
from huitong.imaging.tables import INSTANCE, SERIES, STUDY
from huitong.wire.query import Condition, Found, Match, Query

#: Instance rows whose headers are read to answer conditions that only the header holds.
_HEADERS = 5000
#: What a row below study level carries of its study, for answers and checks.
_OF_STUDY = (
    STUDY.c.study_uid,
    STUDY.c.name_forms,
    STUDY.c.referring_forms,
    STUDY.c.patient_id,
    STUDY.c.accession_number,
    STUDY.c.attributes.label("study_attributes"),
    STUDY.c.description.label("study_description"),
)


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
    plan, checks = search.Plan(), []
    below = [c for c in query.conditions if not _goes_up(c, at.SERIES_TAGS | {"0020000E"})]
    for condition in below:
        column = _SERIES_COLUMNS.get(condition.tag)
        if column is not None and condition.match is Match.EQUAL:
            plan.where.append(column.in_(_typed(column, condition.values)))
        else:
            checks.append(search.json_check(condition))
    up = search.study_plan(_upper(query, below))
    statement = select(SERIES, *_OF_STUDY).join(STUDY, STUDY.c.pk == SERIES.c.study_pk).where(*up.where, *plan.where)
    order = (*search.ORDER, SERIES.c.series_number.is_(None), SERIES.c.series_number, SERIES.c.pk)
    rows, total, at_least, more = _paged(
        tx, statement, order, [*_upwards(up.checks), *checks], query, limit, count_limit
    )
    answers = [_series_json(r, query) for r in rows]
    return Found(answers, total, at_least, str(query.offset + limit) if more else None)


def _goes_up(condition: Condition, own: Iterable[str]) -> bool:
    """Whether a condition below study level speaks of the study."""
    return condition.tag.partition(".")[0] not in own and search.is_study_condition(condition)


def _upper(query: Query, below: list[Condition]) -> Query:
    return Query(
        query.level,
        tuple(c for c in query.conditions if c not in below),
        study_uid=query.study_uid,
        institution=query.institution,
    )


def _upwards(checks: list[search.Check]) -> list[search.Check]:
    """Study checks, run on a joined row in which the study's own JSON and description have other names."""
    return [lambda r, check=check: check(_StudyView(r)) for check in checks]  # type: ignore[misc]


class _StudyView:
    """A joined row, seen as a row of the study table."""

    def __init__(self, row: Row[Any]) -> None:
        self.attributes = row.study_attributes
        self._mapping = {**row._mapping, "description": row.study_description}


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
    where, deep, up = [INSTANCE.c.variant == 0], [], []
    for condition in query.conditions:
        column = _INSTANCE_COLUMNS.get(condition.tag)
        if column is not None and condition.match is Match.EQUAL:
            where.append(column.in_(_typed(column, condition.values)))
        elif column is None and search.is_study_condition(condition):
            up.append(condition)
        else:
            deep.append(condition)
    if query.series_uid is not None:
        where.append(SERIES.c.series_uid == query.series_uid)
    plan = search.study_plan(Query(query.level, tuple(up), study_uid=query.study_uid, institution=query.institution))
    statement = (
        select(INSTANCE, *_OF_STUDY)
        .join(SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
        .join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
    )
    order = (*search.ORDER, SERIES.c.series_number.is_(None), SERIES.c.series_number, SERIES.c.pk, *lookups.IN_SERIES)
    checks = _upwards(plan.checks) + [_header_check(tx, c, read_header) for c in deep]
    rows, total, at_least, more = _paged(
        tx, statement.where(*plan.where, *where), order, checks, query, limit, count_limit
    )
    stored = lookups.instances_by_pk(tx, [r.pk for r in rows])
    answers = [_instance_json(stored[r.pk], read_header(stored[r.pk]), query) for r in rows]
    return Found(answers, total, at_least, str(query.offset + limit) if more else None)


def _header_check(tx: Connection, condition: Condition, read_header: HeaderReader) -> search.Check:
    path = condition.tag.split(".")

    def check(r: Row[Any]) -> bool:
        stored = lookups.instances_by_pk(tx, [r.pk])[r.pk]
        return search.value_matches(read_header(stored), path, condition)

    return check


def _instance_json(stored: StoredInstance, header: dict[str, Any], query: Query) -> dict[str, Any]:
    known = {tag: element for tag, element in header.items() if "BulkDataURI" not in element}
    known["00080056"] = {"vr": "CS", "Value": ["ONLINE"]}
    if stored.frames is not None and "00280008" not in known and stored.frames.count > 1:
        known["00280008"] = {"vr": "IS", "Value": [stored.frames.count]}
    return pick(known, at.INSTANCE_RETURNED, query)


# --- paging below study level ---


def _paged(
    tx: Connection,
    statement: Select[Any],
    order: Iterable[Any],
    checks: list[search.Check],
    query: Query,
    limit: int,
    count_limit: int,
) -> tuple[list[Row[Any]], int | None, int, bool]:
    """Rows of the page, the total if known, how many at least, and whether there are more."""
    offset = int(query.after) if query.after and query.after.isdigit() else query.offset
    ordered = statement.order_by(*order)
    if checks:
        passed = [r for r in tx.execute(ordered.limit(_HEADERS)) if all(check(r) for check in checks)]
        return passed[offset : offset + limit], len(passed), len(passed), len(passed) > offset + limit
    rows = list(tx.execute(ordered.offset(offset).limit(limit + 1)))
    counted = statement.with_only_columns(STUDY.c.pk).limit(count_limit + 1)
    total = tx.execute(select(func.count()).select_from(counted.subquery())).scalar_one()
    return rows[:limit], total if total <= count_limit else None, total, len(rows) > limit

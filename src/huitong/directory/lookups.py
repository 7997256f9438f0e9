"""Reading: rows of each kind for pages and FHIR, load reports, certificates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Table, desc, func, or_, select

from huitong.directory.model import LoadReport, Refusal
from huitong.directory.tables import CERTIFICATE, DEPARTMENT, ENDPOINT, INSTITUTION, LOAD, PRACTITIONER, REFUSED, ROLE
from huitong.wire.text import fold

Where = Sequence[ColumnElement[bool]]


def contains(table: Table, text: str) -> ColumnElement[bool]:
    """Whether a form of the row's names has this text anywhere: hanzi, pinyin, initials."""
    return table.c.folded.contains(fold(text), autoescape=True)


def begins(table: Table, text: str) -> ColumnElement[bool]:
    """Whether a form, or a word of it, begins with this text (FHIR R4 3.1.1.4.8)."""
    plain = fold(text)
    return or_(*(table.c.folded.contains(f"{mark}{plain}", autoescape=True) for mark in ("\n", " ")))


def one(tx: Connection, table: Table, logical_id: str) -> Row[Any] | None:
    return tx.execute(select(table).where(table.c.logical_id == logical_id)).first()


def page(tx: Connection, table: Table, where: Where, *, after: str, limit: int) -> list[Row[Any]]:
    """In the order of their logical ids, behind `after`."""
    wanted = select(table).where(*where, table.c.logical_id > after).order_by(table.c.logical_id).limit(limit)
    return list(tx.execute(wanted))


def count(tx: Connection, table: Table, where: Where) -> int:
    return int(tx.execute(select(func.count()).select_from(table).where(*where)).scalar_one())


def institutions(
    tx: Connection, text: str, region: str, level: str, *, after: str, limit: int
) -> tuple[int, list[Row[Any]]]:
    """How many there are, and those behind the code `after`. `text` is a part of a name or of a code."""
    i = INSTITUTION.c
    where: list[ColumnElement[bool]] = []
    if text.strip():
        code = i.code.contains(text.strip().upper(), autoescape=True)
        named = [contains(INSTITUTION, text)] if fold(text) else []
        where.append(or_(code, i.credit_code == text.strip().upper(), *named))
    if region:
        where.append(i.region.startswith(region.rstrip("0") if len(region) == 6 else region, autoescape=True))
    if level:
        where.append(i.level == level)
    wanted = select(INSTITUTION).where(*where, i.code > after).order_by(i.code).limit(limit)
    return count(tx, INSTITUTION, where), list(tx.execute(wanted))


def institution(tx: Connection, code: str) -> Row[Any] | None:
    return tx.execute(select(INSTITUTION).where(INSTITUTION.c.code == code)).first()


def departments(tx: Connection, code: str) -> list[Row[Any]]:
    return list(tx.execute(select(DEPARTMENT).where(DEPARTMENT.c.institution == code).order_by(DEPARTMENT.c.code)))


def endpoints(tx: Connection, code: str) -> list[Row[Any]]:
    return list(tx.execute(select(ENDPOINT).where(ENDPOINT.c.institution == code).order_by(ENDPOINT.c.code)))


def staff(tx: Connection, code: str, limit: int) -> list[Row[Any]]:
    """Roles at the institution with the names of who has them and of the department."""
    columns = (*ROLE.c, PRACTITIONER.c.name, DEPARTMENT.c.name.label("department_name"))
    at = (DEPARTMENT.c.institution == ROLE.c.institution) & (DEPARTMENT.c.code == ROLE.c.department)
    joined = ROLE.join(PRACTITIONER, PRACTITIONER.c.code == ROLE.c.practitioner).outerjoin(DEPARTMENT, at)
    wanted = select(*columns).select_from(joined).where(ROLE.c.institution == code)
    return list(tx.execute(wanted.order_by(ROLE.c.department, ROLE.c.practitioner, ROLE.c.role).limit(limit)))


def certificates(tx: Connection, codes: Sequence[str], item: str = "") -> list[Row[Any]]:
    """Of these institutions, all or for one item; newest first."""
    c = CERTIFICATE.c
    where = [c.institution.in_(codes), *([c.item == item] if item else [])]
    return list(tx.execute(select(CERTIFICATE).where(*where).order_by(c.institution, c.item, desc(c.valid_from))))


def loads(tx: Connection, limit: int) -> list[LoadReport]:
    """Newest first, without their refusals."""
    return [_report(r) for r in tx.execute(select(LOAD).order_by(desc(LOAD.c.pk)).limit(limit))]


def load(tx: Connection, pk: int) -> LoadReport | None:
    """With every refusal."""
    found = tx.execute(select(LOAD).where(LOAD.c.pk == pk)).first()
    if found is None:
        return None
    r = REFUSED.c
    columns = (r.line, r.field, r.value, r.reason_zh, r.reason_en)
    rows = tx.execute(select(*columns).where(r.load_pk == pk).order_by(r.line, r.pk))
    return _report(found, tuple(Refusal(*row) for row in rows))


def _report(r: Row[Any], refusals: tuple[Refusal, ...] = ()) -> LoadReport:
    return LoadReport(
        r.pk, r.at_ms, r.file, r.sha256, r.kind, r.added, r.changed, r.unchanged, r.refused,
        tuple(orjson.loads(r.ignored)), refusals,
    )  # fmt: skip

"""Writing: rows of each kind, reports of what was loaded, and the mark that tells every process of a change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson
from sqlalchemy import Connection, insert, select, update

from huitong.directory.kinds import Kind, folded, logical_id
from huitong.directory.model import LoadReport
from huitong.directory.tables import INSTITUTION, LOAD, REFUSED
from huitong.store import marks

#: Its value goes up with every change; processes look at it from time to time (`following`).
MARK = "directory"


@dataclass(frozen=True, slots=True)
class Kept:
    """A row as it is."""

    pk: int
    version: int
    row: dict[str, str]


def rows_by_key(tx: Connection, kind: Kind) -> dict[tuple[str, ...], Kept]:
    """All of a kind."""
    names = [each.name for each in kind.fields]
    columns = [kind.table.c.pk, kind.table.c.version, *(kind.table.c[name] for name in names)]
    found = {}
    for pk, version, *values in tx.execute(select(*columns)):
        row = dict(zip(names, values, strict=True))
        found[tuple(row[name] for name in kind.key)] = Kept(pk, version, row)
    return found


def institution_codes(tx: Connection) -> set[str]:
    return set(tx.execute(select(INSTITUTION.c.code)).scalars())


def add(tx: Connection, kind: Kind, rows: Sequence[dict[str, str]], at_ms: int) -> None:
    made = [
        {**row, "logical_id": logical_id(kind, row), "version": 1, "changed_at_ms": at_ms, "folded": folded(kind, row)}
        for row in rows
    ]
    if made:
        tx.execute(insert(kind.table), made)


def change(tx: Connection, kind: Kind, before: Kept, row: dict[str, str], at_ms: int) -> None:
    new = {**row, "version": before.version + 1, "changed_at_ms": at_ms, "folded": folded(kind, row)}
    tx.execute(update(kind.table).where(kind.table.c.pk == before.pk).values(**new))


def note_change(tx: Connection) -> None:
    marks.write(tx, MARK, str(int(marks.read(tx, MARK) or 0) + 1))


def add_report(tx: Connection, report: LoadReport) -> LoadReport:
    """The report with its key."""
    values = {
        name: getattr(report, name)
        for name in ("at_ms", "file", "sha256", "kind", "added", "changed", "unchanged", "refused")
    }
    ignored = orjson.dumps(report.ignored).decode()
    pk = tx.execute(insert(LOAD).values(**values, ignored=ignored).returning(LOAD.c.pk)).scalar_one()
    refusals = [
        {
            "load_pk": pk,
            "line": each.line,
            "field": each.field,
            "value": each.value,
            "reason_zh": each.reason_zh,
            "reason_en": each.reason_en,
        }
        for each in report.refusals
    ]
    if refusals:
        tx.execute(insert(REFUSED), refusals)
    return replace(report, pk=pk)

"""The schema that migrations make is the one that the tables describe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from huitong.imaging import tables
from huitong.store.sqlite import SqliteDatabase

#: Made by hand: SQLAlchemy knows no virtual tables, nor the tables that FTS5 keeps behind one, nor triggers.
_BY_HAND = ("study_grams", "study_day")


def _ours(_object: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:
    return not (kind == "table" and (name or "").startswith(_BY_HAND))


def test_a_migrated_database_has_the_tables_columns_and_indices_that_are_described(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "index.sqlite")
    database.migrate()
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={"include_object": _ours, "compare_type": False})
        assert compare_metadata(context, tables.STUDY.metadata) == []
        assert {row[0] for row in tx.exec_driver_sql("SELECT name FROM sqlite_master")} >= {*_BY_HAND, "study_by_sex"}
    database.close()

"""The databases of both homes, for the suites that hold each to one contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests import homes

from huitong.store.database import Database
from huitong.store.postgres import PostgresDatabase
from huitong.store.sqlite import SqliteDatabase

SQLITE, POSTGRESQL = "sqlite", "postgresql"
BOTH = [SQLITE, pytest.param(POSTGRESQL, marks=pytest.mark.scaled)]


@dataclass
class Databases:
    """One place, and as many databases open on it as there are processes; closed at the end."""

    kind: str
    open_another: Callable[[], Database]

    def __post_init__(self) -> None:
        self.opened: list[Database] = []

    def open(self) -> Database:
        self.opened.append(self.open_another())
        return self.opened[-1]


@pytest.fixture(params=BOTH)
def empty_databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Databases]:
    """Without a schema."""
    if request.param == SQLITE:
        made = Databases(SQLITE, lambda: SqliteDatabase(tmp_path / "index.sqlite"))
    else:
        url = homes.new_database(migrated=False)
        made = Databases(POSTGRESQL, lambda: PostgresDatabase(url))
    yield made
    for each in made.opened:
        each.close()


@pytest.fixture
def databases(empty_databases: Databases) -> Databases:
    empty_databases.open().migrate()
    return empty_databases


@pytest.fixture
def database(databases: Databases) -> Database:
    return databases.opened[0]

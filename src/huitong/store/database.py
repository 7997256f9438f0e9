"""The database by URL: transactions to read and to write, migrations, and its faults in our own words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from huitong.base.errors import OurFault, StoreFull, StoreUnavailable

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged commit survives a power cut, not only kill -9
    "foreign_keys=ON",
    "busy_timeout=20000",
    "cache_size=-32000",
    "mmap_size=1073741824",
    "journal_size_limit=268435456",
    "temp_store=MEMORY",
)
_WRITE = {"huitong_write": True}


class Database:
    """Transactions on one SQLite file.

    Reads see one snapshot and never wait; a write takes the lock at once, so that two writers queue instead of failing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self._engine = _sqlite_engine(self.url)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with _database_faults(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Committed and durable when the block ends; undone when it raises."""
        with _database_faults(), self._engine.connect().execution_options(**_WRITE) as connection, connection.begin():
            yield connection

    def migrate(self) -> None:
        """The schema is the newest; nothing happens when it was."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self._engine
        command.upgrade(config, "head")

    def close(self) -> None:
        self._engine.dispose()


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=8, max_overflow=32, pool_reset_on_return="rollback")

    @event.listens_for(engine, "connect")
    def _connected(raw: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves, see _begin
        for pragma in _PRAGMAS:
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("huitong_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


@contextmanager
def _database_faults() -> Iterator[None]:
    try:
        yield
    except OperationalError as e:
        raise _fault_of(e) from e
    except IntegrityError as e:  # two processes wrote the same at once; the second may simply try again
        raise StoreUnavailable(str(e.orig)) from e


def _fault_of(error: DBAPIError) -> OurFault:
    text = str(error.orig)
    return (StoreFull if "full" in text else StoreUnavailable)(text)

"""The database: transactions to read and to write, sessions for the hot path, migrations, faults in our own words.

SQLAlchemy builds the searches. Where objects are kept, building and pooling cost ten times what the statements do
(docs/benchmarks.md), so that path has a `Session`: one connection kept open, plain SQL with `:name` parameters.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from huitong.base.errors import OurFault, StoreFull, StoreUnavailable
from huitong.store.files import free_bytes

_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged commit survives a power cut, not only kill -9
    "foreign_keys=ON",
    "busy_timeout=20000",
    "cache_size=-8000",  # of each connection, in KiB: the operating system caches the file for all of them
    "journal_size_limit=268435456",
    "temp_store=MEMORY",
)
_WRITE = {"huitong_write": True}
#: How long `Database.check` waits for writers before it: several groups' commits, on a slow disk too.
_CHECK_TIMEOUT_S = 3.0
#: A volume with less room than this is full, whatever SQLite calls what it met there.
_NO_ROOM_BYTES = 1 << 20


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
        with _faults(self.path), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Committed and durable when the block ends; undone when it raises."""
        with _faults(self.path), self._engine.connect().execution_options(**_WRITE) as connection, connection.begin():
            yield connection

    def session(self) -> Session:
        """A connection of its own, to be used by one thread at a time and closed by whoever asked for it."""
        return Session(self.path)

    def migrate(self) -> None:
        """The schema is the newest; nothing happens when it was."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self._engine
        with _faults(self.path):
            command.upgrade(config, "head")

    def check(self) -> None:
        """Raises StoreUnavailable or StoreFull unless the file, opened anew, gives a row and lets a write begin."""
        uri = f"{self.path.absolute().as_uri()}?mode=rw"  # never makes a file
        with (
            _faults(self.path),
            closing(sqlite3.connect(uri, uri=True, timeout=_CHECK_TIMEOUT_S, isolation_level=None)) as raw,
        ):
            raw.execute("SELECT * FROM pack LIMIT 1").fetchall()
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("ROLLBACK")

    def close(self) -> None:
        self._engine.dispose()


class Session:
    """One connection and plain SQL; statements are prepared once and kept by the driver."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with _faults(path):
            self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
            try:
                self._raw.row_factory = sqlite3.Row
                for pragma in _PRAGMAS:
                    self._raw.execute(f"PRAGMA {pragma}")
            except BaseException:
                self._raw.close()
                raise

    @contextmanager
    def write(self) -> Iterator[None]:
        """Committed and durable when the block ends; undone when it raises."""
        with _faults(self._path):
            self._raw.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._raw.execute("COMMIT")
            except BaseException:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Rows with attributes by index and by name (`row["name"]`)."""
        with _faults(self._path):
            return self._raw.execute(sql, parameters).fetchall()

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        with _faults(self._path):
            self._raw.execute(sql, parameters)

    def insert(self, sql: str, parameters: Mapping[str, Any]) -> int:
        """The key of the new row; `sql` ends with `RETURNING pk`."""
        with _faults(self._path):
            return int(self._raw.execute(sql, parameters).fetchone()[0])

    def run_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with _faults(self._path):
            self._raw.executemany(sql, rows)

    def close(self) -> None:
        self._raw.close()


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
def _faults(path: Path) -> Iterator[None]:
    """What the driver raises, by itself or through SQLAlchemy, in our own words; mistakes of ours stay as they are."""
    try:
        yield
    except (sqlite3.DatabaseError, DBAPIError) as e:
        cause = e.orig if isinstance(e, DBAPIError) else e
        if isinstance(cause, (sqlite3.OperationalError, sqlite3.IntegrityError)):
            raise _fault_of(str(cause), path) from e
        if type(cause) is sqlite3.DatabaseError:  # malformed, or no database at all
            raise StoreUnavailable(f"{path.name}: {cause}") from e
        raise


def _fault_of(text: str, path: Path) -> OurFault:
    """A broken constraint means two processes wrote the same at once: the sender may simply try again."""
    full = "full" in text or (text in _WITHOUT_ROOM and _has_no_room(path.parent))
    return (StoreFull if full else StoreUnavailable)(text)


#: What SQLite says on a full volume where it wants a file of its own, for its shared memory say.
_WITHOUT_ROOM = ("disk I/O error", "unable to open database file")


def _has_no_room(folder: Path) -> bool:
    try:
        return free_bytes(folder) < _NO_ROOM_BYTES
    except OSError:
        return False

"""The database in one SQLite file: the embedded home. `database` has the contract."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

from huitong.base.errors import OurFault, StoreFull, StoreUnavailable
from huitong.store.database import Claim, Database, OneWrite, Session
from huitong.store.files import free_bytes

_BUSY_S = 20
_PRAGMAS = (
    "synchronous=FULL",  # an acknowledged commit survives a power cut, not only kill -9
    "foreign_keys=ON",
    f"busy_timeout={_BUSY_S * 1000}",
    "cache_size=-8000",  # of each connection, in KiB: the operating system caches the file for all of them
    "journal_size_limit=268435456",
    "temp_store=MEMORY",
)
_WRITE = {"huitong_write": True}
#: How long `Database.check` waits for writers before it: several groups' commits, on a slow disk too.
_CHECK_TIMEOUT_S = 3.0
#: A volume with less room than this is full, whatever SQLite calls what it met there.
_NO_ROOM_BYTES = 1 << 20


class SqliteDatabase(Database):
    """A write takes the lock of the file at once, so that two writers queue instead of failing."""

    kind = "sqlite"

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.name = f"sqlite:///{path}"
        self._engine = _engine(self.name)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._faults(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with (
            self.one_write.opened(),
            self._faults(),
            self._engine.connect().execution_options(**_WRITE) as connection,
            connection.begin(),
        ):
            yield connection

    def lock(self, write: Connection, names: Iterable[str]) -> None:
        """Who writes is alone."""

    def session(self) -> Session:
        return SqliteSession(self.path, self.one_write)

    def check(self) -> None:
        uri = f"{self.path.absolute().as_uri()}?mode=rw"  # never makes a file
        with (
            self._faults(),
            closing(sqlite3.connect(uri, uri=True, timeout=_CHECK_TIMEOUT_S, isolation_level=None)) as raw,
        ):
            raw.execute("SELECT * FROM pack LIMIT 1").fetchall()
            raw.execute("BEGIN IMMEDIATE")
            raw.execute("ROLLBACK")

    @contextmanager
    def turns(self, names: Iterable[str]) -> Iterator[set[str]]:
        """Of the processes on one folder only `serve` takes turns, and there is one of it."""
        yield set(names)

    def claim(self, *, alone: bool) -> Claim:
        """The lock of the data folder says it for this file (`store`)."""
        return Claim()

    def _faults(self) -> AbstractContextManager[None]:
        return _faults(self.path)


class SqliteSession(Session):
    """Statements are prepared once and kept by the driver."""

    kind = "sqlite"
    broken = False

    def __init__(self, path: Path, one_write: OneWrite) -> None:
        self._path, self._one_write = path, one_write
        with _faults(path):
            self._raw = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
            try:
                self._raw.row_factory = sqlite3.Row
                prepare(self._raw)
            except BaseException:
                self._raw.close()
                raise

    @contextmanager
    def write(self) -> Iterator[None]:
        with self._one_write.opened(), _faults(self._path):
            self._raw.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._raw.execute("COMMIT")
            except BaseException:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with _faults(self._path):
            self._raw.execute("BEGIN")
            try:
                yield
            finally:
                if self._raw.in_transaction:
                    self._raw.execute("ROLLBACK")

    def lock(self, names: Iterable[str]) -> None:
        """Who writes is alone."""

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        with _faults(self._path):
            return self._raw.execute(sql, parameters).fetchall()

    def each(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
        with _faults(self._path), closing(self._raw.execute(sql, parameters)) as cursor:
            yield from cursor

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        with _faults(self._path):
            self._raw.execute(sql, parameters)

    def run_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with _faults(self._path):
            self._raw.executemany(sql, rows)

    def close(self) -> None:
        self._raw.close()


def _engine(url: str) -> Engine:
    engine = create_engine(url, pool_size=8, max_overflow=32, pool_reset_on_return="rollback")

    @event.listens_for(engine, "connect")
    def _connected(raw: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves, see _begin
        prepare(raw)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writing = connection.get_execution_options().get("huitong_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")

    return engine


def prepare(raw: sqlite3.Connection) -> None:
    """A new connection as all are here."""
    for pragma in _PRAGMAS:
        raw.execute(f"PRAGMA {pragma}")
    end = time.monotonic() + _BUSY_S
    while not _is_wal(raw, end):
        time.sleep(0.01)


def _is_wal(raw: sqlite3.Connection, end_s: float) -> bool:
    """Whether the file is WAL now; of connections that make a new one so, SQLite refuses some whatever they wait."""
    try:
        raw.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as e:
        if e.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end_s:
            raise
        return False
    return True


@contextmanager
def _faults(path: Path) -> Iterator[None]:
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

"""The database in PostgreSQL: the home of many processes on many machines. `database` has the contract.

Reads are REPEATABLE READ (one snapshot), writes READ COMMITTED behind advisory locks: what is read after a lock is what
the one who held it before committed. Text columns compare bytewise (COLLATE "C"), as SQLite's do.
"""

from __future__ import annotations

import re
import select
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg
from psycopg.types.string import StrDumperUnknown
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from huitong.base import log as logs
from huitong.base.errors import OurFault, SettingsError, StoreFull, StoreUnavailable
from huitong.store.database import Claim, Database, OneWrite, Session, lock_keys

log = logs.logger(__name__)
#: How a connection is made: a server that is gone is noticed in seconds, and no answer is waited for without end.
_CONNECT: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "huitong",
}
#: `synchronous_commit`: an acknowledged commit survives a power cut, whatever the server's default is. `jit`: our
#: statements take a millisecond, compiling one a hundred.
_OPTIONS = "-c synchronous_commit=on -c jit=off -c lock_timeout=20000 -c idle_in_transaction_session_timeout=600000"
_READING = f"{_OPTIONS} -c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
#: What this needs: `INSERT … RETURNING`, covering indices, generated keys are older; older servers are out of support.
_OLDEST = 13
#: SQLSTATE classes (PostgreSQL, appendix A) that are faults of the server or of two at once; all others are mistakes of
#: ours and stay what they are. A table that is not there: the database is another, or has not been restored yet.
_SERVER_FAULTS = ("08", "23", "25", "40", "53", "55", "57", "58", "XX")
_DISK_FULL, _NO_TABLE = "53100", "42P01"
#: An answer that takes longer is waited for as long as the server answers others.
_PATIENCE_S = 8.0
#: The names of the two locks by which processes tell of themselves, and how long they are waited for.
_CLAIM, _CLAIM_WAIT_S = "huitong.claim", 3.0


#: Rows of `Session.each` that are fetched together; names for the server's cursors.
_EACH_ROWS = 500
_CURSORS = count(1)


class _WithoutNul(StrDumperUnknown):
    """PostgreSQL's text holds no NUL; in a header it is padding at the wrong place."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "") if "\0" in obj else obj)


class _Connection(psycopg.Connection[Any]):
    """A connection that waits for no server that hangs.

    A statement may take minutes where there is much to do. Whether it does, or the server stands still (its disk, its
    machine), another connection tells: that one is made within seconds or not at all.
    """

    url = ""

    def wait(self, gen: Generator[Any, Any, Any], *args: Any, **more: Any) -> Any:
        return super().wait(self._watched(gen), *args, **more)

    def _watched(self, gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        look_at = time.monotonic() + _PATIENCE_S
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > look_at:
                    self._look()
                    look_at = time.monotonic() + _PATIENCE_S
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value

    def _look(self) -> None:
        try:
            psycopg.connect(self.url, **_CONNECT).close()
        except psycopg.errors.ConnectionTimeout:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server does not answer") from None
        except psycopg.Error:  # it answers, or the kernel will soon say that it is gone
            return

    @property
    def hung_up(self) -> bool:
        """Whether the server ended an idle connection: it says so by itself, or its kernel does."""
        if self.closed or self.broken:
            return True
        said = select.poll()
        said.register(self.pgconn.socket, select.POLLIN)
        return bool(said.poll(0))


def _connected(url: str, options: str, **more: Any) -> _Connection:
    raw = _Connection.connect(url, options=options, **_CONNECT, **more)
    raw.url = url
    raw.adapters.register_dumper(str, _WithoutNul)
    return raw


class PostgresDatabase(Database):
    """`url` as libpq reads it: postgresql://user:password@host:port/database?sslmode=verify-full."""

    kind = "postgresql"

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.name = make_url(url).render_as_string(hide_password=True)
        self._engine = _engine(url, _OPTIONS)
        self._reading = _engine(url, _READING)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._faults(), self._reading.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        with self.one_write.opened(), self._faults(), self._engine.connect() as connection, connection.begin():
            yield connection

    def lock(self, write: Connection, names: Iterable[str]) -> None:
        write.execute(text(_LOCK), {"keys": lock_keys(names)})

    def session(self) -> Session:
        return PostgresSession(self._url, self.one_write)

    def migrate(self) -> None:
        with closing(PostgresSession(self._url, self.one_write)) as session:
            self._look_at(session)
        super().migrate()

    def _look_at(self, session: Session) -> None:
        """Raises SettingsError for a server on which promises could not be kept."""
        said = session.rows(
            "SELECT current_setting('server_version_num')::int / 10000 AS version, current_setting('fsync') AS fsync,"
            " current_setting('full_page_writes') AS pages, current_setting('server_encoding') AS encoding",
            {},
        )[0]
        if said["version"] < _OLDEST:
            raise SettingsError(f"PostgreSQL {said['version']} is too old; {_OLDEST} or later is needed")
        if said["encoding"] != "UTF8":
            raise SettingsError(f"the database has the encoding {said['encoding']}; names in Chinese need UTF8")
        if (said["fsync"], said["pages"]) != ("on", "on"):
            log.warning("a power cut can lose what was acknowledged", fsync=said["fsync"], pages=said["pages"])

    def check(self) -> None:
        with closing(PostgresSession(self._url, self.one_write)) as session:
            session.rows("SELECT pk FROM pack LIMIT 1", {})
            if session.rows("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::bool", {})[0][0]:
                raise StoreUnavailable("the database takes no writes just now")

    @contextmanager
    def turns(self, names: Iterable[str]) -> Iterator[set[str]]:
        """Held by a connection of their own, so that they end with the process."""
        keys = {lock_keys([name])[0]: name for name in names}
        with closing(PostgresSession(self._url, self.one_write)) as session:
            tried = session.rows(_TRY, {"keys": list(keys)})
            yield {keys[row["key"]] for row in tried if row["ours"]}

    def claim(self, *, alone: bool) -> Claim:
        return _PostgresClaim(self.session, alone)

    def _faults(self) -> AbstractContextManager[None]:
        return _faults()

    def close(self) -> None:
        super().close()
        self._reading.dispose()


class PostgresSession(Session):
    """One connection in autocommit mode; transactions are those of `write` and `snapshot`."""

    kind = "postgresql"

    def __init__(self, url: str, one_write: OneWrite) -> None:
        self._one_write = one_write
        with _faults():
            self._raw = _connected(url, _OPTIONS, autocommit=True, row_factory=_by_index_and_name)
            self._cursor = self._raw.cursor()
            # Of what is not asked for rows. Within a pipeline its results may come after another statement has begun;
            # on one cursor for both, that statement would take them for its own.
            self._told = self._raw.cursor()

    @contextmanager
    def write(self) -> Iterator[None]:
        # Statements without an answer do not wait for one: the next that has one, or the commit, waits for all.
        with self._one_write.opened(), _faults(), self._raw.pipeline(), self._raw.transaction():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with _faults():
            self._told.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield
            finally:
                with suppress(psycopg.Error):  # the connection is gone: then so is the transaction
                    self._told.execute("ROLLBACK")

    def lock(self, names: Iterable[str]) -> None:
        self.rows(_LOCK, {"keys": lock_keys(names)})

    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        with _faults():
            return self._cursor.execute(_as_psycopg(sql), parameters).fetchall()

    def each(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
        with _faults(), self._raw.cursor(f"each{next(_CURSORS)}") as cursor:
            cursor.itersize = _EACH_ROWS
            yield from cursor.execute(_as_psycopg(sql), parameters)

    def run(self, sql: str, parameters: Mapping[str, Any]) -> None:
        with _faults():
            self._told.execute(_as_psycopg(sql), parameters)

    def run_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            with _faults():
                self._told.executemany(_as_psycopg(sql), rows)

    @property
    def broken(self) -> bool:
        return self._raw.hung_up

    def close(self) -> None:
        self._raw.close()


class _PostgresClaim(Claim):
    """An advisory lock of a connection, shared or not."""

    def __init__(self, connect: Callable[[], Session], alone: bool) -> None:
        self._connect, self._alone = connect, alone
        self._lock = threading.Lock()
        self._session = self._taken()

    def _taken(self) -> Session:
        session = self._connect()
        try_it = "pg_try_advisory_lock" if self._alone else "pg_try_advisory_lock_shared"
        end = time.monotonic() + _CLAIM_WAIT_S  # the server may take a moment to notice that a process has died
        while not session.rows(f"SELECT {try_it}(:key)", {"key": lock_keys([_CLAIM])[0]})[0][0]:
            if time.monotonic() > end:
                session.close()
                raise StoreUnavailable("the database is in use by another huitong process")
            time.sleep(0.05)
        return session

    def renew(self) -> None:
        with self._lock:
            if self._session.broken:
                self._session.close()
                self._session = self._taken()

    def close(self) -> None:
        self._session.close()


#: In the order of the list, which is the same for everybody.
_LOCK = "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key"
_TRY = "SELECT key, pg_try_advisory_lock(key) AS ours FROM unnest(CAST(:keys AS bigint[])) AS key"
_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


@lru_cache(maxsize=1024)
def _as_psycopg(sql: str) -> bytes:
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


class Row(tuple[Any, ...]):
    """Values by index, and by name in the classes made of it."""

    __slots__ = ()
    places: dict[str, int]

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.places[key] if key.__class__ is str else key)


def _by_index_and_name(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Row]:
    return _row_class(tuple(column.name for column in cursor.description or ()))


@lru_cache(maxsize=1024)
def _row_class(names: tuple[str, ...]) -> type[Row]:
    return type("Row", (Row,), {"__slots__": (), "places": {name: at for at, name in enumerate(names)}})


def _engine(url: str, options: str) -> Engine:
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: _connected(url, options), pool_size=8, max_overflow=8, pool_timeout=10
    )

    @event.listens_for(engine, "checkout")
    def _taken(raw: _Connection, _entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if raw.hung_up:
            raise DisconnectionError  # the pool makes another

    return engine


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as e:
        raise StoreUnavailable("all connections to the database are taken") from e
    except (psycopg.Error, DBAPIError) as e:
        cause = e.orig if isinstance(e, DBAPIError) else e
        fault = _fault_of(cause)
        if fault is None:
            raise
        raise fault from e


def _fault_of(cause: BaseException | None) -> OurFault | None:
    """A broken constraint or a deadlock means two wrote the same at once: the sender may simply try again."""
    if not isinstance(cause, psycopg.Error):
        return None
    state = cause.sqlstate
    said = str(cause).partition("\n")[0]
    if state == _DISK_FULL:
        return StoreFull(said)
    if state is None:  # not from the server: the connection could not be made, or is lost
        return StoreUnavailable(said) if isinstance(cause, (psycopg.OperationalError, psycopg.InterfaceError)) else None
    return StoreUnavailable(said) if state.startswith(_SERVER_FAULTS) or state == _NO_TABLE else None

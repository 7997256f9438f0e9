"""The database: transactions to read and to write, sessions for the hot path, migrations, faults in our own words.

What `sqlite` and `postgres` promise alike. SQLAlchemy builds what is asked rarely. Where objects are kept and searches
are answered, building and pooling cost ten times what the statements do (docs/benchmarks.md), so these have a
`Session`: one connection kept open, plain SQL with `:name` parameters.
"""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
#: Sessions kept open for the next search or write.
_IDLE_SESSIONS = 16


class OneWrite(threading.local):
    """At most one transaction of writes of a thread on a database: a second would wait for the first without end."""

    _is_open = False

    def refuse(self) -> None:
        """Raises RuntimeError within a transaction of writes of this thread: a mistake of ours, told at once."""
        if self._is_open:
            raise RuntimeError("this thread is within a transaction of writes, for which another would wait")

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The block is the one. Raises RuntimeError as `refuse`."""
        self.refuse()
        self._is_open = True
        try:
            yield
        finally:
            self._is_open = False


class Session(ABC):
    """One connection and plain SQL, portable or as the `kind` wants it; statements are prepared once and kept.

    To be used by one thread at a time. Text that a database cannot hold (NUL in PostgreSQL) loses it on the way.
    """

    kind: Kind

    @abstractmethod
    def write(self) -> AbstractContextManager[None]:
        """Committed and durable when the block ends; undone when it raises.

        Raises RuntimeError where this thread writes on the same database already.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """All that is read within the block is of one moment."""

    @abstractmethod
    def lock(self, names: Iterable[str]) -> None:
        """Within a transaction: who locks one of the same names waits until it ends.

        The names of one transaction have to be locked together, so that two cannot wait for one another.
        """

    @abstractmethod
    def rows(self, sql: str, parameters: Mapping[str, Any]) -> list[Any]:
        """Rows with values by index and by name (`row["name"]`)."""

    @abstractmethod
    def each(self, sql: str, parameters: Mapping[str, Any]) -> Iterator[Any]:
        """The same, one after another, within a transaction: they may be more than memory holds."""

    @abstractmethod
    def run(self, sql: str, parameters: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def run_many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None: ...

    def insert(self, sql: str, parameters: Mapping[str, Any]) -> int:
        """The key of the new row; `sql` ends with `RETURNING pk`."""
        return int(self.rows(sql, parameters)[0][0])

    @property
    @abstractmethod
    def broken(self) -> bool:
        """Whether the connection is gone: whoever keeps the session has to ask for another."""

    @abstractmethod
    def close(self) -> None: ...


class Database(ABC):
    """Transactions on one database.

    Reads see one snapshot and wait for nobody. Of SQLite's writers one works at a time; those of PostgreSQL lock what
    they decide on (`Session.lock`, `lock`).
    """

    kind: Kind
    #: Without a password.
    name: str
    _engine: Engine

    def __init__(self) -> None:
        #: Of this thread.
        self.one_write = OneWrite()
        self._idle: list[Session] = []
        self._idle_lock = threading.Lock()

    @abstractmethod
    def read(self) -> AbstractContextManager[Connection]: ...

    @abstractmethod
    def write(self) -> AbstractContextManager[Connection]:
        """As `Session.write`."""

    @abstractmethod
    def lock(self, write: Connection, names: Iterable[str]) -> None:
        """As `Session.lock`, within the transaction `write`."""

    @abstractmethod
    def session(self) -> Session:
        """A connection of its own, to be used by one thread at a time and closed by whoever asked for it."""

    @abstractmethod
    def check(self) -> None:
        """Raises StoreUnavailable or StoreFull unless, over a new connection, there is a row and a write can begin."""

    @contextmanager
    def turn(self, name: str) -> Iterator[bool]:
        """Whether no other process holds the turn of this name; while the block runs it is ours, if it is."""
        with self.turns([name]) as ours:
            yield bool(ours)

    @abstractmethod
    def turns(self, names: Iterable[str]) -> AbstractContextManager[set[str]]:
        """Those of the names whose turns no other process holds; while the block runs they are ours."""

    @abstractmethod
    def claim(self, *, alone: bool) -> Claim:
        """This process uses the database, beside others or alone. Raises StoreUnavailable where that cannot be."""

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading at one moment, from those kept open."""
        with self._pooled() as session, session.snapshot():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session within a transaction, committed and durable when the block ends, from those kept open."""
        with self._pooled() as session, session.write():
            yield session

    @contextmanager
    def _pooled(self) -> Iterator[Session]:
        session = self._idle_session() or self.session()
        try:
            yield session
        finally:
            with self._idle_lock:
                keep = not session.broken and len(self._idle) < _IDLE_SESSIONS
                if keep:
                    self._idle.append(session)
            if not keep:
                session.close()

    def _idle_session(self) -> Session | None:
        """None where each was ended meanwhile by a server that started anew."""
        while True:
            with self._idle_lock:
                session = self._idle.pop() if self._idle else None
            if session is None or not session.broken:
                return session
            session.close()

    def migrate(self) -> None:
        """The schema is the newest; nothing happens when it was."""
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        config.attributes["engine"] = self._engine
        with self._faults():
            command.upgrade(config, "head")

    @abstractmethod
    def _faults(self) -> AbstractContextManager[None]:
        """What the driver raises, by itself or through SQLAlchemy, in our own words; our mistakes stay as they are."""

    def close(self) -> None:
        with self._idle_lock:
            while self._idle:
                self._idle.pop().close()
        self._engine.dispose()


class Claim:
    """What `Database.claim` gives; ends with `close` or with the process."""

    def renew(self) -> None:
        """Taken again where the connection that held it was lost."""

    def close(self) -> None: ...


def listed(kind: Kind, values: Sequence[Any]) -> Any:
    """A list as `among` takes it for one value."""
    return orjson.dumps(values).decode() if kind == "sqlite" else list(values)


def among(kind: Kind, column: str, value: str, type_: str = "text") -> str:
    """The condition that the column, of a type of PostgreSQL's, has one of the values, however many there are.

    `value` names them in the statement, as `:pks`; what is given by that name is `listed`.
    """
    if kind == "sqlite":
        return f"{column} IN (SELECT value FROM json_each({value}))"  # noqa: S608 - both are ours
    return f"{column} = ANY(CAST({value} AS {type_}[]))"


def lock_keys(names: Iterable[str]) -> list[int]:
    """The names as signed 64-bit numbers, each once, in the order in which everybody locks them."""
    digests = {hashlib.sha256(name.encode()).digest() for name in names}
    return sorted(int.from_bytes(digest[:8], "big", signed=True) for digest in digests)

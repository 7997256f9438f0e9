"""A store from SQLite to PostgreSQL, from local packs to an object store, or both, while it is being served.

Packs and objects have one format and one naming, and rows keep their keys, so that moving is copying. Most is copied
while senders send; then the source takes nothing more (`holding`), the rest is copied, all of it compared, and the
source says where the store is now. What is at the target is the only state: a move that was killed is run again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, func, select

from huitong.access import tables as access
from huitong.base import log as logs
from huitong.base.errors import SettingsError, StoreDamaged, StoreUnavailable
from huitong.base.setting_kinds import DATABASE_URL
from huitong.base.settings import Settings
from huitong.directory.tables import TABLES as DIRECTORY
from huitong.imaging import records
from huitong.imaging.faults import record_fault
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.people import actions as people
from huitong.store import carrying, holding, ledger, marks, record
from huitong.store.database import Database, Session
from huitong.store.objects import Objects
from huitong.store.packs import Packs
from huitong.store.store import Store, open_blobs, open_database
from huitong.store.tables import LEDGER, MARK

#: Told (bytes done, bytes in all).
Progress = Callable[[int, int], None]
#: In the order in which one refers to another.
_TABLES = (
    PACK,
    *DIRECTORY,
    *access.TABLES,
    *people.TABLES,
    STUDY,
    SERIES,
    INSTANCE,
    LEDGER,
    READY,
)
#: Whose rows are added behind those that are there, and numbered by the database.
_NUMBERED = (
    PACK,
    *access.NUMBERED,
    *people.NUMBERED,
    STUDY,
    SERIES,
    INSTANCE,
    LEDGER,
)
#: A round that copied less was about the last.
_LITTLE_ROWS, _LITTLE_BYTES = 5000, 64 << 20
#: What a row counts for in the progress, beside bytes of packs.
_ROW_BYTES = 400
#: Room in `data` for what is read back from the target.
_CACHE_BYTES = 64 << 20
log = logs.logger(__name__)


@dataclass
class Moved:
    """What was copied, and what was found wrong on the way."""

    #: Rows of the store, each compared at the end.
    rows: int = 0
    packs: int = 0
    #: Bytes in the packs.
    bytes: int = 0
    #: Records whose bytes were read back from the target and held against their digests.
    read_back: int = 0
    #: What was missing or damaged in the source already: it is so at the target, too.
    damaged: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.damaged

    @property
    def counts(self) -> dict[str, int]:
        """What was counted, in the order to show."""
        return {
            "rows at the target": self.rows,
            "packs at the target": self.packs,
            "bytes in them": self.bytes,
            "objects read back": self.read_back,
            "damaged before the move": len(self.damaged),
        }

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        return [f"damaged before the move: {each}" for each in self.damaged]


def admit(store: Store) -> bool:
    """Whether the store has just moved to these settings and waits to be let go (`begin_here`).

    Raises SettingsError where it is elsewhere now, or has not come whole yet.
    """
    with store.database.read() as tx:
        moved, arriving, held = marks.read(tx, holding.MOVED), marks.read(tx, holding.ARRIVING), holding.held(tx)
    if arriving:
        raise SettingsError("`database` is the target of a move that is not finished; run `huitong move-store` again")
    if moved is None:
        return False
    to: dict[str, str] = json.loads(moved)
    if "database" in to or store.settings.blobs != to["blobs"]:
        raise SettingsError("this store has moved; set " + " and ".join(f"`{k}` to {v}" for k, v in to.items()))
    return held


def begin_here(store: Store) -> None:
    """A store of which only the blobs have moved is served again. No other process may have it open."""
    with store.database.write() as tx:
        holding.release(tx, _TABLES)


def cancel(store: Store) -> None:
    """The source takes objects again, after a move that was killed. Raises SettingsError where it was finished."""
    with store.moved_by_us_alone(), store.database.write() as tx:
        if holding.held(tx) and marks.read(tx, holding.MOVED):
            raise SettingsError("the move is finished; the store is at its target")
        holding.release(tx, _TABLES)


def move(store: Store, to: Settings, *, quick: bool, progress: Progress = lambda _done, _all: None) -> Moved:
    """The store is where `to` says when this returns; `store` is where it was, and stays readable.

    Raises SettingsError for targets that cannot be or hold something else, StoreDamaged where something did not arrive
    as it was. Then, and whenever it is broken off, the source takes objects again; after a kill it does so when the
    move is run again or given up (`cancel`).
    """
    with store.moved_by_us_alone(), ExitStack() as opened:
        return _Mover(store, to, quick, progress, opened).run()


class _Mover:
    """One move; what it opens is closed with `opened`."""

    def __init__(self, store: Store, to: Settings, quick: bool, progress: Progress, opened: ExitStack) -> None:
        self.store, self.source, self.to = store, store.database, to
        self.quick, self.progress = quick, progress
        self.report = Moved()
        self._done = 0
        self._total = 0
        self._read_back: set[str] = set()
        #: From where to where, of each kind of blobs.
        self._blobs: list[tuple[str, Packs, Objects]] = []
        self._check_settings()
        self.target: Database | None = None
        if to.database != store.settings.database:
            self.target = opened.enter_context(closing(open_database(to)))
            self.target.migrate()
            opened.callback(self.target.claim(alone=True).close)
        if to.blobs != store.settings.blobs:
            for kind, packs in (("packs", store.blobs), ("derived", store.derived)):
                objects = opened.enter_context(closing(open_blobs(replace(to, s3_cache_bytes=_CACHE_BYTES), kind)))
                assert isinstance(packs, Packs)
                assert isinstance(objects, Objects)
                self._blobs.append((kind, packs, objects))

    def _check_settings(self) -> None:
        now, to = self.store.settings, self.to
        if (now.database, now.blobs) == (to.database, to.blobs):
            raise SettingsError("there is nothing to move: say --to-database, --to-blobs or both")
        if now.database not in ("", to.database):
            raise SettingsError("the database is moved from SQLite; it is in PostgreSQL already (`database`)")
        if now.blobs not in ("", to.blobs):
            raise SettingsError("packs are moved from local files; they are in an object store already (`blobs`)")

    def run(self) -> Moved:
        if self._begin():
            self._arrived()
            return self.report
        with self.source.read() as tx:
            held = holding.held(tx)
        if not held:
            self._rounds()
        self._hold()
        try:
            self._rest()
            self._say_moved()
        except BaseException:
            with self.source.write() as tx:
                if marks.read(tx, holding.MOVED) != self._where():
                    holding.release(tx, _TABLES)
            raise
        self._arrived()
        return self.report

    # --- the target is ours ---

    def _begin(self) -> bool:
        """Whether it was done before. Raises SettingsError for a target that holds something else."""
        with self.source.write() as tx:
            if marks.read(tx, holding.MOVED) == self._where():
                return True
            if holding.held(tx) and marks.read(tx, holding.MOVED):
                raise SettingsError("this store has moved elsewhere before")
            self._move = marks.read(tx, holding.MOVE) or secrets.token_hex(16)
            marks.write(tx, holding.MOVE, self._move)
            known = set(tx.execute(select(PACK.c.name)).scalars()) if self._blobs else set()
        if self.target is not None:
            with self.target.write() as tx:
                of = marks.read(tx, holding.ARRIVING)
                used = any(tx.execute(select(*t.primary_key.columns).limit(1)).first() for t in (*_TABLES, MARK))
                if used and of != self._move:
                    raise SettingsError(f"{self.target.name} holds something else; give an empty database")
                marks.write(tx, holding.ARRIVING, self._move)
        for kind, _, objects in self._blobs:
            if kind == "packs" and any(name not in known for name in objects.names()):
                raise SettingsError(f"{self.to.blobs} holds something else; give an empty prefix")
        return False

    # --- while senders send ---

    def _rounds(self) -> None:
        """All that is there, then what came meanwhile, until that is little or does not become less."""
        before: tuple[int, int] | None = None
        while True:
            self._count()
            size = self._copy_blobs(whole=False)
            rows = self._copy_rows(new_only=before is not None)
            log.info("moving", rows=rows, bytes=size)
            if rows <= _LITTLE_ROWS and size <= _LITTLE_BYTES:
                return
            if before is not None and rows >= before[0] and size >= before[1]:
                return
            before = (rows, size)

    def _count(self) -> None:
        """Progress begins anew, of what there is now."""
        self._done = self._total = 0
        with self.source.read() as tx:
            if self._blobs:
                self._total = int(tx.execute(select(func.sum(PACK.c.indexed_bytes))).scalar() or 0)
            if self.target is not None:
                self._total += _ROW_BYTES * sum(_rows_of(tx).values())

    def _tell(self, size: int) -> None:
        self._done += size
        self.progress(min(self._done, self._total), self._total)

    def _copy_rows(self, *, new_only: bool) -> int:
        """The rows of one moment; how many were written. Where all are looked at, what is no more goes, too."""
        if self.target is None:
            return 0
        written = 0
        extra = {}
        with self.source.read() as tx, closing(self.target.session()) as session:
            for table in _NUMBERED if new_only else _TABLES:
                after = carrying.last_key(self.target, table) if new_only else ()
                added = _add_grams if table is STUDY else None
                extra[table] = list[carrying.Key]()
                for page in carrying.carry(tx, self.target, session, table, after=after, added=added):
                    written += page.written
                    extra[table] += page.extra
                    self._tell(page.looked_at * _ROW_BYTES)
        with self.target.write() as tx:
            for table in reversed(extra):
                carrying.remove(tx, table, extra[table])
        return written

    # --- packs ---

    def _copy_blobs(self, *, whole: bool) -> int:
        """Packs that nobody appends to, or (`whole`) all; bytes copied."""
        copied = 0
        for kind, packs, objects in self._blobs:
            there = dict(objects.s3.names())
            for name, size in self._wanted(kind, packs):
                if there.get(name) != size:
                    if not whole and not _is_closed(packs, name):
                        continue
                    carrying.copy_pack(packs, objects, name, size)
                    copied += size
                    self._read_back.discard(name)
                if kind == "packs" and not self.quick and name not in self._read_back:
                    self._hold_against_digests(packs, objects, name, size)
                self._tell(size if kind == "packs" else 0)
        return copied

    def _wanted(self, kind: str, packs: Packs) -> Iterator[tuple[str, int]]:
        """Names and how much of each: all of a sealed pack, of another what is in the index."""
        with self.source.read() as tx:
            rows: list[tuple[str, int | None]]
            if kind == "packs":
                rows = [(r.name, None if r.sealed else r.indexed_bytes) for r in tx.execute(select(PACK))]
            else:
                ends = select(READY.c.pack, func.max(READY.c.payload_at + READY.c.payload_bytes)).group_by(READY.c.pack)
                rows = [(name, record.aligned(int(last))) for name, last in tx.execute(ends)]
        for name, end in sorted(rows):
            try:
                size = packs.open(name).size()
            except StoreDamaged as e:
                if kind == "packs":
                    self._note(str(e))
                continue
            if kind == "packs" and end is not None and size < end:
                self._note(f"{name} ends before byte {end}")
            if wanted := size if end is None else min(end, size):
                yield name, wanted

    def _hold_against_digests(self, packs: Packs, objects: Objects, name: str, size: int) -> None:
        count = 0
        for ours, theirs in carrying.compare_pack(packs, objects, name, size):
            if theirs.head is None:
                continue
            count += 1
            fault = record_fault(objects.open(name), theirs)
            if fault is not None and fault != record_fault(packs.open(name), ours):
                raise StoreDamaged(f"{name}:{theirs.offset} at the target: {fault}")
            if fault is not None:
                self._note(f"{name}:{theirs.offset}: {fault}")
        self._read_back.add(name)
        self.report.read_back += count

    def _note(self, damage: str) -> None:
        if damage not in self.report.damaged:
            self.report.damaged.append(damage)

    # --- when nothing more comes ---

    def _hold(self) -> None:
        with self.source.write() as tx:
            holding.hold(tx, _TABLES, self._move)
        log.info("the source takes no more objects")

    def _rest(self) -> None:
        self._count()
        self._copy_blobs(whole=True)
        self._copy_rows(new_only=False)
        self._check()

    def _check(self) -> None:
        """Every row was compared when it was looked at; here is what no row says. Raises StoreDamaged."""
        for kind, packs, objects in self._blobs:
            there, wanted = dict(objects.s3.names()), dict(self._wanted(kind, packs))
            missing = [name for name, size in wanted.items() if there.get(name) != size]
            if missing:
                raise StoreDamaged(f"at the target {missing[0]} is missing or of another size")
            if kind == "packs":
                self.report.packs, self.report.bytes = len(wanted), sum(wanted.values())
        with self.source.read() as tx:
            rows, breaks = _rows_of(tx), list(ledger.check(tx))
        self.report.rows = sum(rows.values())
        for seq in breaks:
            self._note(f"line {seq} of the ledger does not follow from the line before")
        if self.target is None:
            return
        with self.target.read() as tx:
            if (_rows_of(tx), list(ledger.check(tx))) != (rows, breaks):
                raise StoreDamaged(f"{self.target.name} has other rows than the source")
            if tx.exec_driver_sql("SELECT count(*) FROM study_grams").scalar_one() != rows["study"]:
                raise StoreDamaged(f"in {self.target.name} not every study is found by text")

    # --- it is there ---

    def _say_moved(self) -> None:
        if self.target is not None:
            with closing(self.target.session()) as session, session.write():
                for table in (*_NUMBERED, *DIRECTORY):
                    carrying.go_on_counting(session, table)
            self._copy_marks(self.target)
        with self.source.write() as tx:
            if marks.read(tx, holding.HELD) != self._move:
                raise StoreUnavailable("the source took objects again before the move was finished")
            marks.write(tx, holding.MOVED, self._where())

    def _copy_marks(self, target: Database) -> None:
        with self.source.read() as tx:
            rows = [r._asdict() for r in tx.execute(select(MARK)) if not r.name.startswith(holding.OURS)]
        with target.write() as tx:
            for row in rows:
                marks.write(tx, row["name"], row["value"])

    def _arrived(self) -> None:
        """From here on the target is a store like any other. Last: before, it can only be moved to."""
        if self.target is not None:
            with self.target.write() as tx:
                marks.write(tx, holding.ARRIVING, None)

    def _where(self) -> str:
        """Where the store goes, without a password."""
        to: dict[str, str] = {}
        if self.to.database != self.store.settings.database:
            to["database"] = DATABASE_URL.show(self.to.database)
        if self.to.blobs:
            to["blobs"] = self.to.blobs
        return json.dumps(to, sort_keys=True)


def _is_closed(packs: Packs, name: str) -> bool:
    with packs.claim(name) as nobody_writes:
        return nobody_writes


def _rows_of(tx: Connection) -> dict[str, int]:
    return {table.name: tx.execute(select(func.count()).select_from(table)).scalar_one() for table in _TABLES}


def _add_grams(session: Session, row: dict[str, Any]) -> None:
    records.add_grams(session, row["pk"], row)

"""A store, open: its database and blobs, in the data folder or elsewhere, and the room for what is arriving."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huitong.base.errors import StoreUnavailable
from huitong.base.settings import Settings
from huitong.store.blobs import Blobs
from huitong.store.database import Database
from huitong.store.files import make_folder, sync_folder
from huitong.store.intake import Intakes
from huitong.store.packs import Packs
from huitong.store.sqlite import SqliteDatabase

T = TypeVar("T")
#: Memory that all objects still arriving may hold together; past it they go to spool files.
_INTAKE_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a data folder."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "index.sqlite"

    @property
    def packs(self) -> Path:
        return self.root / "packs"

    @property
    def derived(self) -> Path:
        return self.root / "derived"

    @property
    def spool(self) -> Path:
        return self.root / "spool"

    @property
    def cache(self) -> Path:
        """What was read from or written to an object store last."""
        return self.root / "cache"

    @property
    def claim(self) -> Path:
        return self.root / "claim"

    @property
    def moving(self) -> Path:
        """Locked by the one process that moves the store."""
        return self.root / "moving"


class Store:
    """Everything kept, for one process. Several processes may open one folder, unless one claims it alone."""

    def __init__(self, settings: Settings, *, alone: bool = False) -> None:
        self.settings = settings
        self.layout = Layout(Path(settings.data).absolute())
        for folder in (self.layout.root, self.layout.spool):
            make_folder(folder)
        self._folder_claim = _claim(self.layout.claim, alone)
        self.database = open_database(settings)
        self.database.migrate()
        sync_folder(self.layout.root)
        self.claim = self.database.claim(alone=alone)
        keep_free = settings.keep_free_bytes
        #: What senders sent.
        self.blobs: Blobs = open_blobs(settings, "packs")
        #: What was computed from it and can be computed again.
        self.derived: Blobs = open_blobs(settings, "derived")
        self.intakes = Intakes(
            self.layout.spool,
            memory_bytes=_INTAKE_MEMORY_BYTES,
            spool_bytes=settings.spool_bytes,
            max_bytes=settings.max_instance_bytes,
            keep_free_bytes=keep_free,
        )
        self.intakes.sweep()
        self._once: dict[str, Any] = {}
        self._closers: list[Callable[[], None]] = []
        self._lock = threading.RLock()

    def once(self, name: str, make: Callable[[], T], close: Callable[[T], None] | None = None) -> T:
        """What a room keeps in memory for this store: made at the first call, closed before the store is."""
        found = self._once.get(name)
        if found is None:
            with self._lock:
                found = self._once.get(name)
                if found is None:
                    found = self._once[name] = make()
                    if close is not None:
                        self._closers.append(lambda: close(found))
        return found

    @contextmanager
    def moved_by_us_alone(self) -> Iterator[None]:
        """Raises StoreUnavailable where another process moves this store just now."""
        fd = _claim(self.layout.moving, True)
        try:
            yield
        finally:
            os.close(fd)

    def close(self) -> None:
        """What was accepted is finished first."""
        for close in reversed(self._closers):
            close()
        self.blobs.close()
        self.derived.close()
        self.claim.close()
        self.database.close()
        os.close(self._folder_claim)


def open_database(settings: Settings) -> Database:
    if settings.database:
        from huitong.store.postgres import PostgresDatabase

        return PostgresDatabase(settings.database)
    return SqliteDatabase(Layout(settings.data.absolute()).database)


def open_blobs(settings: Settings, kind: str) -> Blobs:
    """`kind` is "packs" or "derived"."""
    layout = Layout(settings.data.absolute())
    if settings.blobs:
        from huitong.store.objects import Objects
        from huitong.store.s3 import S3

        make_folder(layout.cache)
        s3 = S3(settings.blobs, kind, key_id=settings.s3_key_id, secret=settings.s3_secret)
        return Objects(s3, layout.cache, cache_bytes=settings.s3_cache_bytes)
    folder = layout.packs if kind == "packs" else layout.derived
    return Packs(folder, pack_bytes=settings.pack_bytes, keep_free_bytes=settings.keep_free_bytes)


def _claim(path: Path, alone: bool) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(fd)
        raise StoreUnavailable(f"{path.parent} is in use by another huitong process") from e
    return fd

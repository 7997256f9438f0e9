"""A data folder, open: its database, its blobs, the room for what is arriving."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from huitong.base.errors import StoreUnavailable
from huitong.base.settings import Settings
from huitong.store.database import Database
from huitong.store.files import make_folder, sync_folder
from huitong.store.intake import Intakes
from huitong.store.packs import Packs

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
    def reindexing(self) -> Path:
        """There while the index is being made again."""
        return self.root / "reindexing"

    @property
    def claim(self) -> Path:
        return self.root / "claim"


class Store:
    """Everything kept, for one process. Several processes may open one folder, unless one claims it alone."""

    def __init__(self, settings: Settings, *, alone: bool = False) -> None:
        self.settings = settings
        self.layout = Layout(Path(settings.data).absolute())
        for folder in (self.layout.root, self.layout.spool, self.layout.packs, self.layout.derived):
            make_folder(folder)
        self._claim = _claim(self.layout.claim, alone)
        self.database = Database(self.layout.database)
        self.database.migrate()
        sync_folder(self.layout.root)
        keep_free = settings.keep_free_bytes
        #: What senders sent.
        self.blobs = Packs(self.layout.packs, pack_bytes=settings.pack_bytes, keep_free_bytes=keep_free)
        #: What was computed from it and can be computed again.
        self.derived = Packs(self.layout.derived, pack_bytes=settings.pack_bytes, keep_free_bytes=keep_free)
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

    def close(self) -> None:
        """What was accepted is finished first."""
        for close in reversed(self._closers):
            close()
        self.blobs.close()
        self.derived.close()
        self.database.close()
        os.close(self._claim)


def _claim(path: Path, alone: bool) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(fd)
        raise StoreUnavailable(f"{path.parent} is in use by another huitong process") from e
    return fd

"""Where instances lie: remembered for those who ask again, and followed when they are moved to another blob."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from huitong.base.errors import StoreDamaged
from huitong.base.lru import Lru
from huitong.imaging import lookups
from huitong.imaging.model import OnDisk, StoredInstance
from huitong.store.blobs import OpenBlob
from huitong.store.store import Store

T = TypeVar("T")
#: Bytes of memory for the places of instances, once by UID and once by series.
LIMIT_BYTES = 96 << 20


class PackSlice:
    """One stored object inside its pack; `model.Slice` has the contract."""

    def __init__(self, store: Store, stored: StoredInstance) -> None:
        self._store = store
        self._pk = stored.pk
        self.length = stored.size_bytes
        self._blob, self._at = self._opened(stored)

    def _opened(self, stored: StoredInstance) -> tuple[OpenBlob, int]:
        try:
            return self._store.blobs.open(stored.blob), stored.blob_offset
        except StoreDamaged:
            forget(self._store)  # it may have been sent again since, and lie elsewhere
            raise

    def at_hand(self, offset: int, length: int) -> bool:
        return self._blob.at_hand(self._at + offset, length)

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        most = max(self.length - offset if length is None else min(length, self.length - offset), 0)
        return self._where_it_is(lambda blob, at: blob.read(at + offset, most))

    def on_disk(self, offset: int, length: int) -> OnDisk:
        def place(blob: OpenBlob, at: int) -> OnDisk:
            fd, begin = blob.file(at + offset, length)
            return OnDisk(fd, begin, blob)

        return self._where_it_is(place)

    def _where_it_is(self, look: Callable[[OpenBlob, int], T]) -> T:
        """What was merged with others lies elsewhere, and its old blob is gone: looked for once more."""
        try:
            return look(self._blob, self._at)
        except StoreDamaged:
            forget(self._store)
            with self._store.database.read() as tx:
                again = lookups.stored_by_pk(tx, self._pk)
            if again is None:
                raise
            self._blob, self._at = self._opened(again)
            return look(self._blob, self._at)

    def close(self) -> None:
        """The pack closes itself when nobody reads it."""


def where_it_is(store: Store, stored: StoredInstance, look: Callable[[OpenBlob, int], T]) -> T:
    """What `look` finds in the instance's blob, given it and where in it the object begins.

    What was merged with others lies elsewhere than `stored` remembers: looked for once more. Raises StoreDamaged.
    """
    try:
        return look(store.blobs.open(stored.blob), stored.blob_offset)
    except StoreDamaged:
        forget(store)
        with store.database.read() as tx:
            again = lookups.stored_by_pk(tx, stored.pk)
        if again is None or (again.blob, again.blob_offset) == (stored.blob, stored.blob_offset):
            raise
        return look(store.blobs.open(again.blob), again.blob_offset)


def read_ranges(store: Store, stored: StoredInstance, ranges: Sequence[tuple[int, int]]) -> bytes:
    """These (offset, length) of the object's bytes, joined. Raises StoreDamaged."""

    def look(blob: OpenBlob, begin: int) -> bytes:
        return b"".join(blob.read(begin + at, length) for at, length in ranges)

    return where_it_is(store, stored, look)


def forget(store: Store) -> None:
    """Some instances lie elsewhere now."""
    by_uid(store).clear()
    by_series(store).clear()


def by_series(store: Store) -> Lru[tuple[int, int], list[StoredInstance]]:
    """By key and revision of the series: all its instances in order."""
    return store.once("imaging.series", lambda: Lru[tuple[int, int], list[StoredInstance]](LIMIT_BYTES))


def by_uid(store: Store) -> Lru[tuple[str | None, ...], dict[str, StoredInstance]]:
    """By institution, study and series: the series; with the SOP Instance UID as well: this one instance."""
    return store.once("imaging.places", lambda: Lru[Any, Any](LIMIT_BYTES))

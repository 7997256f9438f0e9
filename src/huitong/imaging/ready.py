"""What viewers ask again and again, made once: a series' metadata compressed, an instance's thumbnail.

Kept in the derived packs with the revision it was made for; a newer revision of the series is made anew.
All of it can be computed again from the packs, so none of it is ever waited for by a sender, and what cannot be read
back, or not as it was made, is made again.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import imagecodecs
import orjson
from sqlalchemy import Row, select

from huitong.base import log as logs
from huitong.base.errors import NotDicom, NotFound, OurFault, StoreDamaged
from huitong.base.lru import Lru
from huitong.imaging import lookups, places
from huitong.imaging.bulk import read_bulk
from huitong.imaging.model import Metadata, StoredInstance
from huitong.imaging.pixels.module import MAX_FRAME_BYTES
from huitong.imaging.pixels.thumbnail import small_picture
from huitong.imaging.preparing import unpack_header
from huitong.imaging.tables import READY, STUDY
from huitong.store.blobs import NewRecord, OpenBlob, Placed, mapped
from huitong.store.store import Store
from huitong.wire.dicom.part10 import read_file_meta
from huitong.wire.dicom.scan import inflate, scan

METADATA, THUMBNAIL = "series-metadata", "thumbnail"
_GZIP_LEVEL = 6
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A ready-made thing before it is kept."""

    kind: str
    owner_pk: int
    revision: int
    data: bytes

    @property
    def etag(self) -> str:
        return _digest(self.data)


class Ready:
    """The ready-made things of one store, the recent ones in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._recent: Lru[tuple[str, int, int], tuple[bytes, str]] = Lru(store.settings.cache_bytes)

    # --- reading ---

    def series_metadata(self, series: Row[Any]) -> Metadata:
        """`series` is a row of the series table."""
        key = (METADATA, series.pk, series.revision)
        found = self._get(key)
        if found is None:
            with self._store.database.read() as tx:
                instances = lookups.instances_of_series(tx, series.pk)
            made = self.make_metadata(series.pk, series.revision, instances)
            found = (made.data, made.etag)
            self._recent.put(key, found, len(made.data))
            if self._settled(series.study_pk):  # while a study arrives, the next object makes it obsolete
                self._keep_if_possible(made)
        return Metadata(*found)

    def study_metadata(self, series: Sequence[Row[Any]]) -> Metadata:
        """All series in one array; BulkDataURIs, relative to the series, become relative to the study."""
        each = [self.series_metadata(row) for row in series]
        etag = hashlib.sha256("".join(m.etag for m in each).encode()).hexdigest()[:32]
        parts = []
        for row, metadata in zip(series, each, strict=True):
            base = f'"BulkDataURI":"series/{quote(row.series_uid, safe="")}/instances/'.encode()
            parts.append(gzip.decompress(metadata.gzipped)[1:-1].replace(b'"BulkDataURI":"instances/', base))
        return Metadata(gzip.compress(b"[" + b",".join(p for p in parts if p) + b"]", 1, mtime=0), etag)

    def plain(self, metadata: Metadata) -> bytes:
        """The metadata's JSON text, remembered for clients that cannot take gzip."""
        key = (f"plain-{metadata.etag}", 0, 0)
        found = self._recent.get(key)
        if found is None:
            found = (gzip.decompress(metadata.gzipped), metadata.etag)
            self._recent.put(key, found, len(found[0]))
        return found[0]

    def thumbnail(self, stored: StoredInstance) -> tuple[bytes, str]:
        """JPEG of at most 256 pixels, and its etag; kept when it had to be made now and there is room."""
        found = self._get((THUMBNAIL, stored.pk, 0))
        if found is None:
            made = self.make_thumbnail(stored)
            found = (made.data, made.etag)
            self._recent.put((THUMBNAIL, stored.pk, 0), found, len(made.data))
            self._keep_if_possible(made)
        return found

    def has(self, kind: str, owner_pk: int, revision: int) -> bool:
        """Whether it is kept and can be read back as it was made."""
        return self._kept(kind, owner_pk, revision) is not None

    def _get(self, key: tuple[str, int, int]) -> tuple[bytes, str] | None:
        found = self._recent.get(key)
        if found is None and (found := self._kept(*key)) is not None:
            self._recent.put(key, found, len(found[0]))
        return found

    def _kept(self, kind: str, owner_pk: int, revision: int) -> tuple[bytes, str] | None:
        """None where nothing was kept, and where what was kept is lost or differs: then it has to be made again."""
        row = self._row(kind, owner_pk, revision)
        if row is None:
            return None
        try:
            data = self._store.derived.open(row.pack).read(row.payload_at, row.payload_bytes)
        except (StoreDamaged, OSError) as e:
            log.warning("derived data lost, made again", kind=kind, owner=owner_pk, error=str(e))
            return None
        if _digest(data) != row.etag:
            log.warning("derived data damaged, made again", kind=kind, owner=owner_pk, pack=row.pack)
            return None
        return data, row.etag

    def _row(self, kind: str, owner_pk: int, revision: int) -> Row[Any] | None:
        where = (READY.c.kind == kind) & (READY.c.owner_pk == owner_pk) & (READY.c.revision == revision)
        with self._store.database.read() as tx:
            return tx.execute(select(READY).where(where)).first()

    def _settled(self, study_pk: int) -> bool:
        quiet = select(STUDY.c.pk).where(STUDY.c.pk == study_pk, STUDY.c.settled_revision == STUDY.c.revision)
        with self._store.database.read() as tx:
            return tx.execute(quiet).first() is not None

    # --- making ---

    def make_metadata(self, series_pk: int, revision: int, instances: Sequence[StoredInstance]) -> Made:
        """Of the first contents of the series, in its order."""
        if not instances:
            raise NotFound
        text = b"[" + b",".join(header_text(self._store, each) for each in instances) + b"]"
        return Made(METADATA, series_pk, revision, bytes(imagecodecs.gzip_encode(text, level=_GZIP_LEVEL)))

    def make_thumbnail(self, stored: StoredInstance) -> Made:
        header = orjson.loads(header_text(self._store, stored))
        data = _picture(self._store, stored, header)
        return Made(THUMBNAIL, stored.pk, 0, data)

    def _keep_if_possible(self, made: Made) -> None:
        """A reader is answered with what was made for it, whether or not it can be kept just now."""
        try:
            self.keep([made])
        except OurFault as e:
            log.warning("derived data not kept", kind=made.kind, owner=made.owner_pk, error=str(e))

    def keep(self, made: Sequence[Made]) -> None:
        """Into the derived packs and their index. Raises StoreFull or StoreUnavailable."""
        with ExitStack() as finished:
            placed = self._store.derived.append([self._record(each, finished) for each in made])
        with self._store.database.writing() as session:
            session.run_many(_KEEP, [_ready_row(each, where) for each, where in zip(made, placed, strict=True)])

    def _record(self, made: Made, finished: ExitStack) -> NewRecord:
        body = self._store.intakes.new()
        finished.callback(body.finish)
        body.write(made.data)
        envelope = {"kind": made.kind, "owner": made.owner_pk, "revision": made.revision}
        digest = hashlib.sha256(made.data).digest()
        return NewRecord(envelope, b"", body, 0, hashlib.sha256(b"").digest(), digest, b"")


def _digest(data: bytes) -> str:
    """Strong validator of what is kept, and what it is held against when it is read back."""
    return hashlib.sha256(data).hexdigest()[:32]


def _ready_row(made: Made, placed: Placed) -> dict[str, Any]:
    return {
        "kind": made.kind,
        "owner_pk": made.owner_pk,
        "revision": made.revision,
        "etag": made.etag,
        "pack": placed.blob,
        "payload_at": placed.payload_offset,
        "payload_bytes": placed.payload_bytes,
    }


_KEEP = """
    INSERT INTO ready (kind, owner_pk, revision, etag, pack, payload_at, payload_bytes)
    VALUES (:kind, :owner_pk, :revision, :etag, :pack, :payload_at, :payload_bytes)
    ON CONFLICT (kind, owner_pk) DO UPDATE SET revision = excluded.revision, etag = excluded.etag,
        pack = excluded.pack, payload_at = excluded.payload_at, payload_bytes = excluded.payload_bytes
"""


def _picture(store: Store, stored: StoredInstance, header: dict[str, Any]) -> bytes:
    """The middle frame small, an ECG's sheet, or a tile that says what kind of object it is.

    A frame larger than would be decoded is not even read.
    """
    number = stored.frames.count // 2 + 1 if stored.frames is not None else 1
    frame = None
    if stored.frames is not None and sum(length for _, length in stored.frames.ranges(number)) <= MAX_FRAME_BYTES:
        frame = frame_bytes(store, stored, number)
    return small_picture(
        header,
        frame,
        stored.transfer_syntax_uid,
        frame_number=number,
        bulk=lambda uri: read_bulk(store, stored, uri),
    )


def header_text(store: Store, stored: StoredInstance) -> bytes:
    """The instance's DICOM JSON as kept behind its bytes; where that copy is damaged, read from them again.

    Raises StoreDamaged.
    """
    read = places.where_it_is(store, stored, lambda blob, at: blob.read(at + stored.size_bytes, stored.tail_bytes))
    try:
        return unpack_header(read)
    except StoreDamaged as e:
        log.warning("a kept header is damaged", instance=stored.pk, error=str(e))
    try:
        return places.where_it_is(store, stored, lambda blob, at: _header_of(blob, at, stored.size_bytes))
    except NotDicom as e:
        raise StoreDamaged(str(e)) from e


def _header_of(blob: OpenBlob, at: int, size: int) -> bytes:
    with mapped(blob, at, size) as data:
        return orjson.dumps(scan(data).header)


def frame_bytes(store: Store, stored: StoredInstance, number: int) -> bytes:
    """One frame as stored; inflated first where the transfer syntax deflates the whole data set.

    Raises NotFound when there is no such frame.
    """
    if stored.frames is None or not 1 <= number <= stored.frames.count:
        raise NotFound(f"frame {number}")
    ranges = stored.frames.ranges(number)
    if not stored.deflated:
        return places.read_ranges(store, stored, ranges)
    part10 = places.read_ranges(store, stored, [(0, stored.size_bytes)])
    data = inflate(part10, read_file_meta(part10).offset)
    return b"".join(data[at : at + length] for at, length in ranges)


def ready_of(store: Store) -> Ready:
    return store.once("imaging.ready", lambda: Ready(store))

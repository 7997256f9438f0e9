"""Where the bulk values of a stored object lie: behind each BulkDataURI of its header."""

from __future__ import annotations

from dataclasses import dataclass

from huitong.base.errors import NotFound
from huitong.imaging import places
from huitong.imaging.model import StoredInstance
from huitong.store.blobs import OpenBlob, mapped
from huitong.store.store import Store
from huitong.wire.dicom.scan import inflate, scan

#: The whole pixel data, which the header does not give as bulk value when it is in fragments.
PIXEL_DATA = "7FE00010"


@dataclass(frozen=True, slots=True)
class Bulk:
    """One bulk value: ranges of the stored object whose bytes joined are the value, or the bytes themselves."""

    ranges: tuple[tuple[int, int], ...] = ()
    #: Only where the object is deflated, so that the value lies nowhere as it is.
    inflated: bytes | None = None

    @property
    def length(self) -> int:
        return len(self.inflated) if self.inflated is not None else sum(length for _, length in self.ranges)


def find_bulk(store: Store, stored: StoredInstance, path: str) -> Bulk:
    """The value behind `path` (the end of a BulkDataURI, or the whole URI). Raises NotFound.

    The header is scanned again: bulk values are asked for rarely, so their places are not kept in the index.
    """
    path = path.rpartition("bulkdata/")[2]
    frames = stored.frames
    if path == PIXEL_DATA and frames is not None and frames.fragments is not None:
        return Bulk(tuple(place for frame in frames.fragments for place in frame))
    return places.where_it_is(store, stored, lambda blob, at: _found(blob, at, stored.size_bytes, path))


def _found(blob: OpenBlob, at: int, size: int, path: str) -> Bulk:
    with mapped(blob, at, size) as data:
        found = scan(data)
        place = found.bulk.get(path)
        if place is None:
            raise NotFound(f"bulk data {path}")
        if found.deflated:
            offset, length = place
            return Bulk(inflated=inflate(data, found.dataset_offset)[offset : offset + length])
    return Bulk((place,))


def read_bulk(store: Store, stored: StoredInstance, path: str) -> bytes:
    """The value's bytes, in the byte order of the object. Raises NotFound."""
    bulk = find_bulk(store, stored, path)
    if bulk.inflated is not None:
        return bulk.inflated
    return places.read_ranges(store, stored, bulk.ranges)

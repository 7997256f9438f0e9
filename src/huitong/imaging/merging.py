"""Few large blobs instead of many small ones: what a settled study has in an object store is brought together.

A group that was acknowledged together is one object, and a sender that waits for each acknowledgement makes a group of
each slice. When the study is quiet, its records are copied into objects of their own, in the order of the series, every
byte held against its digest; then the index names the new places; and some time later, when nobody reads from the old
objects any more, those that nothing lies in are deleted. Interrupted at any moment, it leaves copies that
`recovering` finds to be known, and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, select, update

from huitong.base import log as logs
from huitong.base import metrics
from huitong.base.errors import StoreDamaged
from huitong.imaging import lookups, rules
from huitong.imaging.tables import INSTANCE, PACK, SERIES, STUDY
from huitong.store import record
from huitong.store.blobs import Placed
from huitong.store.objects import Objects
from huitong.store.store import Store

_DELETED_AT_ONCE = 200
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class _Part:
    """A record of the study: its row, and where it lies now."""

    pk: int
    pack_pk: int
    pack_bytes: int
    placed: Placed


def merge_study(store: Store, study_pk: int, now_ms: int) -> int:
    """The study's records out of small objects into few large ones; how many were moved.

    Nothing is done on a store of local packs, which are large anyway. Raises StoreUnavailable, StoreFull; a record
    that differs from its digest stays where it is, with all others that would have been moved together with it.
    """
    if not isinstance(store.blobs, Objects):
        return 0
    with store.database.read() as tx:
        parts = _parts(tx, study_pk)
    metrics.STUDY_BLOBS.labels("settled").observe(len({part.pack_pk for part in parts}))
    small = [part for part in parts if part.pack_bytes < rules.SMALL_BLOB_BYTES]
    moved = 0
    if len({part.pack_pk for part in small}) > 1:
        sizes = [part.placed.end - part.placed.offset for part in small]
        for first, last in rules.merged_together(sizes, store.settings.pack_bytes):
            moved += _merge(store, store.blobs, study_pk, small[first:last], now_ms)
    if moved:
        with store.database.read() as tx:
            metrics.STUDY_BLOBS.labels("merged").observe(len({part.pack_pk for part in _parts(tx, study_pk)}))
    return moved


def _parts(tx: Connection, study_pk: int) -> list[_Part]:
    wanted = (
        select(INSTANCE, PACK.c.name, PACK.c.indexed_bytes)
        .join_from(INSTANCE, SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
        .join(PACK, PACK.c.pk == INSTANCE.c.pack_pk)
        .where(SERIES.c.study_pk == study_pk)
        .order_by(*lookups.IN_STUDY, *lookups.IN_SERIES)
    )
    return [_Part(r.pk, r.pack_pk, r.indexed_bytes, _placed(r)) for r in tx.execute(wanted)]


def _placed(r: Row[Any]) -> Placed:
    tail_at = r.payload_at + r.payload_bytes
    end = record.aligned(tail_at + r.tail_bytes)
    return Placed(r.name, r.record_at, r.payload_at, r.payload_bytes, tail_at, r.tail_bytes, end)


def _merge(store: Store, blobs: Objects, study_pk: int, parts: Sequence[_Part], now_ms: int) -> int:
    try:
        placed = blobs.merge([part.placed for part in parts])
    except StoreDamaged as e:
        log.warning("not merged", study=study_pk, error=str(e))
        return 0
    with store.database.write() as tx:
        uid = tx.execute(select(STUDY.c.study_uid).where(STUDY.c.pk == study_pk)).scalar_one()
        # The old objects too: two studies of one object that left it at once would each see the other still in it.
        store.database.lock(tx, [uid, *{part.placed.blob for part in parts}])
        row = {"name": placed[0].blob, "indexed_bytes": placed[-1].end, "sealed": 1}
        new_pk = tx.execute(PACK.insert().values(**row).returning(PACK.c.pk)).scalar_one()
        moved = sum(_move(tx, part, where, new_pk) for part, where in zip(parts, placed, strict=True))
        nothing_there = ~exists().where(INSTANCE.c.pack_pk == PACK.c.pk)
        old = PACK.c.pk.in_({part.pack_pk for part in parts})
        tx.execute(update(PACK).where(old, PACK.c.sealed == 1, nothing_there).values(emptied_at_ms=now_ms))
    return moved


def _move(tx: Connection, part: _Part, to: Placed, new_pk: int) -> int:
    """The row names the new place, if it named the old one: it may have been sent again, and lie elsewhere."""
    same = (INSTANCE.c.pk == part.pk, INSTANCE.c.pack_pk == part.pack_pk, INSTANCE.c.record_at == part.placed.offset)
    place = {"pack_pk": new_pk, "record_at": to.offset, "payload_at": to.payload_offset}
    return tx.execute(update(INSTANCE).where(*same).values(**place)).rowcount


def delete_emptied(store: Store, now_ms: int) -> int:
    """Objects whose content has lain elsewhere for long enough are deleted; how many that were."""
    if not isinstance(store.blobs, Objects):
        return 0
    # Until then those who still read from it have finished.
    before_ms = now_ms - round(store.settings.merged_keep_s * 1000)
    emptied = select(PACK.c.pk, PACK.c.name).where(PACK.c.emptied_at_ms <= before_ms)
    with store.database.read() as tx:
        packs = list(islice(tx.execute(emptied.order_by(PACK.c.emptied_at_ms)), _DELETED_AT_ONCE))
    for pack in packs:
        with store.database.write() as tx:
            # Whoever wrote to it had sealed it before it was emptied, so that nothing can have come back.
            if tx.execute(select(INSTANCE.c.pk).where(INSTANCE.c.pack_pk == pack.pk).limit(1)).first() is not None:
                tx.execute(update(PACK).where(PACK.c.pk == pack.pk).values(emptied_at_ms=None))
                continue
            store.blobs.delete(pack.name)
            tx.execute(delete(PACK).where(PACK.c.pk == pack.pk))
    return len(packs)

"""Is everything acknowledged still there, byte for byte? Every blob read again, index against blobs both ways."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Row, select

from huitong.base.errors import StoreDamaged
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.store import ledger
from huitong.store.blobs import Blobs, OpenBlob, Walked
from huitong.store.store import Store

#: Told (bytes read, bytes in all).
Progress = Callable[[int, int], None]
_STEP = 4 << 20
_SHOWN = 1000


@dataclass
class VerifyReport:
    """What was read, and what is wrong; `clean` decides the exit status."""

    records: int = 0
    bytes: int = 0
    #: Stored bytes that differ from their digest, or are no record at all.
    damaged: list[str] = field(default_factory=list)
    #: In the index, but not in the blobs.
    missing: list[str] = field(default_factory=list)
    #: In the blobs, but not in the index.
    unindexed: list[str] = field(default_factory=list)
    #: Ledger lines whose hash does not follow from the line before.
    ledger_breaks: list[int] = field(default_factory=list)
    #: Records whose content is indexed at another place; they take room and harm nothing.
    spare: int = 0
    #: Ready-made things that cannot be read; they are made again when asked for.
    stale: int = 0

    @property
    def clean(self) -> bool:
        return not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """What was counted, in the order to show."""
        return {
            "objects read": self.records,
            "bytes read": self.bytes,
            "damaged": len(self.damaged),
            "missing from the packs": len(self.missing),
            "missing from the index": len(self.unindexed),
            "ledger lines altered": len(self.ledger_breaks),
            "kept twice (harmless)": self.spare,
            "to be made ready again (harmless)": self.stale,
        }

    @property
    def problems(self) -> list[str]:
        """What is wrong, a line each."""
        return [
            *(f"damaged: {each}" for each in self.damaged),
            *(f"missing from the packs: {each}" for each in self.missing),
            *(f"missing from the index: {each}" for each in self.unindexed),
            *(f"ledger: line {seq} does not follow from the line before" for seq in self.ledger_breaks),
        ]


def verify(store: Store, progress: Progress = lambda _done, _all: None) -> VerifyReport:
    """Check a store, also while it is in use: what arrives meanwhile is left to the next time."""
    report = VerifyReport()
    with store.database.read() as tx:
        packs = list(tx.execute(select(PACK).order_by(PACK.c.name)))
        report.ledger_breaks = list(ledger.check(tx))
    total = sum(pack.indexed_bytes for pack in packs)
    for pack in packs:
        _verify_pack(store, pack, report)
        progress(report.bytes, total)
    _unknown_packs(store, {pack.name for pack in packs}, report)
    _verify_ready(store, report)
    return report


def _verify_pack(store: Store, pack: Row[tuple[object, ...]], report: VerifyReport) -> None:
    rows = {r.record_at: r for r in _index_of(store, pack.pk)}
    try:
        opened = store.blobs.open(pack.name)
        for walked in store.blobs.walk(pack.name, stop=pack.indexed_bytes):
            where = f"{pack.name}:{walked.offset}"
            row = rows.pop(walked.offset, None)
            if walked.head is None:
                report.damaged.append(f"{where} is no record ({walked.end - walked.offset} bytes)")
                if row is not None:
                    report.missing.append(f"{where} {row.sop_uid}")
                continue
            report.records += 1
            report.bytes += walked.end - walked.offset
            if fault := record_fault(opened, walked):
                report.damaged.append(f"{where} {fault}" + (f" {row.sop_uid}" if row else ""))
            elif row is None:
                _judge_unindexed(store, where, walked, report)
            elif row.sha256 != walked.head.body_sha256:
                report.missing.append(f"{where} {row.sop_uid}: the index has another digest")
    except StoreDamaged as e:
        report.damaged.append(str(e))
    report.missing += [f"{pack.name}:{r.record_at} {r.sop_uid}" for r in list(rows.values())[:_SHOWN]]


def _index_of(store: Store, pack_pk: int) -> list[Row[tuple[object, ...]]]:
    wanted = select(INSTANCE.c.record_at, INSTANCE.c.sop_uid, INSTANCE.c.sha256).where(INSTANCE.c.pack_pk == pack_pk)
    with store.database.read() as tx:
        return list(tx.execute(wanted))


def record_fault(blob: OpenBlob, walked: Walked) -> str | None:
    """What is wrong with a record's bytes; None when they are what they were."""
    head = walked.head
    assert head is not None
    at = walked.offset + head.payload_at
    if hashlib.sha256(blob.read(at, head.head_bytes)).digest() != head.head_sha256:
        return "file meta information differs from its digest"
    body = hashlib.sha256()
    for start in range(at + head.head_bytes, at + head.payload_bytes, _STEP):
        body.update(blob.read(start, min(_STEP, at + head.payload_bytes - start)))
    if body.digest() != head.body_sha256:
        return "data set differs from its digest"
    if zlib.crc32(blob.read(walked.offset + head.tail_at, head.tail_bytes)) != head.tail_crc:
        return "header copy differs from its checksum"
    return None


def _judge_unindexed(store: Store, where: str, walked: Walked, report: VerifyReport) -> None:
    assert walked.head is not None
    same = (
        select(INSTANCE.c.pk)
        .join(SERIES, SERIES.c.pk == INSTANCE.c.series_pk)
        .join(STUDY, STUDY.c.pk == SERIES.c.study_pk)
        .where(INSTANCE.c.sha256 == walked.head.body_sha256, STUDY.c.institution == walked.envelope.get("institution"))
    )
    with store.database.read() as tx:
        if tx.execute(same).first() is not None:
            report.spare += 1
        else:
            report.unindexed.append(where)


def _unknown_packs(store: Store, known: set[str], report: VerifyReport) -> None:
    """A pack the index has never heard of: a living writer's first group, or an index that lost it."""
    for name in store.blobs.names():
        if name not in known and store.blobs.take_over(name):
            report.unindexed += [f"{name}:{w.offset}" for w in _whole(store.blobs, name)]


def _whole(blobs: Blobs, name: str) -> list[Walked]:
    return [w for w in blobs.walk(name) if w.head is not None][:_SHOWN]


def _verify_ready(store: Store, report: VerifyReport) -> None:
    with store.database.read() as tx:
        rows = list(tx.execute(select(READY)))
    for r in rows:
        try:
            store.derived.open(r.pack).read(r.payload_at, r.payload_bytes)
        except StoreDamaged:
            report.stale += 1

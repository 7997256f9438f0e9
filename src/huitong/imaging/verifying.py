"""Is everything acknowledged still there, byte for byte? Every blob read again, index against blobs both ways."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, exists, or_, select

from huitong.base.errors import StoreDamaged
from huitong.imaging.faults import record_fault
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.store import ledger
from huitong.store.blobs import Walked
from huitong.store.store import Store

#: Told (bytes read, bytes in all).
Progress = Callable[[int, int], None]
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
    #: Whole records that no group was acknowledged with before a crash or a refusal; the next start indexes them.
    waiting: int = 0
    #: Bytes of torn writes that nobody was told of.
    left_bytes: int = 0
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
            "to be indexed at the next start": self.waiting,
            "bytes of torn writes (harmless)": self.left_bytes,
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
    _waiting(store, {pack.name: pack.indexed_bytes for pack in packs}, report)
    _verify_ready(store, report)
    return report


def _verify_pack(store: Store, pack: Row[Any], report: VerifyReport) -> None:
    rows = {r.record_at: r for r in _index_of(store, pack)}
    damaged: list[str] = []
    try:
        opened = store.blobs.open(pack.name)
        for walked in store.blobs.walk(pack.name, stop=pack.indexed_bytes):
            where = f"{pack.name}:{walked.offset}"
            row = rows.pop(walked.offset, None)
            if walked.head is None:
                # Without a row in it, the stretch is a write that was torn before anybody was told of it.
                if row is not None:
                    damaged.append(f"{where} {row.sop_uid}: no record")
                report.left_bytes += walked.end - walked.offset
                continue
            report.records += 1
            report.bytes += walked.end - walked.offset
            fault = record_fault(opened, walked)
            if row is None:
                _judge_unindexed(store, where, walked, fault, report)
            elif fault is not None:
                damaged.append(f"{where} {row.sop_uid}: {fault}")
            elif row.sha256 != walked.head.body_sha256:
                report.missing.append(f"{where} {row.sop_uid}: the index has another digest")
    except StoreDamaged as e:
        damaged.append(str(e))
    if damaged and not _is_wanted(store, pack):
        return
    report.damaged += damaged
    report.missing += [f"{pack.name}:{r.record_at} {r.sop_uid}" for r in list(rows.values())[:_SHOWN]]


def _is_wanted(store: Store, pack: Row[Any]) -> bool:
    """Whether anything is to be found in the pack by now: what was emptied by a merge is deleted an hour later."""
    in_it = exists().where(INSTANCE.c.pack_pk == PACK.c.pk)
    wanted = select(PACK.c.pk).where(PACK.c.name == pack.name, or_(PACK.c.emptied_at_ms.is_(None), in_it))
    with store.database.read() as tx:
        return tx.execute(wanted).first() is not None


def _index_of(store: Store, pack: Row[Any]) -> list[Row[Any]]:
    """The index of the pack as far as the snapshot knew it: later rows belong to records that came meanwhile."""
    wanted = select(INSTANCE.c.record_at, INSTANCE.c.sop_uid, INSTANCE.c.sha256)
    wanted = wanted.where(INSTANCE.c.pack_pk == pack.pk, INSTANCE.c.record_at < pack.indexed_bytes)
    with store.database.read() as tx:
        return list(tx.execute(wanted))


def _judge_unindexed(store: Store, where: str, walked: Walked, fault: str | None, report: VerifyReport) -> None:
    """A record without a row: a second copy, a torn write of a group that was refused, or lost from the index."""
    assert walked.head is not None
    if fault is not None:
        report.left_bytes += walked.end - walked.offset
        return
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


def _waiting(store: Store, known: dict[str, int], report: VerifyReport) -> None:
    """Whole records behind the indexed ends of packs whose writer is gone: the next start takes them up.

    One that is deleted meanwhile has none; one that the index names was found missing before.
    """
    for name in store.blobs.names():
        with suppress(StoreDamaged), store.blobs.claim(name) as ours:
            if ours:
                report.waiting += sum(1 for w in store.blobs.walk(name, known.get(name, 0)) if w.head is not None)


def _verify_ready(store: Store, report: VerifyReport) -> None:
    with store.database.read() as tx:
        for r in tx.execution_options(yield_per=1000).execute(select(READY)):
            try:
                store.derived.open(r.pack).read(r.payload_at, r.payload_bytes)
            except StoreDamaged:
                report.stale += 1

"""After a crash or a loss of the index: whole records behind a pack's indexed end are indexed. Nothing is ever cut off.

The same work rebuilds the whole index from the packs alone (`reindex`): in an empty index every record lies behind
the indexed end. Either may be interrupted at any moment and simply run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Connection, delete, exists, select, text, update

from huitong.base import log as logs
from huitong.base.clock import milliseconds
from huitong.base.errors import HuitongError, StoreDamaged, StoreFull, StoreUnavailable
from huitong.imaging import records, rules
from huitong.imaging.faults import TAIL, record_fault
from huitong.imaging.model import Outcome
from huitong.imaging.preparing import Prepared, prepare
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.store import holding, marks
from huitong.store.blobs import NewRecord, Placed, Walked, mapped
from huitong.store.database import Session
from huitong.store.store import Store

#: Told (bytes done, bytes in all).
Progress = Callable[[int, int], None]
_GROUP = 500
#: Marks of the store: the names of blobs before which all is judged, and that an index is being made again.
_RECOVERED, _REINDEXING = "imaging.recovered", "imaging.reindexing"
#: By how much the clocks of two machines may differ, and a group may take.
_MARGIN = timedelta(days=1)
log = logs.logger(__name__)


@dataclass
class Recovered:
    """What was found behind the indexed ends."""

    #: Records now in the index that were not.
    indexed: int = 0
    #: Records whose content the index has already, at another place.
    spare: int = 0
    #: Records whose content the index had at a place that is gone; it names this one now.
    found_again: int = 0
    #: Bytes that are no whole record: torn writes, which nobody was told of, or damage.
    left_bytes: int = 0
    #: Whole records that no longer read as the object they were.
    problems: list[str] = field(default_factory=list)
    #: Blobs that the index names and that are not there.
    gone: set[str] = field(default_factory=set)

    @property
    def clean(self) -> bool:
        return not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """What was counted, in the order to show."""
        return {
            "objects indexed": self.indexed,
            "objects found at another place": self.found_again,
            "kept twice (harmless)": self.spare,
            "bytes of torn writes left alone": self.left_bytes,
            "damaged": len(self.problems),
        }


def recover(store: Store, progress: Progress = lambda _done, _all: None) -> Recovered:
    """Every pack without a living writer is indexed to its end and sealed, unless another process is at it.

    Raises StoreFull, StoreUnavailable; what was not judged then is judged by the next recovery.
    Nothing happens in a store that is moving: its last rows are being copied, or it has gone.
    """
    with store.database.read() as tx:
        if holding.held(tx):
            return Recovered()
    with store.database.turn("recover") as ours:
        return _recover(store, progress) if ours else Recovered()


def _recover(store: Store, progress: Progress) -> Recovered:
    done, began = Recovered(), datetime.now(UTC)
    starts = _unjudged(store)
    sizes = _sizes(store, sorted(starts))
    names = list(sizes)
    total, read = sum(sizes[name] - starts[name] for name in names), 0
    with closing(store.database.session()) as session:
        for name in names:
            with store.blobs.claim(name) as ours:
                if ours:
                    _recover_pack(store, session, name, starts[name], done)
            read += sizes[name] - starts[name]
            progress(read, total)
    with store.database.write() as tx:
        if gone := sorted(done.gone):
            tx.execute(delete(PACK).where(PACK.c.name.in_(gone), ~exists().where(INSTANCE.c.pack_pk == PACK.c.pk)))
        if marks.read(tx, _REINDEXING):
            _first_come_first(tx)
            marks.write(tx, _REINDEXING, None)
        marks.write(tx, _RECOVERED, f"{began - _MARGIN:%Y%m/%Y%m%dT%H%M%S}")
    if done != Recovered():
        counts = {"indexed": done.indexed, "spare": done.spare, "found_again": done.found_again}
        log.warning("records recovered", damaged=len(done.problems), left_bytes=done.left_bytes, **counts)
    return done


def _unjudged(store: Store) -> dict[str, int]:
    """The blobs whose end has not been judged, and from where on.

    A folder is looked through as a whole: what was lost may have been put back. Of the objects of a store that holds
    millions only the younger are listed: those that were there a day before the last recovery began were judged by it.
    """
    with store.database.read() as tx:
        judged_to = marks.read(tx, _RECOVERED) if store.blobs.remote else None
    found: dict[str, int] = {}
    names = store.blobs.names(judged_to or "")
    while some := list(islice(names, 1000)):
        with store.database.read() as tx:
            known = {r.name: r for r in tx.execute(select(PACK).where(PACK.c.name.in_(some)))}
        new = {name: known[name].indexed_bytes if name in known else 0 for name in some}
        found |= {name: start for name, start in new.items() if name not in known or not known[name].sealed}
    return found


def _sizes(store: Store, names: Iterable[str]) -> dict[str, int]:
    """Of those that are still there: what was merged is deleted by whichever process comes to it."""
    found = {}
    for name in names:
        with suppress(StoreDamaged):
            found[name] = store.blobs.open(name).size()
    return found


def _recover_pack(store: Store, session: Session, name: str, start: int, done: Recovered) -> None:
    end = start
    group: list[records.Indexed] = []
    left_bytes, problems = done.left_bytes, len(done.problems)
    for walked in store.blobs.walk(name, start):
        if walked.head is None:
            done.left_bytes += walked.end - walked.offset
            continue
        found = _read(store, name, walked, done)
        end = walked.end
        if found is not None:
            group.append(records.Indexed(*found, variant=0))
        if len(group) >= _GROUP:
            _index(store, session, name, group, end, done)
            group = []
    _index(store, session, name, group, end, done)
    sound = (done.left_bytes, len(done.problems)) == (left_bytes, problems)
    with session.write():
        session.run("UPDATE pack SET sealed = 1 WHERE pk = :pk", {"pk": records.pack_pk(session, name)})
        if store.blobs.remote and sound:  # an object of which nothing is wanted is deleted like those merged away
            records.mark_spare(session, name, milliseconds(datetime.now(UTC)))


def _read(store: Store, name: str, walked: Walked, done: Recovered) -> tuple[Prepared, Placed] | None:
    """The record as it was prepared when it came, and where it lies; None if its bytes are not what they were.

    A record of which only the kept header is damaged is written again: the object itself is whole. Raises StoreFull or
    StoreUnavailable where that cannot be done now.
    """
    fault = record_fault(store.blobs.open(name), walked)
    try:
        if fault is None or fault == TAIL:
            prepared = _prepared(store, name, walked, with_tail=fault is None)
            return prepared, (walked.placed(name) if fault is None else _written_again(store, name, walked, prepared))
    except (StoreFull, StoreUnavailable):  # nothing is wrong with the record: it is read by the next recovery
        raise
    except (HuitongError, KeyError, ValueError) as e:
        fault = str(e)
    log.warning("record does not read as an object", pack=name, at=walked.offset, error=fault)
    done.problems.append(f"damaged: {name}:{walked.offset} {walked.envelope.get('institution', '')}: {fault}")
    return None


def _prepared(store: Store, name: str, walked: Walked, *, with_tail: bool) -> Prepared:
    head, fields = walked.head, walked.envelope
    assert head is not None
    blob = store.blobs.open(name)
    tail = blob.read(walked.offset + head.tail_at, head.tail_bytes) if with_tail else None
    with mapped(blob, walked.offset + head.payload_at, head.payload_bytes) as payload:
        who, at_ms = str(fields["institution"]), int(str(fields["at_ms"]))
        return prepare(payload, None, institution=who, received_at_ms=at_ms, tail=tail)


def _written_again(store: Store, name: str, walked: Walked, prepared: Prepared) -> Placed:
    head = walked.head
    assert head is not None
    body = store.intakes.new()
    try:
        pack = store.blobs.open(name)
        for at in range(0, head.payload_bytes, 1 << 20):
            body.write(pack.read(walked.offset + head.payload_at + at, min(1 << 20, head.payload_bytes - at)))
        again = NewRecord(
            walked.envelope, b"", body, head.head_bytes, head.head_sha256, head.body_sha256, prepared.tail
        )
        return store.blobs.append([again])[0]
    finally:
        body.finish()


def _index(store: Store, session: Session, name: str, group: list[records.Indexed], end: int, done: Recovered) -> None:
    """Index what is new of the group; all of the pack before `end` has then been judged."""
    with session.write():
        session.lock(each.prepared.identity.study_uid for each in group)
        known = records.digests_at(session, [records.place_of(each.prepared) for each in group], records.Known())
        new, again = list[records.Indexed](), list[records.Indexed]()
        for each in group:
            digests = known.setdefault(records.place_of(each.prepared), {})
            outcome, variant = rules.outcome(digests, each.prepared.body_sha256)
            if outcome is Outcome.ALREADY:
                if _is_lost(store, session, each, done):
                    again.append(records.Indexed(each.prepared, each.placed, variant))
                else:
                    done.spare += not _is_this(session, each)
                continue
            digests[each.prepared.body_sha256] = variant
            new.append(records.Indexed(each.prepared, each.placed, variant))
        if new:
            records.write(session, new, records.Known())
        for each in again:
            records.point_again(session, each)
        records.pack_pk(session, name)
        records.advance_to(session, name, end)
    done.indexed += len(new)
    done.found_again += len(again)


def _is_lost(store: Store, session: Session, each: records.Indexed, done: Recovered) -> bool:
    """Whether the index names a blob that is gone: it is older than the blobs, whose content was merged meanwhile."""
    spot = _spot(session, each)
    if spot is None or spot["pack"] == each.placed.blob:
        return False
    try:
        store.blobs.open(spot["pack"]).size()
    except StoreDamaged:
        done.gone.add(spot["pack"])
        return True
    return False


def _is_this(session: Session, each: records.Indexed) -> bool:
    """Whether the index names this very record: its writer was about to index it, too."""
    spot = _spot(session, each)
    return spot is not None and (spot["pack"], spot["payload_at"]) == (each.placed.blob, each.placed.payload_offset)


def _spot(session: Session, each: records.Indexed) -> Any:
    """The row of this content; None for a second copy within the group."""
    place = records.place_of(each.prepared)
    if each.prepared.body_sha256 not in records.digests_at(session, [place], records.Known()).get(place, {}):
        return None
    return records.spot_of(session, place, each.prepared.body_sha256)


# --- the whole index ---


def reindex(store: Store, progress: Progress = lambda _done, _all: None) -> Recovered:
    """The index made again from the packs alone. The store must be claimed alone. The ledger is left as it is."""
    with store.database.write() as tx:
        marks.write(tx, _REINDEXING, "yes")  # whoever finishes an interrupted run, `serve` too, then puts it in order
        marks.write(tx, _RECOVERED, None)
        marks.write(tx, holding.MOVE, None)  # what a move has copied so far is of rows that are no more
        for table in (READY, INSTANCE, SERIES, STUDY, PACK):
            tx.execute(delete(table))
        records.forget_grams(tx)
    return recover(store, progress)


def _first_come_first(tx: Connection) -> None:
    """Packs of several writers overlap in time: which study is shown and which content is the first go by arrival."""
    tx.execute(text(
        "UPDATE study SET shown = CASE WHEN pk = (SELECT s.pk FROM study s WHERE s.study_uid = study.study_uid "
        "ORDER BY s.first_at_ms, s.pk LIMIT 1) THEN 1 ELSE 0 END WHERE (flags & 4) <> 0"
    ))  # fmt: skip
    for pk, variant in _variants_by_arrival(tx):
        tx.execute(update(INSTANCE).where(INSTANCE.c.pk == pk).values(variant=variant))


def _variants_by_arrival(tx: Connection) -> Iterator[tuple[int, int]]:
    rows = tx.execute(_BY_ARRIVAL).all()
    return ((r.pk, r.v) for r in rows if r.v != r.variant)


_BY_ARRIVAL = text("""
    SELECT i.pk, i.variant,
           row_number() OVER (PARTITION BY i.series_pk, i.sop_uid ORDER BY i.received_at_ms, i.pk) - 1 AS v
    FROM instance i
    JOIN (SELECT DISTINCT series_pk, sop_uid FROM instance WHERE variant > 0) d
      ON d.series_pk = i.series_pk AND d.sop_uid = i.sop_uid
""")

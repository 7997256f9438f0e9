"""After a crash or a loss of the index: whole records behind a pack's indexed end are indexed, torn ones cut off.

The same work rebuilds the whole index from the packs alone (`reindex`): in an empty index every record lies behind
the indexed end. Either may be interrupted at any moment and simply run again.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select, text, update

from huitong.base import log as logs
from huitong.base.errors import SenderFault
from huitong.imaging import records, rules
from huitong.imaging.model import Outcome
from huitong.imaging.preparing import Prepared, prepare
from huitong.imaging.tables import INSTANCE, PACK, READY, SERIES, STUDY
from huitong.store.blobs import Walked
from huitong.store.database import Session
from huitong.store.store import Store

#: Told (bytes done, bytes in all).
Progress = Callable[[int, int], None]
_GROUP = 500
log = logs.logger(__name__)


@dataclass
class Recovered:
    """What was found behind the indexed ends."""

    #: Records now in the index that were not.
    indexed: int = 0
    #: Records whose content the index has already, at another place.
    spare: int = 0
    cut_bytes: int = 0
    #: Records that no longer read as the object they were.
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not self.problems

    @property
    def counts(self) -> dict[str, int]:
        """What was counted, in the order to show."""
        return {
            "objects indexed": self.indexed,
            "kept twice (harmless)": self.spare,
            "bytes cut off behind torn writes": self.cut_bytes,
            "damaged": len(self.problems),
        }


def recover(store: Store, progress: Progress = lambda _done, _all: None) -> Recovered:
    """Every pack without a living writer is indexed to its end and sealed."""
    done = Recovered()
    with store.database.read() as tx:
        known = {r.name: r for r in tx.execute(select(PACK))}
    names = [name for name in store.blobs.names() if name not in known or not known[name].sealed]
    starts = {name: known[name].indexed_bytes if name in known else 0 for name in names}
    sizes = {name: store.blobs.open(name).size() - starts[name] for name in names}
    total, read = sum(sizes.values()), 0
    with closing(store.database.session()) as session:
        for name in names:
            if store.blobs.take_over(name):
                _recover_pack(store, session, name, starts[name], done)
            read += sizes[name]
            progress(read, total)
    if done != Recovered():
        log.warning(
            "records recovered",
            indexed=done.indexed,
            spare=done.spare,
            cut_bytes=done.cut_bytes,
            damaged=len(done.problems),
        )
    return done


def _recover_pack(store: Store, session: Session, name: str, start: int, done: Recovered) -> None:
    size = store.blobs.open(name).size()
    good_end = start
    group: list[tuple[Prepared, Walked]] = []
    for walked in store.blobs.walk(name, start):
        if walked.head is None:
            continue
        prepared = _read(store, name, walked, done)
        if prepared is None:
            continue
        good_end = walked.end
        group.append((prepared, walked))
        if len(group) >= _GROUP:
            _index(session, name, group, done)
            group = []
    _index(session, name, group, done)
    if good_end < size:
        store.blobs.cut(name, good_end)
        done.cut_bytes += size - good_end
    with session.write():
        pk = records.pack_pk(session, name)
        session.run("UPDATE pack SET sealed = 1, indexed_bytes = :end WHERE pk = :pk", {"end": good_end, "pk": pk})


def _read(store: Store, name: str, walked: Walked, done: Recovered) -> Prepared | None:
    """The record as it was prepared when it came; None if its bytes are not what they were."""
    head, fields = walked.head, walked.envelope
    assert head is not None
    with _mapped(store, name) as view:
        at = walked.offset + head.payload_at
        payload = view[at : at + head.payload_bytes]
        tail = bytes(view[at + head.payload_bytes : at + head.payload_bytes + head.tail_bytes])
        try:
            if hashlib.sha256(payload[head.head_bytes :]).digest() == head.body_sha256:
                institution, at_ms = str(fields["institution"]), int(str(fields["at_ms"]))
                return prepare(payload, None, institution=institution, received_at_ms=at_ms, tail=tail)
        except (SenderFault, KeyError, ValueError) as e:
            log.warning("record does not read as an object", pack=name, at=walked.offset, error=str(e))
        finally:
            payload.release()
    done.problems.append(f"damaged: {name}:{walked.offset} {fields.get('institution', '')}")
    return None


@contextmanager
def _mapped(store: Store, name: str) -> Iterator[memoryview]:
    """The pack as one buffer."""
    with mmap.mmap(store.blobs.open(name).fd, 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped) as view:
        yield view


def _index(session: Session, name: str, group: list[tuple[Prepared, Walked]], done: Recovered) -> None:
    if not group:
        return
    with session.write():
        known = records.digests_at(session, [records.place_of(p) for p, _ in group])
        new = []
        for prepared, walked in group:
            digests = known.setdefault(records.place_of(prepared), {})
            outcome, variant = rules.outcome(digests, prepared.body_sha256)
            if outcome is Outcome.ALREADY:
                done.spare += 1
                continue
            digests[prepared.body_sha256] = variant
            new.append(records.Indexed(prepared, walked.placed(name), variant))
        if new:
            records.write(session, new, records.Known())
        records.pack_pk(session, name)
        records.advance_pack(session, name, group[-1][1].end)
    done.indexed += len(new)


# --- the whole index ---


def reindex(store: Store, progress: Progress = lambda _done, _all: None) -> Recovered:
    """The index made again from the packs alone. The store must be claimed alone. The ledger is left as it is."""
    with store.database.write() as tx:
        for table in (READY, INSTANCE, SERIES, STUDY, PACK):
            tx.execute(delete(table))
        tx.execute(text("INSERT INTO study_grams(study_grams) VALUES ('delete-all')"))
    done = recover(store, progress)
    with store.database.write() as tx:
        _first_come_first(tx)
    return done


def _first_come_first(tx: Connection) -> None:
    """Packs of several writers overlap in time: which study is shown and which content is the first go by arrival."""
    tx.execute(text(
        "UPDATE study SET shown = (pk = (SELECT s.pk FROM study s WHERE s.study_uid = study.study_uid "
        "ORDER BY s.first_at_ms, s.pk LIMIT 1)) WHERE flags & 4"
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

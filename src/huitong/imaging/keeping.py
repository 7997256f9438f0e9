"""The only way in: every door's instances are prepared, written, synced and indexed here, in groups, then acknowledged.

Order of a group: what is there already is looked up; new bytes are appended to the pack and synced; the index is
committed and synced; only then does any sender hear of it. A crash between the two leaves whole records behind the
pack's indexed end, which `recovering` takes up at the next start. What another process kept between look-up and commit
is seen by a second look-up inside the transaction, which alone decides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from huitong.access.work import Work
from huitong.base import metrics
from huitong.base.clock import milliseconds
from huitong.base.errors import HuitongError, StoreDamaged, StoreUnavailable, answer_for
from huitong.imaging import records, rules
from huitong.imaging.model import Expected, Kept, Outcome
from huitong.imaging.preparing import Prepared, envelope, prepare
from huitong.store import holding
from huitong.store.blobs import NewRecord, Placed
from huitong.store.database import Session
from huitong.store.files import disk_faults
from huitong.store.groups import Groups
from huitong.store.intake import Intake
from huitong.store.store import Store

#: Objects up to this size are read where they came, on the event loop: handing one to a thread and back costs more
#: than the header of a CT slice. Larger ones may take long, and the loop has others to serve.
_AT_ONCE_BYTES = 1 << 20
_PREPARING_THREADS = 2


@dataclass(slots=True)
class _Waiting:
    """An instance between preparation and its group's commit."""

    work: Work
    intake: Intake
    source_ae: str
    prepared: Prepared


@dataclass(slots=True)
class _Decided:
    """What is to happen with one waiting instance."""

    waiting: _Waiting
    outcome: Outcome
    variant: int
    #: Already there only because another member of the same group brings it: shares that one's fate.
    rides: bool = False
    #: The index knows this content, but its bytes are gone: they are kept again.
    lost: bool = False


class Keeper:
    """Keeps instances for one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opened: Session | None = None
        self._known = records.Known()
        #: Whether the index took no group the last time: then it is asked before bytes are written.
        self._refused = False
        self._preparing = ThreadPoolExecutor(_PREPARING_THREADS, thread_name_prefix="prepare")
        self._groups: Groups[_Waiting, asyncio.Future[Kept], Kept] = Groups(
            self._commit, _answer, most=store.settings.commit_batch, name="commit"
        )

    async def keep(self, work: Work, intake: Intake, expected: Expected | None) -> Kept:
        """The intake is this method's from now on, also when it raises or is cancelled."""
        loop = asyncio.get_running_loop()
        ticket: asyncio.Future[Kept] = loop.create_future()
        size = intake.size
        intake.hand_over()
        try:
            if size <= _AT_ONCE_BYTES:
                self._prepare(work, intake, expected, ticket)
            else:
                await loop.run_in_executor(self._preparing, self._prepare, work, intake, expected, ticket)
            kept = await ticket
        except HuitongError as e:
            metrics.REFUSED.labels(work.door, answer_for(e).code).inc()
            raise
        except RuntimeError as e:  # shut down, or no thread to be had
            intake.finish()
            raise StoreUnavailable(str(e)) from e
        metrics.INSTANCES.labels(work.door, work.institution, kept.outcome.name.lower()).inc()
        if kept.outcome is not Outcome.ALREADY:
            metrics.BYTES.labels(work.door, work.institution).inc(size)
        return kept

    def _prepare(self, work: Work, intake: Intake, expected: Expected | None, ticket: asyncio.Future[Kept]) -> None:
        try:
            assert work.institution is not None
            prepared = prepare(
                intake.view(),
                expected,
                institution=work.institution,
                received_at_ms=milliseconds(work.now()),
            )
            self._groups.submit(_Waiting(work, intake, expected.source_ae if expected else "", prepared), ticket)
        except BaseException:
            intake.finish()
            raise

    # --- one group, in the committing thread ---

    @property
    def _session(self) -> Session:
        """Opened here and not where doors wait; a failure is the answer of one group, and the next tries again."""
        if self._opened is not None and self._opened.broken:
            self._opened.close()
            self._opened = None
        if self._opened is None:
            self._store.claim.renew()  # lost with the same server
            self._opened = self._store.database.session()
        return self._opened

    def _commit(self, group: Sequence[_Waiting]) -> Sequence[Kept | Exception]:
        metrics.GROUP_SIZE.observe(len(group))
        try:
            with metrics.GROUP_SECONDS.time():
                decided = self._decide(group)
                new = [d for d in decided if d.outcome is not Outcome.ALREADY]
                failure = self._write(new) if new else None
        finally:
            for each in group:
                each.intake.finish()
        return [failure if failure and (d.rides or d.outcome is not Outcome.ALREADY) else _receipt(d) for d in decided]

    def _decide(self, group: Sequence[_Waiting]) -> list[_Decided]:
        """Each against the index and against those before it in the group."""
        places = [records.place_of(w.prepared) for w in group]
        known = records.digests_at(self._session, (p for p in places if not self._known.is_new(p)), self._known)
        decided = []
        new: set[tuple[records.Place, bytes]] = set()
        for waiting, place in zip(group, places, strict=True):
            sha256 = waiting.prepared.body_sha256
            digests = known.setdefault(place, {})
            rides = (place, sha256) in new
            lost = not rides and sha256 in digests and not self._is_there(place, sha256)
            outcome, variant = rules.outcome(digests, sha256, lost=lost)
            digests[sha256] = variant
            decided.append(_Decided(waiting, outcome, variant, rides, lost))
            if outcome is not Outcome.ALREADY:
                new.add((place, sha256))
        return decided

    def _is_there(self, place: records.Place, sha256: bytes) -> bool:
        """Whether the pack reaches as far as the index says. Packs can be lost, so it vouches for no bytes."""
        spot = records.spot_of(self._session, place, sha256)
        try:
            with disk_faults():
                size = self._store.blobs.open(spot["pack"]).size()
        except StoreDamaged:
            return False
        end: int = spot["payload_at"] + spot["payload_bytes"] + spot["tail_bytes"]
        return size >= end

    def _write(self, new: Sequence[_Decided]) -> HuitongError | None:
        """Both syncs; the failure that is then every new instance's answer."""
        try:
            if self._refused:
                self._refuse_if_moving()
            placed = self._store.blobs.append([_record(d.waiting) for d in new])
        except HuitongError as e:
            return e
        try:
            session = self._session
            with session.write():
                session.lock(d.waiting.prepared.identity.study_uid for d in new)
                staged = self._index(new, placed)
        except BaseException as e:
            # Whether the commit reached the disk is not known: leave these records to `recovering`.
            self._store.blobs.give_up()
            self._refused = True
            if isinstance(e, HuitongError):
                return e
            raise
        self._refused = False
        self._known.adopt(staged)
        return None

    def _refuse_if_moving(self) -> None:
        """Senders try again and again; what can only be refused need not be written each time."""
        with self._store.database.read() as tx:
            if holding.held(tx):
                raise StoreUnavailable("the store is moving")

    def _index(self, new: Sequence[_Decided], placed: Sequence[Placed]) -> records.Known:
        """Within the transaction, where no other process writes to these studies: who came first is decided here."""
        places = [records.place_of(d.waiting.prepared) for d in new]
        known = records.digests_at(self._session, places, self._known)
        fresh, passed = [], set[str]()
        for d, place, where in zip(new, places, placed, strict=True):
            prepared = d.waiting.prepared
            digests = known.setdefault(place, {})
            again = prepared.body_sha256 in digests and (d.lost or not self._is_there(place, prepared.body_sha256))
            d.outcome, d.variant = rules.outcome(digests, prepared.body_sha256, lost=again)
            digests[prepared.body_sha256] = d.variant
            indexed = records.Indexed(prepared, where, d.variant)
            if d.outcome is Outcome.ALREADY:
                records.pass_over(self._session, where)
                passed |= {where.blob} if where.whole else set()
            elif again:
                records.point_again(self._session, indexed)
            else:
                fresh.append(indexed)
        staged = records.write(self._session, fresh, self._known)
        for blob in passed:
            records.mark_spare(self._session, blob, new[0].waiting.prepared.received_at_ms)
        return staged

    def close(self) -> None:
        self._preparing.shutdown(wait=True)
        self._groups.close()
        if self._opened is not None:
            self._opened.close()


def _answer(answered: Sequence[tuple[asyncio.Future[Kept], Kept | Exception]]) -> None:
    """Wake each loop once for all of the group that wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Kept], Kept | Exception]]] = defaultdict(list)
    for ticket, receipt in answered:
        by_loop[ticket.get_loop()].append((ticket, receipt))
    for loop, mine in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_resolve, mine)


def _resolve(answered: Sequence[tuple[asyncio.Future[Kept], Kept | Exception]]) -> None:
    for ticket, receipt in answered:
        if ticket.done():  # cancelled: its object was kept all the same
            continue
        if isinstance(receipt, Exception):
            ticket.set_exception(receipt)
        else:
            ticket.set_result(receipt)


def _record(w: _Waiting) -> NewRecord:
    p = w.prepared
    return NewRecord(
        envelope=envelope(p, w.work.door, w.work.host, w.source_ae),
        prefix=p.prefix,
        body=w.intake,
        head_bytes=p.head_bytes,
        head_sha256=p.head_sha256,
        body_sha256=p.body_sha256,
        tail=p.tail,
    )


def _receipt(d: _Decided) -> Kept:
    p = d.waiting.prepared
    who = p.identity
    return Kept(d.outcome, who.study_uid, who.series_uid, who.sop_class_uid, who.sop_instance_uid, p.body_sha256.hex())


def keeper_of(store: Store) -> Keeper:
    return store.once("imaging.keeper", lambda: Keeper(store), Keeper.close)

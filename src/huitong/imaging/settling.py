"""A study settles when its sender has been quiet: its metadata and thumbnails are made, and the ledger gets one line.

A study that changes afterwards settles again, with a line of its own. A line that would say the same as the last one
(after a reindex, say) is not written twice. A study that cannot be settled waits longer each time and holds up no
other; what of it cannot be made ready does not hold up its line. The processes of a store settle different studies at
once: each passes over those that another has in hand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import func, select

from huitong.base import log as logs
from huitong.base import metrics
from huitong.base.clock import Clock, milliseconds, now
from huitong.base.errors import OurFault, StoreFull, StoreUnavailable
from huitong.base.rounds import Rounds
from huitong.imaging import due, lookups, merging, places, rules
from huitong.imaging.model import StoredInstance
from huitong.imaging.ready import METADATA, THUMBNAIL, Made, ready_of
from huitong.imaging.tables import STUDY
from huitong.store import holding
from huitong.store.store import Store

_AT_ONCE = 20
#: How long a study waits after its first failure, twice as long after each further one, and at most.
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=5), timedelta(hours=1)
log = logs.logger(__name__)


class _LookedAt(NamedTuple):
    """A study about to settle, and its manifest."""

    #: A row of `due.quiet_studies`.
    study: Any
    body: dict[str, Any]


class Settler:
    """Looks for quiet studies from time to time, in a thread of its own."""

    def __init__(self, store: Store, clock: Clock = now) -> None:
        self._store, self._clock = store, clock
        wait_s = min(max(store.settings.settle_s / 4, 0.05), 5.0)
        self._rounds = Rounds("settle", wait_s, self._round, "settling")
        #: `study.pk` of what failed: when to try again, and how long that wait was.
        self._put_off: dict[int, tuple[datetime, timedelta]] = {}

    def start(self) -> None:
        self._rounds.start()

    @property
    def started(self) -> bool:
        return self._rounds.started

    def stop(self) -> None:
        self._rounds.stop()

    @property
    def _stopping(self) -> bool:
        return self._rounds.stopping.is_set()

    def _round(self) -> None:
        self._store.claim.renew()
        if self._held():
            return
        merging.delete_emptied(self._store, milliseconds(self._clock()))
        while self.settle_due() and not self._stopping:
            pass

    def _held(self) -> bool:
        """Whether the store is moving, and takes nothing that would be made for it."""
        with self._store.database.read() as tx:
            return holding.held(tx)

    def settle_due(self) -> int:
        """Settle the studies that are due, some at a time and with one sync for all; how many were tried.

        Raises StoreFull and StoreUnavailable, with which no other study would fare better.
        """
        in_hand = set[int]()  # of others
        while names := {_turn_of(study): study["pk"] for study in self._due(in_hand)}:
            with self._store.database.turns(names) as ours:
                # Another may have settled some of them just before.
                if studies := [study for study in self._due(in_hand) if _turn_of(study) in ours]:
                    return self._settle(studies)
            in_hand.update(names.values())
        return 0

    def _settle(self, studies: list[Any]) -> int:
        tried, looked_at, made = 0, list[_LookedAt](), list[Made]()
        contents = self._contents(studies)
        for study in studies:
            if self._stopping:
                break
            tried += 1
            try:
                looked_at.append(self._look_at(study, contents[study["pk"]], made))
            except (StoreFull, StoreUnavailable):
                self._wait_longer(study)
                raise
            except Exception as e:
                self._wait_longer(study)
                log.warning("study not settled", study=study["pk"], institution=study["institution"], error=repr(e))
        self._keep_ready(made)
        if looked_at and not self._stopping:
            self._say(looked_at)
            self._merge(looked_at)
        return tried

    def _due(self, but: Collection[int]) -> list[Any]:
        now_at = self._clock()
        before_ms = rules.quiet_before_ms(now_at.timestamp() * 1000, self._store.settings.settle_s)
        waiting = {pk for pk, (until, _) in self._put_off.items() if until > now_at}.union(but)
        with self._store.database.reading() as session:
            return due.quiet_studies(session, before_ms, waiting, _AT_ONCE)

    def _contents(self, studies: list[Any]) -> dict[int, due.Content]:
        if not studies:
            return {}
        with self._store.database.reading() as session:
            return due.content_of(session, [study["pk"] for study in studies])

    def _wait_longer(self, study: Any) -> None:
        last = self._put_off.get(study["pk"])
        wait = min(last[1] * 2, _LONGEST_WAIT) if last else _FIRST_WAIT
        self._put_off[study["pk"]] = (self._clock() + wait, wait)

    def _look_at(self, study: Any, content: due.Content, made: list[Made]) -> _LookedAt:
        """Its manifest; what is to be ready for its viewers is added to `made`."""
        instances = [lookups.stored_of(row) for row in content.instances]
        made += self._make_ready(content, instances)
        return _LookedAt(study, manifest(content.series, instances))

    def _make_ready(self, content: due.Content, instances: list[StoredInstance]) -> Iterator[Made]:
        """What cannot be made is left to the first reader who asks for it."""
        ready = ready_of(self._store)
        wanted: list[tuple[str, int, int, Callable[[], Made]]] = []
        for row in content.series:
            mine = [each for each in instances if each.series_uid == row["series_uid"] and each.variant == 0]
            key = (row["pk"], row["revision"])
            wanted.append((METADATA, *key, partial(ready.make_metadata, *key, mine)))
            if mine:
                middle = mine[(len(mine) - 1) // 2]
                wanted.append((THUMBNAIL, middle.pk, 0, partial(ready.make_thumbnail, middle)))
        for kind, owner_pk, revision, make in wanted:
            if self._stopping:
                return
            try:
                if (kind, owner_pk, revision) not in content.ready or not ready.has(kind, owner_pk, revision):
                    yield make()
            except Exception as e:
                log.warning("not made ready", kind=kind, owner=owner_pk, error=repr(e))

    def _keep_ready(self, made: list[Made]) -> None:
        """What cannot be kept is made again for the first reader who asks for it."""
        try:
            if made:
                ready_of(self._store).keep(made)
        except OurFault as e:
            log.warning("derived data not kept", items=len(made), error=str(e))

    def _merge(self, looked_at: list[_LookedAt]) -> None:
        """What cannot be merged now is merged when the study settles again, or stays as it is."""
        now_ms = milliseconds(self._clock())
        for study, _ in looked_at:
            if self._stopping:
                return
            try:
                if merging.merge_study(self._store, study["pk"], now_ms):
                    places.forget(self._store)
            except OurFault as e:
                log.warning("not merged", study=study["pk"], error=str(e))

    def _say(self, looked_at: list[_LookedAt]) -> None:
        """A line in the ledger for each study that has not changed meanwhile."""
        with self._store.database.writing() as session:
            session.lock(study["study_uid"] for study, _ in looked_at)
            due.say(session, looked_at, self._clock())
        for study, body in looked_at:
            self._put_off.pop(study["pk"], None)
            log.debug("study settled", institution=study["institution"], instances=body["instances"])
        metrics.SETTLED.inc(len(looked_at))


def _turn_of(study: Any) -> str:
    return f"settle {study['pk']}"


def manifest(series: list[Any], contents: list[StoredInstance]) -> dict[str, Any]:
    """What the study holds: counts, sizes and digests, of the whole and of each series. No patient data."""
    by_series: dict[str, list[StoredInstance]] = {row["series_uid"]: [] for row in series}
    for each in contents:
        by_series[each.series_uid].append(each)
    return {
        **_summed(contents),
        "series": [
            {"uid": row["series_uid"], "modality": row["modality"], **_summed(by_series[row["series_uid"]])}
            for row in series
        ],
        "sop_classes": dict(sorted(Counter(each.sop_class_uid for each in contents).items())),
    }


def _summed(contents: list[StoredInstance]) -> dict[str, Any]:
    return {
        "instances": sum(1 for each in contents if each.variant == 0),
        "variants": sum(1 for each in contents if each.variant),
        "bytes": sum(each.size_bytes for each in contents),
        "digest": rules.manifest_digest(bytes.fromhex(each.sha256) for each in contents),
    }


def count_unsettled(store: Store) -> int:
    """Studies that still arrive or wait to settle."""
    waiting = select(func.count()).select_from(STUDY).where(STUDY.c.settled_revision < STUDY.c.revision)
    with store.database.read() as tx:
        return tx.execute(waiting).scalar_one()

"""A study settles when its sender has been quiet: its metadata and thumbnails are made, and the ledger gets one line.

A study that changes afterwards settles again, with a line of its own. A line that would say the same as the last one
(after a reindex, say) is not written twice.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from sqlalchemy import Row, func, select, update

from huitong.base import log as logs
from huitong.base import metrics
from huitong.base.clock import Clock, now
from huitong.base.errors import HuitongError
from huitong.imaging import lookups, rules
from huitong.imaging.model import StoredInstance
from huitong.imaging.ready import METADATA, THUMBNAIL, Made, ready_of
from huitong.imaging.tables import READY, STUDY
from huitong.store import ledger
from huitong.store.store import Store

FACT = "imaging.study_settled"
_AT_ONCE = 20
log = logs.logger(__name__)


class Settler:
    """Looks for quiet studies from time to time, in a thread of its own."""

    def __init__(self, store: Store, clock: Clock = now) -> None:
        self._store, self._clock = store, clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settle", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def started(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        wait_s = min(max(self._store.settings.settle_s / 4, 0.05), 5.0)
        while not self._stop.wait(wait_s):
            try:
                while self.settle_due() == _AT_ONCE and not self._stop.is_set():
                    pass
            except HuitongError as e:  # the disk is full, say: the next round tries again
                log.warning("settling put off", error=str(e))
            except Exception:
                log.exception("settling failed")

    def settle_due(self) -> int:
        """Settle the studies that are due, some at a time; how many that were."""
        before_ms = round(self._clock().timestamp() * 1000 - self._store.settings.settle_s * 1000)
        due = select(STUDY).where(STUDY.c.settled_revision < STUDY.c.revision, STUDY.c.last_at_ms <= before_ms)
        with self._store.database.read() as tx:
            studies = list(tx.execute(due.order_by(STUDY.c.last_at_ms).limit(_AT_ONCE)))
        for study in studies:
            if self._stop.is_set():
                break
            self.settle(study)
        return len(studies)

    def settle(self, study: Row[Any]) -> None:
        """Make the study ready, then say in the ledger what it holds; unless it changed meanwhile."""
        with self._store.database.read() as tx:
            series = lookups.series_of(tx, study.study_uid, None, study.institution)
            contents = lookups.instances(tx, study.study_uid, None, study.institution, variants=True)
        self._make_ready(series, contents)
        body = manifest(series, contents)
        with self._store.database.write() as tx:
            same = (STUDY.c.pk == study.pk) & (STUDY.c.revision == study.revision)
            done = tx.execute(update(STUDY).where(same).values(settled_revision=study.revision))
            said = ledger.latest(tx, FACT, study.institution, study.study_uid)
            if done.rowcount and (said is None or said.body != body):
                fact = {"kind": FACT, "institution": study.institution, "subject": study.study_uid, "body": body}
                ledger.append(tx, at=self._clock(), **fact)
        metrics.SETTLED.inc()
        log.debug("study settled", institution=study.institution, instances=body["instances"])

    def _make_ready(self, series: list[Row[Any]], contents: list[StoredInstance]) -> None:
        ready = ready_of(self._store)
        made: list[Made] = []
        for row in series:
            if not self._has(METADATA, row.pk, row.revision):
                made.append(ready.make_metadata(row.pk, row.revision))
            mine = [each for each in contents if each.series_uid == row.series_uid and each.variant == 0]
            middle = mine[(len(mine) - 1) // 2]
            if not self._has(THUMBNAIL, middle.pk, 0):
                made.append(ready.make_thumbnail(middle))
        if made:
            ready.keep(made)

    def _has(self, kind: str, owner_pk: int, revision: int) -> bool:
        where = (READY.c.kind == kind) & (READY.c.owner_pk == owner_pk) & (READY.c.revision == revision)
        with self._store.database.read() as tx:
            return tx.execute(select(READY.c.kind).where(where)).first() is not None


def manifest(series: list[Row[Any]], contents: list[StoredInstance]) -> dict[str, Any]:
    """What the study holds: counts, sizes and digests, of the whole and of each series. No patient data."""
    by_series: dict[str, list[StoredInstance]] = {row.series_uid: [] for row in series}
    for each in contents:
        by_series[each.series_uid].append(each)
    return {
        **_summed(contents),
        "series": [
            {"uid": row.series_uid, "modality": row.modality, **_summed(by_series[row.series_uid])} for row in series
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

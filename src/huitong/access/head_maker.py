"""Heads of the audit are made by themselves, by one of the processes of a store."""

from __future__ import annotations

import time

from huitong.access.heads import Heads
from huitong.base import log as logs
from huitong.base.errors import AuditDamaged, HuitongError
from huitong.base.rounds import Rounds
from huitong.store.store import Store

#: Between two looks, in seconds.
_LOOK_S = 2.0
#: After one that the database refused: it is moving, say.
_PUT_OFF_S = 15.0
#: After one that found the log damaged: each is said in the log.
_DAMAGED_S = 600.0
log = logs.logger(__name__)


class HeadMaker:
    """Looks from time to time whether a head is due, in a thread of its own."""

    def __init__(self, store: Store, heads: Heads) -> None:
        self._store, self._heads = store, heads
        self._not_before = 0.0
        self._rounds = Rounds("heads", min(_LOOK_S, store.settings.audit_head_s), self._round, "head of the audit")

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()

    def _round(self) -> None:
        """Raises HuitongError for what may be otherwise after a while."""
        if time.monotonic() < self._not_before:
            return
        try:
            self.make_due()
        except AuditDamaged as e:
            self._not_before = time.monotonic() + _DAMAGED_S
            log.warning("no head of the audit was made", error=str(e), hint=e.hint)
        except HuitongError:
            self._not_before = time.monotonic() + _PUT_OFF_S
            raise

    def make_due(self) -> None:
        """Raises AuditDamaged, StoreUnavailable."""
        if not self._heads.is_due():
            return
        with self._store.database.turn("heads") as ours:  # of the processes of a store one at a time
            if ours and self._heads.is_due():
                head = self._heads.make()
                log.info("head of the audit", lines=head.size if head else 0)

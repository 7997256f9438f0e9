"""Whose cookie it is: asked for every image, so remembered, and held against the database every two seconds.

A session that is ended here is forgotten at once, one that another process ended within `LOOK_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from huitong.access.accounts import records, secrets
from huitong.access.accounts.model import Session, Stage
from huitong.access.model import Asker
from huitong.access.recalling import Recalled
from huitong.base.clock import Clock, milliseconds
from huitong.base.errors import OurFault
from huitong.store.store import Store

#: How exactly it is known when a session was last used, at most: a quarter of the idle time where that is shorter, or
#: one in use would end.
_USE_S = 60.0


class Sessions:
    """One for each process; any thread."""

    def __init__(self, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._recalled: Recalled[Asker] = Recalled(monotonic)

    def asker(self, secret: str) -> Asker | None:
        """Who is signed in with this cookie; None for nobody."""
        return self._recalled.get(secret, lambda: self._look(secret))

    def forget(self) -> None:
        """Something about accounts or sessions changed."""
        self._recalled.forget()

    def _look(self, secret: str) -> Asker | None:
        at = self._clock()
        with self._store.database.read() as tx:
            session = records.session(tx, secrets.digest(secret))
        if session is None or not self._holds(session, at):
            return None
        if at - session.used_at > timedelta(seconds=min(_USE_S, self._store.settings.session_idle_s / 4)):
            # While the store takes nothing (it moves, the disk is full) reading goes on.
            with suppress(OurFault), self._store.database.write() as tx:
                records.use_session(tx, session.public_id, milliseconds(at))
        return session.account.asker(session.public_id)

    def _holds(self, session: Session, at: datetime) -> bool:
        settings = self._store.settings
        fresh = at - session.used_at < timedelta(seconds=settings.session_idle_s)
        young = at - session.began_at < timedelta(seconds=settings.session_s)
        return session.stage is Stage.FULL and session.account.active and fresh and young

"""Which share a cookie or a token is of: asked for every image, so remembered, and held against the database every two
seconds. The end of a share is kept to the millisecond; one that is revoked here is forgotten at once, one that another
process revoked within `LOOK_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from huitong.access.model import Asker
from huitong.access.recalling import Recalled
from huitong.access.sharing import records
from huitong.access.sharing.model import PREFIX, Share, State
from huitong.base.clock import Clock, moment
from huitong.store.store import Store


class ShareSessions:
    """One for each process; any thread."""

    def __init__(self, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._recalled: Recalled[tuple[Asker, datetime]] = Recalled(monotonic)

    def asker(self, secret: str) -> Asker | None:
        """Who holds this cookie or token of a share; None where it has ended or there is none."""
        found = self._recalled.get(secret, lambda: self._look(secret))
        return found[0] if found is not None and self._clock() < found[1] else None

    def forget(self) -> None:
        """A share was revoked."""
        self._recalled.forget()

    def _look(self, secret: str) -> tuple[Asker, datetime] | None:
        """Them, and when it ends."""
        at, found = self._clock(), self._found(secret)
        if found is None or found[0].state(at) is not State.OPEN or at >= found[2]:
            return None
        share, public_id, ends = found
        return share.asker(public_id), ends

    def _found(self, secret: str) -> tuple[Share, str, datetime] | None:
        with self._store.database.read() as tx:
            if secret.startswith(PREFIX):
                share = records.by_token(tx, secret)
                return None if share is None else (share, f"{share.public_id}-token", share.until)
            session = records.session(tx, secret)
            return None if session is None else (session[0], session[1], moment(session[2]))

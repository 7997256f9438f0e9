"""Which share a cookie or a token is of: asked for every image, so remembered, and held against the database every two
seconds. The end of a share is kept to the millisecond; one that is revoked here is forgotten at once, one that another
process revoked within `LOOK_S`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from huitong.access.accounts.sessions import LOOK_S
from huitong.access.model import Asker
from huitong.access.sharing import records
from huitong.access.sharing.model import PREFIX, Share, State
from huitong.base.clock import Clock, moment
from huitong.store.store import Store

#: Remembered at a time; beyond it all are asked for anew.
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class _Seen:
    asker: Asker
    ends: datetime
    look_again: float


class ShareSessions:
    """One for each process; any thread."""

    def __init__(self, store: Store, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock, self._monotonic = store, clock, monotonic
        self._seen: dict[str, _Seen] = {}
        self._epoch = 0

    def asker(self, secret: str) -> Asker | None:
        """Who holds this cookie or token of a share; None where it has ended or there is none."""
        seen = self._seen.get(secret)
        if seen is not None and self._monotonic() < seen.look_again:
            return seen.asker if self._clock() < seen.ends else None
        return self._look(secret)

    def forget(self) -> None:
        """A share was revoked."""
        self._epoch += 1
        self._seen = {}

    def _look(self, secret: str) -> Asker | None:
        epoch, at, again = self._epoch, self._clock(), self._monotonic() + LOOK_S
        self._seen.pop(secret, None)
        found = self._found(secret)
        if found is None or found[0].state(at) is not State.OPEN or at >= found[2]:
            return None
        share, public_id, ends = found
        asker = share.asker(public_id)
        if len(self._seen) >= _MOST:
            self._seen = {}
        if epoch == self._epoch:
            self._seen[secret] = _Seen(asker, ends, again)
        return asker

    def _found(self, secret: str) -> tuple[Share, str, datetime] | None:
        with self._store.database.read() as tx:
            if secret.startswith(PREFIX):
                share = records.by_token(tx, secret)
                return None if share is None else (share, f"{share.public_id}-token", share.until)
            session = records.session(tx, secret)
            return None if session is None else (session[0], session[1], moment(session[2]))

"""Records that images brought, or of which a question was answered, are matched soon after, by whichever process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from huitong.access.work import Work
from huitong.base import log as logs
from huitong.base.errors import HuitongError
from huitong.people import matching, records, registering
from huitong.store import holding

#: Records matched in one transaction.
_AT_ONCE = 20
#: Between two looks, in seconds: an index says at once that there is nothing.
_LOOK_S = 0.5
log = logs.logger(__name__)


class Matcher:
    """Looks from time to time for records of one store that are to be matched, in a thread of its own."""

    def __init__(self, work: Callable[[], Work]) -> None:
        """`work` gives the key of the operator, whose store it is."""
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="match", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_LOOK_S):
            try:
                while self.match_due() and not self._stop.is_set():
                    pass
            except HuitongError as e:  # the disk is full, say: the next round tries again
                log.warning("matching put off", error=str(e))
            except Exception:
                log.exception("matching failed")

    def match_due(self) -> int:
        """How many records were matched; 0 when none waits. To be called again until it is."""
        work = self._work()
        database = work.store.database
        with database.read() as tx:
            if holding.held(tx) or not records.unmatched(tx, 1):
                return 0
        with database.write() as tx:
            database.lock(tx, registering.LOCK)
            due = records.unmatched(tx, _AT_ONCE)
            for pk in due:
                matching.match(tx, work, pk)
            return len(due)

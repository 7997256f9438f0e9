"""Records that images brought, or of which a question was answered, are matched soon after, by whichever process."""

from __future__ import annotations

from collections.abc import Callable

from huitong.access.work import Work
from huitong.base.rounds import Rounds
from huitong.people import matching, records, registering
from huitong.store import holding

#: Records matched in one transaction.
_AT_ONCE = 20
#: Between two looks, in seconds: an index says at once that there is nothing.
_LOOK_S = 0.5


class Matcher:
    """Looks from time to time for records of one store that are to be matched, in a thread of its own."""

    def __init__(self, work: Callable[[], Work]) -> None:
        """`work` gives the key of the operator, whose store it is."""
        self._work = work
        self._rounds = Rounds("match", _LOOK_S, self._round, "matching")

    def start(self) -> None:
        self._rounds.start()

    def stop(self) -> None:
        self._rounds.stop()

    def _round(self) -> None:
        while self.match_due() and not self._rounds.stopping.is_set():
            pass

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

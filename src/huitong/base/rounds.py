"""What a process does by itself, again and again, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable

from huitong.base.errors import HuitongError
from huitong.base.log import logger

log = logger(__name__)


class Rounds:
    """`look` every so many seconds until stopped; what goes wrong is logged, and the next round tries again."""

    def __init__(self, name: str, wait_s: float, look: Callable[[], object], what: str) -> None:
        """`name` is the thread's, `what` the log's word for what is done."""
        self._wait_s, self._look, self._what = wait_s, look, what
        #: Set once it is to end: a long round looks here between its steps.
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def started(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Returns when the round is over."""
        self.stopping.set()
        if self.started:
            self._thread.join()

    def _run(self) -> None:
        while not self.stopping.wait(self._wait_s):
            try:
                self._look()
            except HuitongError as e:  # the disk is full, say
                log.warning(f"{self._what} put off", error=str(e))
            except Exception:
                log.exception(f"{self._what} failed")

"""Rounds go on whatever one of them meets, and end when they are told to."""

from __future__ import annotations

import threading
import time

from huitong.base.errors import StoreFull
from huitong.base.rounds import Rounds


def test_a_round_that_fails_is_no_end_and_a_stop_waits_for_the_one_that_runs() -> None:
    met: list[Exception | None] = [StoreFull("full"), ZeroDivisionError(), None]
    done, over = threading.Event(), []

    def look() -> None:
        fault = met.pop(0)
        if fault is not None:
            raise fault
        done.set()
        while not rounds.stopping.is_set():
            time.sleep(0.01)
        over.append(True)

    rounds = Rounds("test", 0.01, look, "testing")
    rounds.stop()  # before it began: nothing to wait for
    rounds.stopping.clear()
    rounds.start()
    assert done.wait(10)
    assert rounds.started
    rounds.stop()
    assert over == [True]
    assert not rounds.started
    assert met == []

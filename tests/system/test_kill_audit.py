"""kill -9 while many ask for records: every answer, allowed or refused, has its line, and the log is whole."""

from __future__ import annotations

import random
import threading
import time
from itertools import count
from pathlib import Path

import httpx
import pytest
from tests.archives import archive_in
from tests.serving import Server, huitong, serving

from huitong.access import auditing

KILLS = 6
ASKERS = 8


class Asking(threading.Thread):
    """One question after another, each about another study; what was answered is kept."""

    def __init__(self, server: Server, number: int, answered: dict[str, int]) -> None:
        super().__init__()
        self._server, self._number, self._answered = server, number, answered

    def run(self) -> None:
        token = {"Authorization": "Bearer demo-TAIYUAN"}
        with httpx.Client(headers=token) as client:
            for turn in count():
                uid = f"1.2.826.{self._number}.{turn}"
                try:
                    answer = client.get(f"{self._server.dicomweb}/studies/{uid}/metadata")
                except httpx.TransportError:
                    return
                self._answered[uid] = answer.status_code


@pytest.mark.timeout(300)
def test_every_answer_has_its_line_however_often_the_server_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20261126)
    answered: dict[str, int] = {}
    for kill in range(KILLS):
        with serving(tmp_path / "data") as server:
            askers = [Asking(server, kill * ASKERS + number, answered) for number in range(ASKERS)]
            for asker in askers:
                asker.start()
            time.sleep(chance.uniform(0.3, 1.0))
            server.kill()
            for asker in askers:
                asker.join(30)
                assert not asker.is_alive()
    assert set(answered.values()) == {404}
    assert len(answered) > KILLS * ASKERS
    assert huitong("audit", "verify", "--data", str(tmp_path / "data")).returncode == 0
    with archive_in(tmp_path / "data") as archive:
        found = auditing.check(archive.store)
        written = {line.looked.id for line in auditing.lines(archive.store, limit=found.lines)}
    assert found.first_fault is None
    assert set(answered) <= written
    # What was written and not answered is at most what was being asked when the server died.
    assert len(written) <= len(answered) + KILLS * ASKERS
    print(f"{len(answered)} answers in {KILLS} kills, each with its line")

"""kill -9 at random while objects come in over both doors: whatever was acknowledged is there, byte for byte."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import httpx
import pytest
from tests import homes
from tests.serving import Server, huitong, serving
from tests.system.senders import Sender, StoreSender, StowSender, data_set

#: How many times the server is killed; more can be asked for from outside.
KILLS = int(os.environ.get("TEST_KILLS", "24" if homes.kind == homes.EMBEDDED else "12"))
WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@pytest.mark.timeout(900)
def test_nothing_acknowledged_is_lost_however_often_the_server_is_killed(tmp_path: Path) -> None:
    chance = random.Random(20261122)
    acknowledged: dict[str, tuple[str, str, bytes]] = {}
    in_all = 0
    for kill in range(KILLS):
        with serving(tmp_path / "data", "--pack-bytes", "4 MiB", "--spool-bytes", "300 KiB") as server:
            check(server, acknowledged)  # what the kill before left
            senders = send(server, kill)
            time.sleep(chance.uniform(0.05, 0.8))
            server.kill()
            for sender in senders:
                sender.join(30)
                assert not sender.is_alive()
                assert sender.trouble is None
            acknowledged = {uid: what for sender in senders for uid, what in sender.acknowledged.items()}
            in_all += len(acknowledged)
    with serving(tmp_path / "data") as server:
        check(server, acknowledged)
        verified = huitong("verify", "--data", str(tmp_path / "data"))
        assert verified.returncode == 0, verified.stdout + verified.stderr
    assert in_all > KILLS
    print(f"{in_all} acknowledged objects in {KILLS} kills, none lost")
    assert huitong("reindex", "--data", str(tmp_path / "data")).returncode == 0
    with serving(tmp_path / "data") as server:
        check(server, acknowledged)


def send(server: Server, kill: int) -> list[Sender]:
    senders: list[Sender] = [
        StowSender(kill * 4, server.http_port, "TAIYUAN"),
        StowSender(kill * 4 + 1, server.http_port, "YUNCHENG"),
        StoreSender(kill * 4 + 2, server.dimse_port, "TAIYUAN"),
        StoreSender(kill * 4 + 3, server.dimse_port, "YUNCHENG"),
    ]
    for sender in senders:
        sender.start()
    return senders


def check(server: Server, acknowledged: dict[str, tuple[str, str, bytes]]) -> None:
    with httpx.Client() as client:
        for uid, (study, series, file) in acknowledged.items():
            url = f"{server.dicomweb}/studies/{study}/series/{series}/instances/{uid}"
            answer = client.get(url, headers={"Accept": WHOLE})
            assert answer.status_code == 200, (uid, answer.text)
            # Over C-STORE the file meta is ours; the data set, from its first element on, is the sender's.
            assert data_set(file) in answer.content, uid

"""Power cuts at random while objects come in over both doors: whatever was acknowledged before one is there after it.

The real server runs under strace; what the disk would hold at any moment is made from what was synced by then, and any
part of the rest (`tests.system.power`). PostgreSQL and object stores make such promises themselves.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.archives import archive_in
from tests.serving import serving
from tests.system.power import Trace, strace
from tests.system.senders import Sender, StoreSender, StowSender, data_set

from huitong.base.errors import HuitongError
from huitong.imaging import actions

#: How many cuts are tried; more can be asked for from outside.
CUTS = int(os.environ.get("TEST_CUTS", "16"))

pytestmark = [pytest.mark.embedded, pytest.mark.peer, pytest.mark.timeout(400)]


def can_trace() -> str:
    """Why not; empty if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-D", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trace, list[Sender]]:
    """A server that ran for some seconds with four senders, and was then stopped short."""
    if why := can_trace():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("traced")
    log, data = folder / "strace.txt", folder / "data"
    flags = ("--pack-bytes", "2 MiB", "--spool-bytes", "200 KiB")
    with serving(data, *flags, under=strace(log)) as server:
        senders: list[Sender] = [
            kind(number * 2 + second, port, who)
            for number, (kind, port) in enumerate(((StowSender, server.http_port), (StoreSender, server.dimse_port)))
            for second, who in enumerate(("TAIYUAN", "YUNCHENG"))
        ]
        for sender in senders:
            sender.start()
        time.sleep(6)
        server.kill()
        for sender in senders:
            sender.join(30)
            assert sender.trouble is None
    size = -1
    while size != (size := log.stat().st_size):  # strace outlives what it traces by a moment
        time.sleep(0.5)
    return Trace(log, data), senders


def lost(folder: Path, senders: list[Sender], at: float) -> list[str]:
    """What was acknowledged before the moment `at` and is not served as it was sent, or is not sound."""
    found = []
    with archive_in(folder) as archive:
        for sender in senders:
            for uid, (study, series, file) in sender.acknowledged.items():
                if sender.known_at[uid] >= at:
                    continue
                try:
                    stored = actions.locate(archive.reader, study, series, uid, sender.institution)
                    if not actions.open_slice(archive.reader, stored).read().endswith(data_set(file)):
                        found.append(f"{uid} differs")
                except HuitongError as e:
                    found.append(f"{uid}: {e}")
        found += actions.verify(archive.store).problems
    return found


def test_nothing_acknowledged_is_lost_whenever_the_power_goes(
    tmp_path: Path, traced: tuple[Trace, list[Sender]]
) -> None:
    trace, senders = traced
    chance = random.Random(20261122)
    known = sorted(at for sender in senders for at in sender.known_at.values())
    assert len(known) > 20
    for cut in range(CUTS):
        # Half of them at once after an acknowledgement, when the next things are under way.
        at = chance.choice(known) + 1e-6 if cut % 2 else chance.uniform(trace.begun, trace.ended)
        folder = tmp_path / f"cut{cut}"
        trace.after_cut(at, chance, folder)
        assert lost(folder, senders, at) == [], f"cut {cut} at {at}"
        shutil.rmtree(folder)
    print(f"{len(known)} acknowledged objects, {CUTS} power cuts, none lost")


def test_a_disk_that_lies_about_syncs_would_lose_some(tmp_path: Path, traced: tuple[Trace, list[Sender]]) -> None:
    """So that the test before is known to be able to fail."""
    trace, senders = traced
    chance = random.Random(1)
    at = max(at for sender in senders for at in sender.known_at.values()) + 1e-6
    missing = 0
    for cut in range(4):
        folder = tmp_path / f"cut{cut}"
        trace.after_cut(at, chance, folder, syncs_are_kept=False)
        try:
            missing += len(lost(folder, senders, at))
        except HuitongError:  # not even the index can be opened
            missing += 1
    assert missing

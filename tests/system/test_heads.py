"""A server makes heads of the audit by itself, and publishes them to anybody; killed at any moment it goes on."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
from tests.access.test_auditing import looked, work_of
from tests.archives import archive_in
from tests.serving import Server, serving

from huitong.access import auditing
from huitong.access.verifying import verify_store
from huitong.wire.checkpoint import Checkpoint, VerifierKey, is_signed_by, read_note


def test_a_server_makes_heads_when_lines_were_added_however_often_it_is_killed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for killed in range(3):
        with archive_in(data) as archive, serving(data, "--audit-head-s", "1") as server:
            for number in range(300):
                auditing.record(work_of(archive), looked(number))
                if number % 100 == 50:
                    time.sleep(0.4)
            if killed < 2:
                server.kill()
                continue
            _wait_for(server, 900)
            note = read_note(httpx.get(f"{server.base}/audit/heads/latest").text)
            said = httpx.get(f"{server.base}/audit/heads").json()
            assert is_signed_by(note, [VerifierKey.read(said["key"])]) is True
            found = verify_store(archive.store, archive.access.heads, [], [])
            assert (found.fault, found.lines, found.heads) == ("", 900, len(said["heads"]))


def _wait_for(server: Server, size: int) -> None:
    for _ in range(200):
        found = httpx.get(f"{server.base}/audit/heads/latest")
        if found.status_code == 200 and Checkpoint.read(read_note(found.text).text).size == size:
            return
        time.sleep(0.1)
    raise AssertionError(f"no head of {size} lines: {found.text}")

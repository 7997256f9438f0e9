"""A volume that is full: refused cleanly, reading goes on, and receiving resumes by itself.

The volume is a small tmpfs, which only root may mount.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from tests import homes
from tests.objects import CT, part10
from tests.serving import Server, huitong, serving

from huitong.base.setting_kinds import Address
from huitong.cli.sending import Part10, SendingFailed, association

SIZE_BYTES = 64 << 20
SMALL = {"Rows": 64, "Columns": 64, "PixelData": bytes(8192)}
LARGE = {"Rows": 2000, "Columns": 1000, "PixelData": bytes(4_000_000)}


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    there = tmp_path / "volume"
    there.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(there)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False) if os.geteuid() == 0 else None
    if mounted is None or mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip() if mounted else 'not root'}")
    yield there
    subprocess.run(["umount", "-l", str(there)], check=True)


def fill(volume: Path) -> Path:
    """All that is left of it, to the last byte."""
    filler = volume / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1 << 16))
        except OSError:
            return filler


def store(server: Server, file: bytes) -> str:
    """Over C-STORE; why it was refused, empty if it was kept."""
    to = Address("127.0.0.1", server.dimse_port)
    try:
        with association(to, "TAIYUAN", "HUITONG", [(CT, ExplicitVRLittleEndian)]) as storer:
            storer.store(Part10.of(file))
    except SendingFailed as e:
        return str(e)
    return ""


def wado(server: Server, study: str) -> bytes:
    accept = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}
    answer = httpx.get(f"{server.dicomweb}/studies/{study}", headers=accept, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


def test_a_full_volume_refuses_what_has_no_room_reads_on_and_resumes_by_itself(volume: Path) -> None:
    studies = [generate_uid() for _ in range(4)]
    small = [part10(StudyInstanceUID=study, **SMALL) for study in studies]
    large = part10(**LARGE)
    with serving(volume / "data", "--spool-bytes", "1 MiB", "--pack-bytes", "4 MiB", "--settle-s", "600") as server:
        server.stow(*small)
        assert store(server, part10(**LARGE)) == ""
        before = [wado(server, study) for study in studies]
    with serving(volume / "data", "--spool-bytes", "1 MiB", "--pack-bytes", "4 MiB", "--settle-s", "600") as server:
        filler = fill(volume)
        for _ in range(2):
            refused = server.stow(large, allowed=(507,))
            assert refused.headers["retry-after"] == "60"
            assert "A700" in store(server, large)
        if homes.kind == homes.SCALED:  # the object store has room
            assert store(server, part10(**SMALL)) == ""
            server.stow(part10(**SMALL))
        else:
            assert "A700" in store(server, part10(**SMALL))
            server.stow(part10(**SMALL), allowed=(507,))
        assert httpx.get(f"{server.base}/healthz").status_code == 200
        assert [body_of(wado(server, study)) for study in studies] == [body_of(each) for each in before]
        filler.unlink()
        assert store(server, large) == ""
        server.stow(part10(**SMALL))
        assert httpx.get(f"{server.base}/readyz", timeout=30).status_code == 200
    verified = huitong("verify", "--data", str(volume / "data"))
    assert verified.returncode == 0, verified.stdout + verified.stderr


def body_of(multipart: bytes) -> bytes:
    """Without the boundary, which is another each time."""
    return multipart.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]

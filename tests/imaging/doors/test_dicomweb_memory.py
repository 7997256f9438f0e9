"""A request and a response far larger than what the server may hold in memory."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.uid import generate_uid
from tests import homes
from tests.archives import archive_in
from tests.objects import dataset, part10
from tests.serving import Server, serving

from huitong.base.errors import CannotRender
from huitong.imaging import actions
from huitong.imaging.doors import dicomweb_retrieve
from huitong.imaging.model import Kept
from huitong.imaging.pixels.transcode import MAX_OBJECT_BYTES

INSTANCES, SIZE_BYTES = 300, 1024 * 1024
#: What a request may add to the server: the bytes under way to the disk (64 MB), twice, and what is made of headers.
ALLOWED_BYTES = 150 * 1024 * 1024
#: What goes to an object store from memory (8 MB of a group, parts of 5 MB of a study that is brought together), which
#: its client holds a second time.
if homes.kind == homes.SCALED:
    ALLOWED_BYTES += 48 * 1024 * 1024


def peak_bytes(server: Server) -> int:
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def body(study_uid: str) -> Iterator[bytes]:
    # Patched rather than written anew: the server, not pydicom, is what is tried.
    place = generate_uid()[:40]
    template = part10(
        dataset(StudyInstanceUID=study_uid, SOPInstanceUID=place, Rows=512, Columns=1024, PixelData=bytes(SIZE_BYTES))
    )
    for number in range(INSTANCES):
        uid = place[:-4] + f"{number + 1000:04}"
        yield b"--B-1-2-3\r\nContent-Type: application/dicom\r\n\r\n"
        yield template.replace(place.encode(), uid.encode()) + b"\r\n"
    yield b"--B-1-2-3--\r\n"


@pytest.fixture
def connection(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=120)) as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    with serving(tmp_path) as running:
        yield running


def test_memory_does_not_grow_with_the_request_nor_with_the_study(
    server: Server, connection: http.client.HTTPConnection
) -> None:
    study_uid = generate_uid()
    before = peak_bytes(server)
    headers = {
        "Content-Type": 'multipart/related; type="application/dicom"; boundary=B-1-2-3',
        "Authorization": "Bearer demo-TAIYUAN",
        "Transfer-Encoding": "chunked",
    }
    connection.request("POST", "/dicom-web/studies", body(study_uid), headers, encode_chunked=True)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200
    assert peak_bytes(server) - before < ALLOWED_BYTES
    accept = {"Accept": "multipart/related; type=application/dicom; transfer-syntax=*"}
    connection.request("GET", f"/dicom-web/studies/{study_uid}", headers=accept)
    answer = connection.getresponse()
    length = 0
    while chunk := answer.read(1 << 20):
        length += len(chunk)
    assert length == int(answer.headers["content-length"]) > INSTANCES * SIZE_BYTES
    assert peak_bytes(server) - before < ALLOWED_BYTES


def test_an_object_that_is_too_large_to_be_transcoded_is_not_read_for_it(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        (kept,) = archive.keep_now(part10())
        assert isinstance(kept, Kept)
        stored = actions.locate(archive.reader, kept.study_uid, kept.series_uid, kept.sop_instance_uid)
        with pytest.raises(CannotRender):
            dicomweb_retrieve._transcoded(archive.reader, replace(stored, size_bytes=MAX_OBJECT_BYTES + 1))

"""A fault that shows when an answer is about to begin is told by the door, like one that shows before."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.archives import archive_in
from tests.objects import part10

from huitong.app.asgi import application


@pytest.mark.embedded
async def test_bytes_that_are_gone_are_a_problem_and_no_answer_that_breaks_off(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        kept = await archive.keep(part10(PixelData=bytes(1 << 16), Rows=128, Columns=256, BitsAllocated=16))
        for pack in tmp_path.glob("packs/*/*.pack"):
            pack.unlink()
        archive.store.blobs.close()
        app = httpx.ASGITransport(application(archive.store, archive.access, lambda: 0), client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=app, base_url="http://archive") as web:
            path = f"/dicom-web/studies/{kept.study_uid}/series/{kept.series_uid}/instances/{kept.sop_instance_uid}"
            answer = await web.get(path, headers={"Accept": "application/dicom", "Host": "archive:8042"})
            assert answer.status_code >= 500
            assert answer.headers["content-type"] == "application/problem+json"
            found = await web.get("/dicom-web/studies", headers={"Host": "archive:8042"})
            assert found.json()[0]["00081190"]["Value"] == [f"http://archive:8042/dicom-web/studies/{kept.study_uid}"]

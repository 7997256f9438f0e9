"""What an operator's machine is told, while all is well and while it is not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import httpx
import pytest
from tests.archives import TestArchive, archive_in
from tests.objects import part10

from huitong.app.asgi import application
from huitong.base.errors import StoreUnavailable
from huitong.store.groups import Groups


async def get(archive: TestArchive, path: str) -> httpx.Response:
    app = application(archive.store, archive.access, lambda: 3)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
        return await client.get(path)


async def problems(archive: TestArchive) -> str:
    answer = await get(archive, "/readyz")
    said = answer.json()
    assert answer.status_code == (503 if said["problems"] else 200)
    assert said["ready"] is (not said["problems"])
    return "; ".join(said["problems"])


async def test_a_sound_archive_is_ready(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        await archive.keep(part10())
        assert await problems(archive) == ""
        assert (await get(archive, "/healthz")).json()["status"] == "ok"


async def test_a_volume_without_the_room_asked_for_is_not_ready(tmp_path: Path) -> None:
    with archive_in(tmp_path, keep_free_bytes=1 << 60) as archive:
        assert await problems(archive) == "the data volume is full"


@pytest.mark.embedded
async def test_a_lock_that_is_never_given_back_is_not_ready(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        with archive.store.database.write():
            assert "locked" in await problems(archive)
        assert await problems(archive) == ""


@pytest.mark.embedded
async def test_a_faulty_database_is_not_ready_and_does_not_hide_the_counts(tmp_path: Path) -> None:
    with archive_in(tmp_path) as archive:
        archive.store.database.close()  # the last connection takes the write-ahead log with it
        index, aside = tmp_path / "index.sqlite", tmp_path / "aside.sqlite"
        index.rename(aside)
        index.write_bytes(b"garbage" * 1000)
        assert "not a database" in await problems(archive)
        answer = await get(archive, "/metrics")
        assert answer.status_code == 200
        assert "huitong_studies_unsettled NaN" in answer.text
        assert "huitong_associations_open 3.0" in answer.text
        index.unlink()
        aside.rename(index)
        assert "huitong_studies_unsettled 0.0" in (await get(archive, "/metrics")).text


async def test_a_data_folder_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    with archive_in(tmp_path / "data") as archive:
        (tmp_path / "data").rename(tmp_path / "elsewhere")
        assert "No such file" in await problems(archive)
        assert (await get(archive, "/metrics")).status_code == 200
        (tmp_path / "elsewhere").rename(tmp_path / "data")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_ended_is_not_ready_and_takes_nothing_more(tmp_path: Path) -> None:
    def commit(_items: Sequence[int]) -> Sequence[int]:
        raise SystemExit

    with archive_in(tmp_path) as archive:
        dead: Groups[int, object, int] = Groups(commit, lambda answered: None, most=1, name="commit")
        dead.submit(1, Future())
        deadline = time.monotonic() + 10
        while dead.working and time.monotonic() < deadline:
            time.sleep(0.01)
        assert await problems(archive) == "the thread commit has ended"
        with pytest.raises(StoreUnavailable, match="commit has stopped"):
            dead.submit(2, Future())
        dead.close()
        assert await problems(archive) == ""

"""Stopping: every door closes at once, what is under way has one deadline, what was acknowledged is there."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.archives import archive_in, settings_for
from tests.objects import part10

from huitong.app.serve import Serving, serve
from huitong.base.errors import SettingsError
from huitong.base.setting_kinds import Address
from huitong.base.settings import Settings
from huitong.imaging import actions


def settings_in(folder: Path, **more: object) -> Settings:
    settings = settings_for(folder, **more)
    return dataclasses.replace(
        settings, http=type(settings.http)("127.0.0.1", 0), dimse=type(settings.dimse)("127.0.0.1", 0)
    )


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[tuple[Serving, asyncio.Task[None]]]:
    started: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(settings, started.set_result))
    await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    server = await started
    try:
        yield server, task
    finally:
        server.stop.set()
        await task


async def is_open(port: int) -> bool:
    try:
        _reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def upload(length: int) -> bytes:
    """The head of a STOW-RS request, and the beginning of its body."""
    return (
        b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer demo-TAIYUAN\r\n"
        b'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n'
        b"Content-Length: %d\r\n\r\n--b\r\nContent-Type: application/dicom\r\n\r\n" % length
    )


async def test_all_doors_close_at_once_and_wait_together_for_what_is_under_way(tmp_path: Path) -> None:
    mllp = Address("127.0.0.1", 0)
    async with running(settings_in(tmp_path, stop_grace_s=2.0, mllp=mllp)) as (server, task):
        assert server.mllp_port
        hospital, waiting = await asyncio.open_connection("127.0.0.1", server.mllp_port)
        _reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
        writer.write(upload(100_000))
        reader, silent = await asyncio.open_connection("127.0.0.1", server.dimse_port)
        assert await is_open(server.dimse_port)
        await asyncio.sleep(0.2)
        server.stop.set()
        began = time.monotonic()
        await asyncio.sleep(0.3)
        assert not task.done()  # the upload has its time
        doors = (server.http_port, server.dimse_port, server.mllp_port)
        assert [await is_open(port) for port in doors] == [False, False, False]
        assert await asyncio.wait_for(hospital.read(), 1) == b""  # nothing was under way
        assert await asyncio.wait_for(reader.read(), 1) is not None  # the silent peer was told to go
        await asyncio.wait_for(task, 10)
        assert 1.5 < time.monotonic() - began < 3.5  # one deadline, not one after the other
        for each in (writer, silent, waiting):
            each.close()


async def test_an_upload_under_way_is_finished_and_kept(tmp_path: Path) -> None:
    data = part10()
    tail = data + b"\r\n--b--\r\n"
    async with running(settings_in(tmp_path, stop_grace_s=10.0)) as (server, task):
        head = upload(0).partition(b"\r\n\r\n")[2]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http_port)
        writer.write(upload(len(head) + len(tail)) + data[:100])
        await asyncio.sleep(0.2)
        server.stop.set()
        await asyncio.sleep(0.2)
        writer.write(tail[100:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await asyncio.wait_for(task, 5)
    with archive_in(tmp_path) as archive:
        assert len(archive.rows()) == 1
        assert actions.verify(archive.store).clean


async def test_a_start_that_fails_leaves_no_door_open(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    settings = settings_in(tmp_path)
    for busy in (
        dataclasses.replace(settings, http=type(settings.http)("127.0.0.1", port)),
        dataclasses.replace(settings, dimse=type(settings.dimse)("127.0.0.1", port)),
        dataclasses.replace(settings, mllp=type(settings.dimse)("127.0.0.1", port)),
    ):
        with pytest.raises(SettingsError, match=str(port)):
            await asyncio.wait_for(serve(busy), 10)
    taken.close()
    with archive_in(tmp_path, alone=True):  # the folder was given back
        pass

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import FileResponse

from huitong.app.http import listen, serve_http
from huitong.base.errors import SettingsError

App = Callable[[Any, Any, Any], Awaitable[None]]


@asynccontextmanager
async def serving(app: App, **options: Any) -> AsyncIterator[int]:
    """The app on a port of its own, stopped at the end."""
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve_http(app, "127.0.0.1", 0, stop=stop, started=port.set_result, **options))
    try:
        yield await port
    finally:
        stop.set()
        await task


def start(length: int | None, status: int = 200) -> dict[str, Any]:
    headers = [] if length is None else [(b"content-length", b"%d" % length)]
    return {"type": "http.response.start", "status": status, "headers": headers}


def slices(fd: int, pieces: list[tuple[bytes, int, int]], length: int | None) -> App:
    """Answers with (bytes before, offset, count) after another."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(length))
        for before, offset, count in pieces:
            await send({"type": "http.response.body", "body": before, "more_body": True})
            await send(
                {"type": "http.response.zerocopysend", "file": fd, "offset": offset, "count": count, "more_body": True}
            )
        await send({"type": "http.response.body", "body": b"end"})

    return app


@pytest.fixture
def file(tmp_path: Path) -> Any:
    path = tmp_path / "data"
    path.write_bytes(os.urandom(3_000_000))
    fd = os.open(path, os.O_RDONLY)
    yield path, fd, path.read_bytes()
    os.close(fd)


async def test_slices_of_files_between_small_pieces_arrive_exactly_and_the_connection_stays(file: Any) -> None:
    _path, fd, data = file
    pieces = [(b"head %d\r\n" % n, n * 1000, 700_000 + n) for n in range(40)]
    expected = b"".join(before + data[offset : offset + count] for before, offset, count in pieces) + b"end"
    async with serving(slices(fd, pieces, len(expected))) as port, httpx.AsyncClient() as client:
        for _ in range(3):
            answer = await client.get(f"http://127.0.0.1:{port}/")
            assert answer.headers["content-length"] == str(len(expected))
            assert answer.content == expected


async def test_slices_can_be_sent_without_a_known_length(file: Any) -> None:
    _path, fd, data = file
    async with serving(slices(fd, [(b"a", 5, 100_000), (b"", 0, 1)], None)) as port, httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/")
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.content == b"a" + data[5:100_005] + data[:1] + b"end"


async def test_head_sends_no_content(file: Any) -> None:
    _path, fd, _data = file
    async with serving(slices(fd, [(b"x", 0, 2_000_000)], 2_000_004)) as port, httpx.AsyncClient() as client:
        answer = await client.head(f"http://127.0.0.1:{port}/")
        assert answer.headers["content-length"] == "2000004"
        assert answer.content == b""
        assert len((await client.get(f"http://127.0.0.1:{port}/")).content) == 2_000_004


async def test_whole_files_and_ranges_of_them_go_the_same_way(file: Any) -> None:
    path, _fd, data = file
    async with serving(FileResponse(path)) as port, httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).content == data
        part = await client.get(f"http://127.0.0.1:{port}/", headers={"Range": "bytes=10-99"})
        assert part.status_code == 206
        assert part.content == data[10:100]


async def test_a_client_that_reads_slowly_keeps_nobody_waiting_and_gets_everything(file: Any) -> None:
    _path, fd, data = file
    pieces = [(b"", 0, len(data))] * 10
    app = slices(fd, pieces, 10 * len(data) + 3)

    async def both(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/quick":
            await send(start(2))
            await send({"type": "http.response.body", "body": b"ok"})
        else:
            await app(scope, receive, send)

    async with serving(both) as port, httpx.AsyncClient() as client:
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
            slow.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(slow, ("127.0.0.1", port))
            await loop.sock_sendall(slow, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            await asyncio.sleep(0.2)
            for _ in range(5):
                assert (await asyncio.wait_for(client.get(f"http://127.0.0.1:{port}/quick"), 2)).content == b"ok"
            received = bytearray()
            while chunk := await loop.sock_recv(slow, 1 << 20):
                received += chunk
        assert received.split(b"\r\n\r\n", 1)[1] == data * 10 + b"end"


async def test_a_client_that_leaves_ends_the_response(file: Any) -> None:
    _path, fd, data = file
    outcome: asyncio.Future[type[BaseException]] = asyncio.get_running_loop().create_future()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        try:
            await slices(fd, [(b"", 0, len(data))] * 1000, 1000 * len(data) + 3)(scope, receive, send)
        except BaseException as error:
            outcome.set_result(type(error))
            raise

    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(100_000)
        writer.transport.abort()
        assert issubclass(await asyncio.wait_for(outcome, 5), OSError)


async def test_a_file_that_is_shorter_than_said_breaks_the_response_off(file: Any) -> None:
    _path, fd, data = file
    async with serving(slices(fd, [(b"", 0, len(data) + 1)], len(data) + 4)) as port, httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The digest of the body and the size of its largest piece."""
    if scope["type"] != "http":
        return
    digest, largest, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message["body"])
        largest, more = max(largest, len(message["body"])), message["more_body"]
    body = f"{digest.hexdigest()} {largest}".encode()
    await send(start(len(body)))
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_arrives_whole_and_in_pieces(chunked: bool) -> None:
    body = os.urandom(20_000_000)

    async def in_chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 300_000):
            yield body[at : at + 300_000]

    async with serving(echo) as port, httpx.AsyncClient() as client:
        for _ in range(2):
            answer = await client.post(f"http://127.0.0.1:{port}/", content=in_chunks() if chunked else body)
            digest, largest = answer.text.split()
            assert digest == hashlib.sha256(body).hexdigest()
            assert int(largest) <= 256 * 1024


async def test_a_sender_is_slowed_down_to_the_speed_of_the_application() -> None:
    go, total = asyncio.Event(), 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal total
        if scope["type"] != "http":
            return
        await go.wait()
        more = True
        while more:
            message = await receive()
            total += len(message["body"])
            more = message["more_body"]
        await send(start(0))
        await send({"type": "http.response.body"})

    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        size = 64_000_000
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await asyncio.sleep(0.5)
        # What the client could not hand over is still with it: the server took its window and the kernel's buffers.
        assert writer.transport.get_write_buffer_size() > size // 2
        go.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        assert total == size
        writer.close()


async def test_a_client_that_asks_first_is_told_to_go_on_or_is_refused() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/refused":
            await send(start(0, 401))
            await send({"type": "http.response.body"})
        else:
            await echo(scope, receive, send)

    request = b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request % b"/")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        assert hashlib.sha256(b"abc").hexdigest().encode() in await reader.readexactly(66)
        writer.write(request % b"/refused")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in answer
        writer.close()


async def test_pipelined_requests_are_answered_in_order(file: Any) -> None:
    _path, fd, data = file

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            count = int(scope["path"][1:])
            await slices(fd, [(b"", 0, count)], count + 3)(scope, receive, send)

    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % count for count in (1_000_000, 5, 70_000)))
        for count in (1_000_000, 5, 70_000):
            assert b"content-length: %d" % (count + 3) in await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(count + 3) == data[:count] + b"end"
        writer.close()


async def test_a_header_without_end_is_refused() -> None:
    async with serving(echo) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1000) for n in range(100)))
        assert (await reader.readline()).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_over_tls_the_extensions_are_not_offered_and_files_still_arrive(file: Any) -> None:
    spec = find_spec("pynetdicom")
    assert spec is not None
    assert spec.origin is not None
    certificates = Path(spec.origin).parent / "tests/cert_files"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    path, _fd, data = file
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope.get("extensions"))
        if scope["type"] == "http":
            await FileResponse(path)(scope, receive, send)

    async with serving(app, tls=server) as port, httpx.AsyncClient(verify=False) as client:
        assert (await client.get(f"https://127.0.0.1:{port}/")).content == data
    assert not any(seen)


async def test_stopping_finishes_what_is_running_and_accepts_nothing_new(file: Any) -> None:
    _path, fd, data = file
    go, begun = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        begun.set()
        await go.wait()
        await slices(fd, [(b"", 0, len(data))], len(data) + 3)(scope, receive, send)

    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve_http(app, "127.0.0.1", 0, stop=stop, started=port.set_result, grace_s=10))
    async with httpx.AsyncClient() as client:
        running = asyncio.create_task(client.get(f"http://127.0.0.1:{await port}/"))
        await begun.wait()
        stop.set()
        await asyncio.sleep(0.3)
        assert not server.done()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", await port)
        go.set()
        answer = await running
        assert answer.content == data + b"end"
        assert answer.headers["connection"] == "close"
        await asyncio.wait_for(server, 5)


async def test_small_answers_do_not_wait_for_acknowledgements() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(start(4))
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
            await send({"type": "http.response.body", "body": b"cd"})

    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        began = time.perf_counter()
        for _ in range(100):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(4) == b"abcd"
        # Delayed acknowledgements would make it 4 s.
        assert time.perf_counter() - began < 2
        writer.close()


async def test_an_address_that_is_taken_is_said_to_be() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(SettingsError, match="cannot listen"):
        await serve_http(echo, "127.0.0.1", taken.getsockname()[1], stop=asyncio.Event())

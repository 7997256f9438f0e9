"""One HTTP/1.1 connection of uvicorn's, with bodies that the kernel sends and that arrive without needless copies.

Knows uvicorn's httptools protocol (pinned in requirements.lock) and ASGI's extensions; nothing of what is served.
Three classes that make one connection stay together, which is the reason for the length.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import urllib.parse
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.server import ServerState

from huitong.base.caller import CERTIFICATE
from huitong.base.setting_kinds import Network, is_within
from huitong.base.tls import NO_CERTIFICATE, shown

#: One recv(2); what asyncio would allocate anew for each.
_RECEIVE_BYTES = 256 * 1024
#: Body bytes waiting for the application before the socket is no longer read, and when it is read again.
_BODY_HIGH_BYTES, _BODY_LOW_BYTES = 1024 * 1024, 256 * 1024
#: All header lines of a request; llhttp sets no bound.
_MAX_HEADER_BYTES = 64 * 1024
#: One sendfile(2), so that a fast reader of a large file still lets others have the loop in between.
_SENDFILE_BYTES = 1024 * 1024
#: Bytes sent without waiting, after which the loop gets a turn.
_TURN_BYTES = 4 * 1024 * 1024
#: A client that takes nothing for so long, or does not get its header across, is gone.
_STALL_S = 120.0
_HEADER_S = 30.0

_STANDARD_EVENTS = frozenset({"http.response.start", "http.response.body"})
_EXTENSIONS: dict[str, dict[str, Any]] = {"http.response.zerocopysend": {}, "http.response.pathsend": {}}


class BodySocket:
    """The connection's socket a second time, for writing past the transport while its own buffer is empty."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        # asyncio refuses add_writer on a descriptor that a transport owns; a duplicate is another descriptor.
        self._sock, self._loop = sock, loop
        self._fd = sock.fileno()
        self._waiter: asyncio.Future[None] | None = None

    def close(self) -> None:
        """To be called when the connection is lost; wakes a sender, who gets ClientDisconnected."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ClientDisconnected())
        if self._fd >= 0:
            self._loop.remove_writer(self._fd)
        self._fd = -1
        self._sock.close()

    def send_some(self, data: bytes) -> int:
        """How much of a small piece went out at once, to travel in one segment with what follows."""
        try:
            return self._sock.send(data, socket.MSG_MORE)
        except OSError:
            # Full, or gone: the transport, which gets the piece next, finds out which.
            return 0

    async def send_file(self, fd: int, offset: int, count: int) -> None:
        """Send `count` bytes of the open file from `offset`; OSError when the client is gone or the file is short."""
        end, turn = offset + count, offset + _TURN_BYTES
        while offset < end:
            size = min(end - offset, _SENDFILE_BYTES)
            if not _cached(fd, offset, size):
                # Still on the disk: fetched by a thread, so that nobody else waits for the disk.
                await asyncio.to_thread(_warm, fd, offset, size)
            if offset > turn:
                turn = offset + _TURN_BYTES
                await asyncio.sleep(0)
            if self._fd < 0:
                raise ClientDisconnected
            try:
                sent = os.sendfile(self._fd, fd, offset, size)
            except BlockingIOError:
                await self._writable()
                continue
            except (BrokenPipeError, ConnectionResetError):
                raise ClientDisconnected from None
            if sent == 0:
                raise OSError("the file is shorter than was said")
            offset += sent

    async def _writable(self) -> None:
        waiter = self._waiter = self._loop.create_future()
        self._loop.add_writer(self._fd, _wake, waiter)
        try:
            async with asyncio.timeout(_STALL_S):
                await waiter
        except TimeoutError:
            raise ClientDisconnected from None
        finally:
            self._waiter = None
            if self._fd >= 0:
                self._loop.remove_writer(self._fd)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _cached(fd: int, offset: int, size: int) -> bool:
    """Whether the ends of the range are in the page cache, as far as the file system tells (RWF_NOWAIT)."""
    probe = bytearray(1)
    try:
        os.preadv(fd, [probe], offset, os.RWF_NOWAIT)
        os.preadv(fd, [probe], offset + size - 1, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without the flag: sendfile may then wait for the disk, as every small server does.
        return True
    return True


def _warm(fd: int, offset: int, size: int) -> None:
    end = offset + size
    while offset < end:
        got = len(os.pread(fd, min(_RECEIVE_BYTES, end - offset), offset))
        if got == 0:
            return
        offset += got


class ZeroCopyCycle(RequestResponseCycle):
    """A request and its response, as uvicorn's, with a queue of body pieces and the zero-copy events."""

    def __init__(self, protocol: ZeroCopyProtocol, keep_alive: bool) -> None:
        super().__init__(
            scope=protocol.scope,
            transport=protocol.transport,
            flow=protocol.flow,
            logger=protocol.logger,
            access_logger=protocol.access_logger,
            access_log=protocol.access_log,
            default_headers=protocol.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=protocol.expect_100_continue,
            keep_alive=keep_alive,
            on_response=protocol.on_response_complete,
        )
        self._protocol = protocol
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        #: Set by the first zero-copy event: from then on the transport's buffer is known to be empty between events.
        self._socket: BodySocket | None = None

    # --- request ---

    def take(self, piece: bytes) -> None:
        """A piece of the request's body has come."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > _BODY_HIGH_BYTES:
            self.flow.pause_reading()
        self.message_event.set()

    async def receive(self) -> Any:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self._pieces and not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            await self._something()
            self.message_event.clear()
        # What came before the client left is still handed on: a body that is broken off may hold whole instances.
        if (self.disconnected and not self._pieces) or self.response_complete:
            return {"type": "http.disconnect"}
        piece = self._pieces.popleft() if self._pieces else b""
        self._waiting_bytes -= len(piece)
        if self._waiting_bytes < _BODY_LOW_BYTES:
            self.flow.resume_reading()
        return {"type": "http.request", "body": piece, "more_body": self.more_body or bool(self._pieces)}

    async def _something(self) -> None:
        """Waits for more of the body, the end of the response or of the connection; a sender that stalls is gone."""
        try:
            async with asyncio.timeout(_STALL_S if self.more_body else None):
                await self.message_event.wait()
        except TimeoutError:
            self.disconnected = True
            self.transport.abort()

    # --- response ---

    async def send(self, message: Any) -> None:
        """As ASGI's; raises ClientDisconnected (an OSError) where more was to follow and nobody is there to take it."""
        try:
            await self._send(message)
        except ClientDisconnected:
            self.disconnected = True
            self.transport.abort()
            raise

    async def _send(self, message: Any) -> None:
        kind = message["type"]
        if self.disconnected and (kind not in _STANDARD_EVENTS or message.get("more_body")):
            raise ClientDisconnected
        if kind == "http.response.zerocopysend":
            await self._send_descriptor(message)
        elif kind == "http.response.pathsend":
            await self._send_path(message["path"])
        else:
            if kind == "http.response.start" and self.waiting_for_100_continue:
                # The client may or may not send its body after all: only a new connection is unambiguous.
                self.keep_alive = False
            elif self._socket is not None and message.get("more_body") and not self.chunked_encoding:
                message = self._send_between(message)
            await self._protocol.drain()
            await super().send(message)

    def _send_between(self, message: Any) -> Any:
        """What is left of a small piece between two files, after what went out without a segment of its own."""
        assert self._socket is not None
        data = message["body"]
        if self.transport.get_write_buffer_size() == 0:
            sent = self._socket.send_some(data)
            self.expected_content_length -= sent
            data = data[sent:]
        return {"type": "http.response.body", "body": data, "more_body": True}

    async def _send_path(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            await self._send_descriptor({"file": fd, "offset": 0, "count": os.fstat(fd).st_size, "more_body": False})
        finally:
            os.close(fd)

    async def _send_descriptor(self, message: Any) -> None:
        file, offset, count = message["file"], message.get("offset"), message.get("count")
        fd = file if isinstance(file, int) else file.fileno()
        if offset is None:
            offset = os.lseek(fd, 0, os.SEEK_CUR)
        if count is None:
            count = os.fstat(fd).st_size - offset
        if self.scope["method"] != "HEAD" and count:
            await self._send_range(fd, offset, count)
        if not message.get("more_body", False):
            await super().send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_range(self, fd: int, offset: int, count: int) -> None:
        if not self.response_started or self.response_complete:
            raise RuntimeError("a body needs a response that has begun and not ended")
        if self.chunked_encoding:
            self.transport.write(b"%x\r\n" % count)
        elif count > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        self._socket = await self._protocol.body_socket()
        await self._socket.send_file(fd, offset, count)
        if self.chunked_encoding:
            self.transport.write(b"\r\n")
        else:
            self.expected_content_length -= count

    async def run_asgi(self, app: Any) -> None:
        async def quietly(scope: Any, receive: Any, send: Any) -> None:
            # A client that left is no error of the application's.
            with contextlib.suppress(ClientDisconnected):
                await app(scope, receive, send)

        await super().run_asgi(quietly)


@dataclass(slots=True)
class Bounds:
    """How many connections there may be, and how slow; counts those that there are."""

    most: int
    most_of_one: int
    #: From its first octet to the end of a request's header.
    header_s: float = _HEADER_S
    #: From which any number may come, as they come for others.
    proxies: tuple[Network, ...] = ()
    open: Counter[str] = field(default_factory=Counter)

    def take(self, host: str) -> bool:
        """Whether there is room for one more; then it is counted."""
        many = self.open[host] >= self.most_of_one and not is_within(host, self.proxies)
        if many or self.open.total() >= self.most:
            return False
        self.open[host] += 1
        return True

    def give_back(self, host: str) -> None:
        self.open[host] -= 1
        if not self.open[host]:
            del self.open[host]


class ZeroCopyProtocol(HttpToolsProtocol, asyncio.BufferedProtocol):
    """uvicorn's connection, made of the parts above."""

    bounds = Bounds(sys.maxsize, sys.maxsize)

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._received = memoryview(bytearray(_RECEIVE_BYTES))
        self._header_bytes = 0
        self._body_socket: BodySocket | None = None
        #: Ends a connection whose header does not get across; uvicorn's own timer ends with the first octet.
        self._header_timer: asyncio.TimerHandle | None = None
        self._host: str | None = None
        self._certificate = NO_CERTIFICATE

    # --- receiving ---

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        host = peer[0] if peer else ""
        if not self.bounds.take(host):
            self.logger.warning("HTTP connection refused, too many")
            transport.abort()
            return
        self._host = host
        self._certificate = shown(transport)
        self._header_timer = self.loop.call_later(self.bounds.header_s, self._header_late)

    def _header_late(self) -> None:
        self._header_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            # Sent ahead of an answer that is under way: it is we who do not read.
            self._header_timer = self.loop.call_later(self.bounds.header_s, self._header_late)
        else:
            self.transport.abort()

    def _header_done(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._received[:nbytes])  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._header_done()
        if self._host is not None:
            self.bounds.give_back(self._host)
            self._host = None
        if self._body_socket is not None:
            self._body_socket.close()
            self._body_socket = None

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing: Java's client asks for h2c with every first request, and is content without."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = 0
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.bounds.header_s, self._header_late)
        if self._certificate is not NO_CERTIFICATE:
            cast("dict[str, Any]", self.scope)[CERTIFICATE] = self._certificate
        # TLS encrypts in this process, so there is nothing for the kernel to send by itself.
        if self.scheme == "http" and sys.platform == "linux":
            cast("dict[str, Any]", self.scope)["extensions"] = _EXTENSIONS

    def on_url(self, url: bytes) -> None:
        self._count_header(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_header(len(name) + len(value))
        super().on_header(name, value)

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > _MAX_HEADER_BYTES:
            raise httptools.HttpParserError(f"more than {_MAX_HEADER_BYTES} bytes of header")

    def on_headers_complete(self) -> None:
        """As uvicorn's, for our own kind of cycle and without what is not offered here (upgrades, root path)."""
        self._header_done()
        version = self.parser.get_http_version()
        self.scope["method"] = self.parser.get_method().decode("ascii")
        if version != "1.1":
            self.scope["http_version"] = version
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope["path"] = urllib.parse.unquote(path) if "%" in path else path
        self.scope["raw_path"] = url.path
        self.scope["query_string"] = url.query or b""
        before = self.cycle
        cycle = ZeroCopyCycle(self, keep_alive=version != "1.0" and self.parser.should_keep_alive())
        self.cycle = cycle
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        if not self.cycle.response_complete:
            cast("ZeroCopyCycle", self.cycle).take(body)

    # --- sending ---

    async def body_socket(self) -> BodySocket:
        """The socket for writing directly, once everything written before has left the transport's buffer."""
        if self._body_socket is None:
            self._body_socket = BodySocket(self.transport.get_extra_info("socket").dup(), self.loop)
        if self.transport.get_write_buffer_size():
            low, high = self.transport.get_write_buffer_limits()
            # Counts as full until it is empty: then the drain waits for exactly that.
            self.transport.set_write_buffer_limits(high=0)
            try:
                await self.drain()
            finally:
                self.transport.set_write_buffer_limits(high=high, low=low)
        if self._body_socket is None:
            raise ClientDisconnected
        return self._body_socket

    async def drain(self) -> None:
        """Waits while the transport's buffer is too full; ClientDisconnected when the client takes nothing."""
        if not self.flow.write_paused:
            return
        try:
            async with asyncio.timeout(_STALL_S):
                await self.flow.drain()
        except TimeoutError:
            raise ClientDisconnected from None


def bounded(bounds: Bounds) -> type[ZeroCopyProtocol]:
    """Connections that are counted together; one such class for each server."""
    return type("BoundedProtocol", (ZeroCopyProtocol,), {"bounds": bounds})

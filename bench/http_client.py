"""A keep-alive HTTP/1.1 client that costs little: prepared requests in, status and size out, bodies read and dropped.

A comfortable client needs more CPU than the servers that are measured here, on the same cores.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from huitong.base.setting_kinds import Address

TIMEOUT_S = 120
_SCRATCH_BYTES = 1 << 20
_BOUNDARY = "huitong-bench-6f0a2c91"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    #: Of the body, without what chunking adds.
    size_bytes: int
    headers: Mapping[str, str]
    #: Empty unless it was to be kept.
    body: bytes


class Http:
    """One connection, opened anew when the server has closed it while idle."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._scratch = bytearray(_SCRATCH_BYTES)
        self._view = memoryview(self._scratch)
        self._start = self._end = 0

    def connect(self) -> None:
        self.close()
        self._socket = socket.create_connection((self._address.host, self._address.port), TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        self._start = self._end = 0
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ask(self, request: bytes, *, keep: bool = False) -> Answer:
        """Raises ConnectionError when the server breaks off."""
        if self._socket is not None:
            try:
                self._socket.sendall(request)
                return self._answer(keep)
            except _ClosedWhileIdle:
                pass
            except (BrokenPipeError, ConnectionResetError):
                if self._end:
                    raise
        self.connect()
        assert self._socket is not None
        self._socket.sendall(request)
        return self._answer(keep)

    def _answer(self, keep: bool) -> Answer:
        status = 100
        while status == 100:
            status, headers = self._head()
        kept: list[bytes] | None = [] if keep else None
        if headers.get("transfer-encoding", "").lower() == "chunked":
            size = self._chunks(kept)
        elif "content-length" in headers:
            size = self._take(int(headers["content-length"]), kept)
        elif status in (204, 304):
            size = 0
        else:
            size = self._rest(kept)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(status, size, headers, b"".join(kept or ()))

    def _head(self) -> tuple[int, dict[str, str]]:
        idle = self._start == self._end
        while (at := self._scratch.find(b"\r\n\r\n", self._start, self._end)) < 0:
            if not self._receive():
                raise _ClosedWhileIdle if idle else ConnectionError("broken off in a header")
            idle = False
        lines = self._scratch[self._start : at].decode("latin-1").split("\r\n")
        self._start = at + 4
        fields = (line.partition(":") for line in lines[1:])
        return int(lines[0].split()[1]), {name.strip().lower(): value.strip() for name, _, value in fields}

    def _chunks(self, kept: list[bytes] | None) -> int:
        total = 0
        while size := int(self._line().split(b";")[0], 16):
            total += self._take(size, kept)
            self._line()
        while self._line():
            pass
        return total

    def _line(self) -> bytes:
        while (at := self._scratch.find(b"\r\n", self._start, self._end)) < 0:
            if not self._receive():
                raise ConnectionError("broken off between chunks")
        line = bytes(self._view[self._start : at])
        self._start = at + 2
        return line

    def _take(self, size: int, kept: list[bytes] | None) -> int:
        left = size
        while left:
            if self._start == self._end and not self._receive():
                raise ConnectionError(f"broken off {left} bytes before the end")
            count = min(left, self._end - self._start)
            if kept is not None:
                kept.append(bytes(self._view[self._start : self._start + count]))
            self._start += count
            left -= count
        return size

    def _rest(self, kept: list[bytes] | None) -> int:
        """Until the server closes: how Orthanc ends a multipart answer."""
        total = 0
        while self._start < self._end or self._receive():
            total += self._take(self._end - self._start, kept)
        self.close()
        return total

    def _receive(self) -> int:
        """More bytes behind those that are left; 0 at the end."""
        assert self._socket is not None
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._scratch):
            left = bytes(self._view[self._start : self._end])
            self._scratch[: len(left)] = left
            self._start, self._end = 0, len(left)
        count = self._socket.recv_into(self._view[self._end :])
        self._end += count
        return count


class _ClosedWhileIdle(ConnectionError):
    """The server closed the connection before it said anything: it had not seen the request."""


def request(method: str, address: Address, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request, to be sent as often as wanted."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address}", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def related(files: Iterable[bytes]) -> tuple[str, bytes]:
    """Content type and body of a STOW-RS request (PS3.18 10.5.1)."""
    head = f"\r\n--{_BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    parts = [piece for file in files for piece in (head, file)]
    body = b"".join([*parts, f"\r\n--{_BOUNDARY}--\r\n".encode()])
    return f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}', body


def parts_of(answer: Answer) -> list[bytes]:
    """The contents of the parts of a multipart answer; the one content of another."""
    found = re.search(r'boundary="?([^";]+)', answer.headers.get("content-type", ""))
    if found is None:
        return [answer.body]
    delimiter = b"\r\n--" + found[1].encode()
    pieces = (b"\r\n" + answer.body).split(delimiter)[1:-1]
    return [piece.partition(b"\r\n\r\n")[2] for piece in pieces]

"""HTTP answers made of stored bytes: conditional, by range, and sent by the kernel where the server can.

Knows RFC 9110 (validators, ranges) and ASGI's `http.response.zerocopysend`; nothing of DICOM.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from huitong.base.errors import HuitongError
from huitong.imaging.model import OnDisk, Slice
from huitong.wire.problem import MEDIA_TYPE, Problem

#: Below this, one read is cheaper than telling the kernel.
_SMALL_BYTES = 8 * 1024
#: One read where the kernel cannot send by itself (TLS, another server).
_CHUNK_BYTES = 256 * 1024
#: Pieces that are fetched while those before them are sent: heads of parts count, too.
_AHEAD_PIECES = 8
#: One step where the bytes have to be fetched from the object store first.
_FETCH_BYTES = 4 * 1024 * 1024
_ZERO_COPY = "http.response.zerocopysend"
#: Positions of more digits are beyond all there is, and beyond what Python reads as a number.
_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)
#: Bytes under UIDs: the first content under a UID is the one that is served, so they never change. A browser may keep
#: them, a shared proxy may not (they are a patient's).
IMMUTABLE = "private, max-age=31536000, immutable"
#: What grows while a study arrives: may be kept, and is asked for again with its validator.
REVALIDATED = "private, no-cache"
#: What depends on Accept and on who asks.
VARY = "Accept, Authorization, Cookie"


@dataclass(frozen=True, slots=True)
class Span:
    """Some bytes of a stored object."""

    part: Slice
    offset: int
    length: int


Piece = bytes | Span


class Pieces(Response):
    """An answer whose body is made of pieces, one after another; memory holds one of them at a time."""

    def __init__(
        self,
        pieces: Iterable[Piece] | AsyncIterable[Piece],
        length: int | None,
        headers: Mapping[str, str],
        status: int = 200,
    ) -> None:
        self.status_code = status
        self.background = None
        self._pieces = pieces
        known = {} if length is None else {"content-length": str(length)}
        self.init_headers({**known, **headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        by_kernel = _ZERO_COPY in (scope.get("extensions") or {})
        messages = _messages(self._pieces, by_kernel)
        # Before anything is said: what cannot be had is then an error and not an answer that breaks off.
        held: Message = await anext(messages, {"type": "http.response.body", "body": b""})
        await send(start)
        async for message in messages:
            # One behind, so that the last one can say that it is.
            if held.get("body") != b"":
                held["more_body"] = True
                if not await _sent(send, held):
                    return
            held = message
        held["more_body"] = False
        await _sent(send, held)


async def _sent(send: Send, message: Message) -> bool:
    """Whether somebody is still there to take it."""
    try:
        await send(message)
    except OSError:
        return False
    return True


async def _messages(pieces: Iterable[Piece] | AsyncIterable[Piece], by_kernel: bool) -> AsyncIterator[Message]:
    async for piece in _fetched_ahead(_each(pieces)):
        if isinstance(piece, bytes):
            yield {"type": "http.response.body", "body": piece}
            continue
        part, at_hand = piece.part, piece.part.at_hand(piece.offset, piece.length)
        if piece.length <= _SMALL_BYTES and at_hand:
            yield {"type": "http.response.body", "body": part.read(piece.offset, piece.length)}
        elif by_kernel and at_hand:
            yield _by_kernel(part.on_disk(piece.offset, piece.length), piece.length)
        else:
            for start, size in _steps(piece, _FETCH_BYTES if by_kernel else _CHUNK_BYTES):
                if by_kernel:
                    yield _by_kernel(await asyncio.to_thread(part.on_disk, start, size), size)
                else:
                    yield {"type": "http.response.body", "body": await asyncio.to_thread(part.read, start, size)}


def _by_kernel(there: OnDisk, count: int) -> Message:
    return {"type": _ZERO_COPY, "file": there.fd, "offset": there.offset, "count": count, "keep": there.keep}


def _steps(piece: Span, most: int) -> Iterator[tuple[int, int]]:
    """Offsets and sizes."""
    end = piece.offset + piece.length
    for start in range(piece.offset, end, most):
        yield start, min(most, end - start)


async def _fetched_ahead(pieces: AsyncIterable[Piece]) -> AsyncIterator[Piece]:
    """The same pieces. While one is sent, the next of those that have to be fetched are on their way already."""
    waiting: deque[tuple[Piece, asyncio.Future[OnDisk] | None]] = deque()
    try:
        async for piece in pieces:
            fetched = None if isinstance(piece, bytes) else _fetching(piece)
            if fetched is None and not waiting:
                yield piece
                continue
            waiting.append((piece, fetched))
            if len(waiting) > _AHEAD_PIECES:
                yield await _arrived(*waiting.popleft())
        while waiting:
            yield await _arrived(*waiting.popleft())
    finally:
        for _, late in waiting:
            if late is not None:
                late.cancel()


def _fetching(span: Span) -> asyncio.Future[OnDisk] | None:
    """Its beginning, if that is not here yet."""
    first = min(span.length, _FETCH_BYTES)
    if span.part.at_hand(span.offset, first):
        return None
    return asyncio.ensure_future(asyncio.to_thread(span.part.on_disk, span.offset, first))


async def _arrived(piece: Piece, fetched: asyncio.Future[OnDisk] | None) -> Piece:
    """What could not be fetched is tried again by whoever sends it, who then says why not."""
    if fetched is not None:
        with contextlib.suppress(HuitongError):
            await fetched
    return piece


async def _each(pieces: Iterable[Piece] | AsyncIterable[Piece]) -> AsyncIterator[Piece]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece


def quoted(etag: str) -> str:
    return f'"{etag}"'


def matches(field: str, etag: str) -> bool:
    """Whether an If-None-Match field names this validator (RFC 9110 13.1.2: weak comparison)."""
    return field.strip() == "*" or quoted(etag) in (part.strip().removeprefix("W/") for part in field.split(","))


def unchanged(request: Request, etag: str, headers: Mapping[str, str]) -> Response | None:
    """304 when the client has it already."""
    field = request.headers.get("if-none-match")
    if field is None or not matches(field, etag):
        return None
    return Response(status_code=304, headers={**headers, "ETag": quoted(etag)})


def whole_or_range(
    request: Request, pieces: Sequence[Piece], media_type: str, etag: str, headers: Mapping[str, str]
) -> Response:
    """A representation that can be asked for by range: 200, 206, 304 or 416."""
    known = unchanged(request, etag, headers)
    if known is not None:
        return known
    headers = {**headers, "ETag": quoted(etag), "Accept-Ranges": "bytes", "Content-Type": media_type}
    length = sum(_length(piece) for piece in pieces)
    wanted = _range(request, etag, length)
    if wanted is None:
        return Pieces(pieces, length, headers)
    start, end = wanted
    if start >= end:
        document = Problem(416, "no-such-range", "There are no such bytes.", f"there are {length} bytes").document()
        return Response(document, 416, {"Content-Range": f"bytes */{length}"}, MEDIA_TYPE)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{length}"
    return Pieces(list(_cut(pieces, start, end)), end - start, headers, 206)


def _range(request: Request, etag: str, length: int) -> tuple[int, int] | None:
    """First byte and the one after the last; None where the whole is to be sent (RFC 9110 14.2)."""
    field = request.headers.get("range")
    condition = request.headers.get("if-range")
    matched = _RANGE.fullmatch(field) if field else None
    # Several ranges at once, or no range that is understood: the whole is a lawful answer.
    if matched is None or not any(matched.groups()) or (condition is not None and condition != quoted(etag)):
        return None
    first, last = matched.groups()
    if not first:
        # The last so many bytes; none of them is none.
        return max(0, length - int(last)), length if int(last) else 0
    if last and int(last) < int(first):
        return None
    return int(first), min(length, int(last) + 1) if last else length


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _cut(pieces: Sequence[Piece], start: int, end: int) -> Iterable[Piece]:
    at = 0
    for piece in pieces:
        length = _length(piece)
        first, last = max(start - at, 0), min(end - at, length)
        if first < last:
            if isinstance(piece, bytes):
                yield piece[first:last]
            else:
                yield Span(piece.part, piece.offset + first, last - first)
        at += length

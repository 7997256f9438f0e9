"""multipart/related both ways: a streaming reader for request bodies and a writer whose length is known beforehand.

Knows RFC 2046 section 5.1 and RFC 2387; not what the parts mean. The reader holds no more than one part's headers
and a delimiter's worth of bytes, so that a body of several gigabytes costs no more memory than a small one.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from huitong.base.errors import BadRequest
from huitong.wire.media_type import MediaType

#: RFC 2046 allows 70 characters; a little more does no harm.
_MAX_BOUNDARY_BYTES = 200
#: Spaces after a delimiter that are still taken for transport padding (RFC 2046 5.1.1).
_MAX_PADDING_BYTES = 256
#: What can still become the rest of a delimiter line once more bytes come.
_UNDECIDED = re.compile(rb"-|[ \t]*\r?")
_FOLD = re.compile(r"\r\n[ \t]+")


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part starts; its header names in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some of the part's bytes, in order; a view of the chunk that was fed."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete: the delimiter after it was seen."""


Event = PartBegin | PartData | PartEnd
#: Where reading goes on: the bytes, and the position in them.
_Rest = tuple[bytes, int]


class _State(Enum):
    PREAMBLE = auto()
    BODY = auto()
    DELIMITED = auto()
    HEADERS = auto()
    EPILOGUE = auto()


def boundary_of(content_type: str) -> bytes:
    """The boundary that a multipart Content-Type names; BadRequest when there is none that can be used."""
    media = MediaType.parse(content_type)
    if media.main != "multipart":
        raise BadRequest(f"the body is {media.essence}, not multipart")
    boundary = media.parameters.get("boundary", "")
    if not boundary:
        raise BadRequest("the Content-Type names no boundary")
    if not boundary.isascii() or not boundary.isprintable() or len(boundary) > _MAX_BOUNDARY_BYTES:
        raise BadRequest("the boundary in the Content-Type is not one (RFC 2046 5.1.1)")
    return boundary.encode("ascii")


class MultipartReader:
    """Splits a body, fed in chunks of any size, into part events; where the chunks were cut never shows.

    A delimiter is `--boundary` at the beginning of a line, followed by `--` or by nothing but padding; the line break
    before it belongs to it. Anything else that looks like one is content.
    """

    def __init__(self, boundary: bytes, *, max_header_bytes: int = 16_384, max_parts: int = 1_000_000) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._max_header_bytes = max_header_bytes
        self._parts_left = max_parts
        self._state = _State.PREAMBLE
        #: Whether a delimiter that is being read ends a part (else the preamble).
        self._in_part = False
        #: Bytes seen and not decided yet. The body starts as if a line break had come before it.
        self._held = b"\r\n"
        #: How many bytes at the beginning of the content are such a line break, and not content.
        self._silent = 2

    @property
    def complete(self) -> bool:
        """Whether the closing delimiter was seen."""
        return self._state is _State.EPILOGUE

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events of the next bytes, to be exhausted before the next call; BadRequest if they are no multipart."""
        steps = {_State.DELIMITED: self._after_delimiter, _State.HEADERS: self._headers}
        rest: _Rest = (chunk, 0)
        while rest[1] < len(rest[0]) and self._state is not _State.EPILOGUE:
            rest = yield from steps.get(self._state, self._content)(*rest)

    def finish(self) -> None:
        """To be called at the end of the body; BadRequest when it was broken off."""
        if self._state is _State.PREAMBLE:
            raise BadRequest("the boundary was never seen in the body")
        if self._state is not _State.EPILOGUE:
            raise BadRequest("the body ends before its closing boundary")

    def _content(self, data: bytes, at: int) -> Generator[Event, None, _Rest]:
        """Up to the next delimiter, holding back what may be the beginning of one at the end of the chunk."""
        delimiter = self._delimiter
        if self._held:
            # Only as many bytes are joined as a delimiter across the seam could have.
            seam = self._held + data[at : at + len(delimiter) - 1]
            found = seam.find(delimiter)
            if found >= 0:
                at += found + len(delimiter) - len(self._held)
                yield from self._emit(seam, 0, found)
                return self._delimited(data, at)
            if len(data) - at < len(delimiter) - 1:
                start = _possible_delimiter(seam, 0, delimiter)
                yield from self._emit(seam, 0, start)
                self._held = seam[start:]
                return data, len(data)
            yield from self._emit(self._held, 0, len(self._held))
            self._held = b""
        found = data.find(delimiter, at)
        if found >= 0:
            yield from self._emit(data, at, found)
            return self._delimited(data, found + len(delimiter))
        start = _possible_delimiter(data, at, delimiter)
        yield from self._emit(data, at, start)
        self._held = data[start:]
        return data, len(data)

    def _delimited(self, data: bytes, at: int) -> _Rest:
        self._state, self._held = _State.DELIMITED, b""
        return data, at

    def _after_delimiter(self, data: bytes, at: int) -> Generator[Event, None, _Rest]:
        """What follows `--boundary`: the end, a part, or neither (then it was content)."""
        line = self._held + data[at : at + _MAX_PADDING_BYTES]
        if line.startswith(b"--"):
            self._state = _State.EPILOGUE
            if self._in_part:
                yield PartEnd()
            return data, len(data)
        end = line.find(b"\r\n")
        if end >= 0 and not line[:end].strip(b" \t"):
            if self._in_part:
                yield PartEnd()
            at += end + 2 - len(self._held)
            self._state, self._held, self._in_part = _State.HEADERS, b"", False
            self._parts_left -= 1
            if self._parts_left < 0:
                raise BadRequest("the body has too many parts")
            return data, at
        if len(line) < _MAX_PADDING_BYTES and _UNDECIDED.fullmatch(line):
            self._held = line
            return data, len(data)
        yield from self._emit(self._delimiter, 0, len(self._delimiter))
        self._state = _State.BODY if self._in_part else _State.PREAMBLE
        return data, at

    def _headers(self, data: bytes, at: int) -> Generator[Event, None, _Rest]:
        """The part's header lines up to the empty one."""
        block = self._held + data[at : at + self._max_header_bytes]
        end = 0 if block.startswith(b"\r\n") else block.find(b"\r\n\r\n") + 2
        if end == 1:  # not found: -1 + 2
            if len(block) >= self._max_header_bytes:
                raise BadRequest(f"a part's headers are longer than {self._max_header_bytes} bytes")
            self._held = block
            return data, len(data)
        at += end + 2 - len(self._held)
        yield PartBegin(_parse_headers(block[:end]))
        # The empty line may already be the line break of the next delimiter: a part without content.
        self._state, self._held, self._silent, self._in_part = _State.BODY, b"\r\n", 2, True
        return data, at

    def _emit(self, data: bytes, start: int, end: int) -> Iterator[Event]:
        if self._silent:
            passed = min(self._silent, end - start)
            self._silent -= passed
            start += passed
        if self._in_part and end > start:
            yield PartData(memoryview(data)[start:end])


def _possible_delimiter(data: bytes, at: int, delimiter: bytes) -> int:
    """Where at the end of `data` (from `at`) a delimiter may have begun; the length of `data` if nowhere."""
    start = data.find(b"\r", max(at, len(data) - len(delimiter) + 1))
    while start >= 0 and not delimiter.startswith(data[start:]):
        start = data.find(b"\r", start + 1)
    return start if start >= 0 else len(data)


def _parse_headers(block: bytes) -> Mapping[str, str]:
    headers: dict[str, str] = {}
    for line in _FOLD.sub(" ", block.decode("utf-8", "replace")).split("\r\n"):
        name, colon, value = line.partition(":")
        if not line:
            continue
        if not colon or not name.strip():
            raise BadRequest(f"a part has a header line that is none: {line[:80]!r}")
        headers.setdefault(name.strip().lower(), value.strip())
    return headers


@dataclass(frozen=True, slots=True)
class MultipartWriter:
    """The bytes around the parts of a multipart/related body, so that its length can be told before it is sent."""

    boundary: bytes

    def content_type(self, root_type: str) -> str:
        """The Content-Type of the whole. RFC 2387 3.1: `type` is the type of the root part, quoted for its slash."""
        return f'multipart/related; type="{root_type}"; boundary={self.boundary.decode()}'

    def head(self, headers: Mapping[str, str], *, first: bool) -> bytes:
        """What stands before a part's content. Header names are written as given: OHIF needs exactly `Content-Type`."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return b"%s--%s\r\n%s\r\n" % (b"" if first else b"\r\n", self.boundary, lines.encode())

    @property
    def tail(self) -> bytes:
        """What stands after the last part."""
        return b"\r\n--%s--\r\n" % self.boundary

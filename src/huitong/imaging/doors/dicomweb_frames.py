"""Frames of images (PS3.18 10.4.1.1.6): as stored, by offset, or native where a client wants them so."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence

from anyio.to_thread import run_sync
from starlette.responses import Response

from huitong.access.work import Work
from huitong.base.errors import BadRequest, NotAcceptable, NotFound
from huitong.imaging import actions
from huitong.imaging.doors.answers import IMMUTABLE, VARY, Piece, Pieces, Span, quoted, unchanged, whole_or_range
from huitong.imaging.doors.dicomweb_call import Call
from huitong.imaging.doors.dicomweb_retrieve import EXPLICIT_LITTLE_ENDIAN, OCTETS
from huitong.imaging.model import StoredInstance
from huitong.imaging.pixels.transcode import frame_as_native
from huitong.wire.accept import AS_STORED, Accepted
from huitong.wire.multipart import MultipartWriter

_UID = "1.2.840.10008.1.2"
#: Media type of compressed frames by transfer syntax (PS3.18 tables 8.7.3-4 and 8.7.3-5).
MEDIA_TYPES = {
    f"{_UID}.4.50": "image/jpeg",
    f"{_UID}.4.51": "image/jpeg",
    f"{_UID}.4.57": "image/jpeg",
    f"{_UID}.4.70": "image/jpeg",
    f"{_UID}.5": "image/dicom-rle",
    f"{_UID}.4.80": "image/jls",
    f"{_UID}.4.81": "image/jls",
    f"{_UID}.4.90": "image/jp2",
    f"{_UID}.4.91": "image/jp2",
    f"{_UID}.4.92": "image/jpx",
    f"{_UID}.4.93": "image/jpx",
    f"{_UID}.4.201": "image/jphc",
    f"{_UID}.4.202": "image/jphc",
    f"{_UID}.4.203": "image/jphc",
    f"{_UID}.4.110": "image/jxl",
    f"{_UID}.4.111": "image/jxl",
    f"{_UID}.4.112": "image/jxl",
    **{f"{_UID}.4.{n}": "video/mpeg" for n in (100, 101)},
    **{f"{_UID}.4.{n}": "video/mp4" for n in range(102, 109)},
}
_BIG_ENDIAN = f"{_UID}.2"
_MAX_LIST = 10_000


class _Form:
    """How a frame is given: its media type and whether it has to be made native first."""

    def __init__(self, stored: StoredInstance, native: bool) -> None:
        assert stored.frames is not None
        self.native = native
        if native or not stored.frames.encapsulated:
            # The pixels of all native little-endian syntaxes are the same bytes; only big endian is another.
            as_big_endian = stored.transfer_syntax_uid == _BIG_ENDIAN and not native
            self.essence, self.syntax = OCTETS, _BIG_ENDIAN if as_big_endian else EXPLICIT_LITTLE_ENDIAN
        else:
            self.essence = MEDIA_TYPES.get(stored.transfer_syntax_uid, OCTETS)
            self.syntax = stored.transfer_syntax_uid
        self.media_type = f"{self.essence}; transfer-syntax={self.syntax}"


async def retrieve_frames(call: Call) -> Response:
    """The frames of the list: one as it is, or several (or one, if so wanted) in parts."""
    stored = await call.stored()
    numbers = _numbers(call.parts["frames"], stored)
    choice, form = _choose(call.accepted, stored)
    headers = {"Cache-Control": IMMUTABLE, "Vary": VARY}
    key = hashlib.sha256(f"{stored.sha256} {numbers} {form.media_type}".encode()).hexdigest()[:32]
    if len(numbers) == 1 and not choice.multipart:
        pieces = await _frame(call.work, stored, numbers[0], form)
        return whole_or_range(call.request, pieces, form.media_type, key, headers)
    if not choice.multipart and not choice.anything:
        raise NotAcceptable("several frames come as multipart/related")
    etag = f"{key}-parts"
    known = unchanged(call.request, etag, headers)
    if known is not None:
        return known
    writer = MultipartWriter(f"huitong-{key}".encode())
    base = str(call.request.url.replace(query="", fragment="")).rpartition("/")[0]
    heads = [
        writer.head({"Content-Type": form.media_type, "Content-Location": f"{base}/{number}"}, first=at == 0)
        for at, number in enumerate(numbers)
    ]
    headers |= {"ETag": quoted(etag), "Content-Type": writer.content_type(form.essence)}
    length = None
    if not _has_to_be_made(stored, form):
        assert stored.frames is not None
        frames = sum(size for number in numbers for _, size in stored.frames.ranges(number))
        length = sum(map(len, heads)) + frames + len(writer.tail)
    return Pieces(_parts(call.work, stored, numbers, form, heads, writer.tail), length, headers)


def _numbers(text: str, stored: StoredInstance) -> list[int]:
    """Frame numbers of the path. BadRequest for what is none, NotFound for those that are not there."""
    fields = [field.strip() for field in text.split(",")]
    if len(fields) > _MAX_LIST or not all(field.isascii() and field.isdigit() and len(field) < 10 for field in fields):
        raise BadRequest(f"{text[:80]!r} is no list of frame numbers")
    numbers = [int(field) for field in fields]
    if 0 in numbers:
        raise BadRequest("frames are counted from 1")
    if stored.frames is None:
        raise NotFound("the instance has no frames")
    absent = [str(number) for number in numbers if number > stored.frames.count]
    if absent:
        raise NotFound(f"frame {', '.join(absent)} of {stored.frames.count}")
    return numbers


def _choose(accepted: Sequence[Accepted], stored: StoredInstance) -> tuple[Accepted, _Form]:
    """What of the acceptable can be given without making another compression."""
    as_stored, native = _Form(stored, native=False), _Form(stored, native=True)
    for choice in accepted:
        wanted = choice.transfer_syntax
        if choice.anything or wanted == AS_STORED or (choice.media_type == "*/*" and wanted is None):
            return choice, as_stored
        same = wanted in (as_stored.syntax, stored.transfer_syntax_uid)
        if same or (wanted is None and choice.allows(as_stored.essence) and as_stored.syntax != _BIG_ENDIAN):
            return choice, as_stored
        if choice.allows(OCTETS) and wanted in (None, EXPLICIT_LITTLE_ENDIAN):
            return choice, native
    raise NotAcceptable(f"frames are here as {as_stored.media_type}, and can be had as {native.media_type}")


def _has_to_be_made(stored: StoredInstance, form: _Form) -> bool:
    """Whether the frame's bytes lie nowhere as they are to be sent."""
    assert stored.frames is not None
    at_bits = not stored.frames.encapsulated and stored.frames.length == 0 and stored.frames.count > 1
    native_already = not stored.frames.encapsulated and stored.transfer_syntax_uid != _BIG_ENDIAN
    return stored.deflated or at_bits or (form.native and not native_already)


async def _frame(work: Work, stored: StoredInstance, number: int, form: _Form) -> list[Piece]:
    if _has_to_be_made(stored, form):
        return [await run_sync(_made, work, stored, number, form)]
    assert stored.frames is not None
    part = actions.open_slice(work, stored)
    return [Span(part, offset, length) for offset, length in stored.frames.ranges(number)]


def _made(work: Work, stored: StoredInstance, number: int, form: _Form) -> bytes:
    frame = actions.read_frame(work, stored, number)
    if stored.frames is not None and (form.native or stored.frames.length == 0) and not _plain(stored):
        return frame_as_native(actions.header(work, stored), frame, stored.transfer_syntax_uid, number)
    return frame


def _plain(stored: StoredInstance) -> bool:
    """Whole native bytes in little endian, which need nothing but to be found."""
    assert stored.frames is not None
    return not stored.frames.encapsulated and stored.frames.length > 0 and stored.transfer_syntax_uid != _BIG_ENDIAN


async def _parts(
    work: Work, stored: StoredInstance, numbers: Sequence[int], form: _Form, heads: Sequence[bytes], tail: bytes
) -> AsyncIterator[Piece]:
    for number, head in zip(numbers, heads, strict=True):
        pieces = await _frame(work, stored, number, form)
        yield head
        for piece in pieces:
            yield piece
    yield tail

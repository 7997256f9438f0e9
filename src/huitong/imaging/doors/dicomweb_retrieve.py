"""WADO-RS: instances as DICOM files, whole series and studies of them, and bulk values (PS3.18 10.4, 10.4.1.1.5)."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable, Sequence

from anyio.to_thread import run_sync
from starlette.responses import Response

from huitong.access.work import Work
from huitong.base.errors import CannotRender, NotAcceptable
from huitong.imaging import actions
from huitong.imaging.doors.answers import (
    IMMUTABLE,
    REVALIDATED,
    VARY,
    Piece,
    Pieces,
    Span,
    quoted,
    unchanged,
    whole_or_range,
)
from huitong.imaging.doors.dicomweb_call import Call
from huitong.imaging.model import StoredInstance
from huitong.imaging.pixels.transcode import MAX_OBJECT_BYTES, transcode_to_explicit_le
from huitong.wire.accept import AS_STORED, Accepted
from huitong.wire.multipart import MultipartWriter

DICOM = "application/dicom"
OCTETS = "application/octet-stream"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def syntax_for(choice: Accepted, stored: str) -> str | None:
    """The transfer syntax in which an instance can be given for this choice; None when it cannot.

    PS3.18 8.7.3.5.2: `*` is as stored, and a DICOM media type without the parameter means Explicit VR Little Endian.
    Anything at all, or parts of any type, means as stored.
    """
    if not choice.allows(DICOM):
        return None
    wanted = choice.transfer_syntax
    if wanted is None:
        return EXPLICIT_LITTLE_ENDIAN if choice.media_type == DICOM else stored
    if wanted in (AS_STORED, stored):
        return stored
    return EXPLICIT_LITTLE_ENDIAN if wanted == EXPLICIT_LITTLE_ENDIAN else None


def part_type(syntax: str) -> str:
    return f"{DICOM}; transfer-syntax={syntax}"


async def retrieve_instance(call: Call) -> Response:
    """One instance, as a file or as the one part of a multipart."""
    stored = await call.stored()
    for choice in call.accepted:
        syntax = syntax_for(choice, stored.transfer_syntax_uid)
        if syntax is None:
            continue
        if choice.multipart:
            return _multipart(call, [stored], [choice], IMMUTABLE)
        if syntax == stored.transfer_syntax_uid:
            pieces: list[Piece] = [_whole(call.work, stored)]
            etag = stored.sha256
        else:
            pieces = [await run_sync(_transcoded, call.work, stored)]
            etag = f"{stored.sha256[:32]}-{syntax}"
        headers = {"Cache-Control": IMMUTABLE, "Vary": VARY}
        return whole_or_range(call.request, pieces, part_type(syntax), etag, headers)
    raise NotAcceptable(f"it is stored in {stored.transfer_syntax_uid} and can be had in {EXPLICIT_LITTLE_ENDIAN}")


async def retrieve_all(call: Call) -> Response:
    """All instances of a study or series, each a part."""
    choices = [c for c in call.accepted if (c.multipart or c.anything) and c.allows(DICOM)]
    if not choices:
        raise NotAcceptable(f"a study or series comes as multipart/related; type={DICOM}")
    study, series = call.parts["study"], call.parts.get("series")
    stored = await run_sync(actions.locate_all, call.work, study, series, call.institution)
    return _multipart(call, stored, choices, REVALIDATED)


def _multipart(call: Call, stored: Sequence[StoredInstance], choices: Sequence[Accepted], cache: str) -> Response:
    syntaxes = [_first_syntax(choices, one.transfer_syntax_uid) for one in stored]
    digest = hashlib.sha256()
    for one, syntax in zip(stored, syntaxes, strict=True):
        digest.update(f"{one.sha256}{syntax}".encode())
    etag = digest.hexdigest()[:32]
    headers = {"Cache-Control": cache, "Vary": VARY}
    known = unchanged(call.request, etag, headers)
    if known is not None:
        return known
    # The boundary depends on the content, so that equal requests get equal bytes and the validator may be strong.
    writer = MultipartWriter(f"huitong-{etag}".encode())
    headers |= {"ETag": quoted(etag), "Content-Type": writer.content_type(DICOM)}
    plan = list(zip(stored, syntaxes, strict=True))
    if any(syntax != one.transfer_syntax_uid for one, syntax in plan):
        # How long an instance becomes is known only once it is transcoded: sent without a length then.
        return Pieces(_with_transcoding(call.work, writer, plan), None, headers)
    heads = [writer.head({"Content-Type": part_type(s)}, first=n == 0) for n, (_, s) in enumerate(plan)]
    length = sum(map(len, heads)) + sum(one.size_bytes for one in stored) + len(writer.tail)
    return Pieces(_as_stored(call.work, heads, stored, writer.tail), length, headers)


def _first_syntax(choices: Sequence[Accepted], stored: str) -> str:
    for choice in choices:
        syntax = syntax_for(choice, stored)
        if syntax is not None:
            return syntax
    raise NotAcceptable(f"an instance is stored in {stored} and can be had in {EXPLICIT_LITTLE_ENDIAN}")


def _as_stored(work: Work, heads: Iterable[bytes], stored: Iterable[StoredInstance], tail: bytes) -> Iterable[Piece]:
    for head, one in zip(heads, stored, strict=True):
        yield head
        yield _whole(work, one)
    yield tail


async def _with_transcoding(
    work: Work, writer: MultipartWriter, plan: Sequence[tuple[StoredInstance, str]]
) -> AsyncIterator[Piece]:
    """An instance that cannot be transcoded is given as stored, and its part says so: better than none."""
    for number, (one, syntax) in enumerate(plan):
        piece: Piece
        try:
            as_stored = syntax == one.transfer_syntax_uid
            piece = _whole(work, one) if as_stored else await run_sync(_transcoded, work, one)
        except CannotRender:
            piece, syntax = _whole(work, one), one.transfer_syntax_uid
        yield writer.head({"Content-Type": part_type(syntax)}, first=number == 0)
        yield piece
    yield writer.tail


def _whole(work: Work, stored: StoredInstance) -> Span:
    return Span(actions.open_slice(work, stored), 0, stored.size_bytes)


def _transcoded(work: Work, stored: StoredInstance) -> bytes:
    if stored.size_bytes > MAX_OBJECT_BYTES:
        raise CannotRender(f"it has {stored.size_bytes} bytes, more than are transcoded")
    return transcode_to_explicit_le(actions.open_slice(work, stored).read())


async def retrieve_bulk(call: Call) -> Response:
    """A bulk value (PS3.18 10.4.1.1.5), in one part."""
    stored = await call.stored()
    path = call.parts["bulk"]
    bulk = await run_sync(actions.find_bulk, call.work, stored, path)
    part = actions.open_slice(call.work, stored)
    pieces: list[Piece] = [Span(part, offset, length) for offset, length in bulk.ranges]
    if bulk.inflated is not None:
        pieces = [bulk.inflated]
    etag = f"{stored.sha256[:32]}-{path}"
    headers = {"Cache-Control": IMMUTABLE, "Vary": VARY}
    for choice in call.accepted:
        if not choice.allows(OCTETS):
            continue
        if not choice.multipart:
            return whole_or_range(call.request, pieces, OCTETS, etag, headers)
        writer = MultipartWriter(f"huitong-{hashlib.sha256(etag.encode()).hexdigest()[:32]}".encode())
        around = [writer.head({"Content-Type": OCTETS, "Content-Location": str(call.request.url)}, first=True)]
        return whole_or_range(
            call.request, [*around, *pieces, writer.tail], writer.content_type(OCTETS), f"{etag}-parts", headers
        )
    raise NotAcceptable(f"bulk data comes as {OCTETS}")

"""STOW-RS: instances in (PS3.18 10.5), kept as they arrive, several at a time, each with an answer of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from huitong.access.work import Work
from huitong.base.caller import certificate_of
from huitong.base.errors import (
    BadRequest,
    HuitongError,
    IdentityMismatch,
    NotAllowed,
    NotDicom,
    OurFault,
    UnsupportedMedia,
    answer_for,
    retry_after,
)
from huitong.base.log import logger
from huitong.imaging import actions
from huitong.imaging.doors.dicomweb_call import STORE, Call, study_url
from huitong.imaging.model import Kept
from huitong.wire.accept import first_of
from huitong.wire.dicom.scan import scan, text
from huitong.wire.media_type import MediaType
from huitong.wire.multipart import MultipartReader, PartBegin, PartData, boundary_of
from huitong.wire.native_model import native_xml
from huitong.wire.stow import PROCESSING_FAILURE, Failed, Stored, store_response

log = logger(__name__)

_DICOM = "application/dicom"
_JSON, _XML = "application/dicom+json", "application/dicom+xml"
#: Instances, and bytes of them, on their way to the disk for one request before more of it is read.
_MOST_AT_ONCE, _MOST_BYTES = 32, 64 * 1024 * 1024
#: How much of a part is remembered to tell its UIDs if it cannot be kept.
_REMEMBERED_BYTES = 16 * 1024


async def store(call: Call) -> Response:
    """Keeps every instance that can be kept. Raises NotSignedIn, NotAllowed, UnsupportedMedia, BadRequest before."""
    work = call.access.system(call.authorization, call.host, STORE, certificate_of(call.request))
    if call.institution is not None and call.institution != work.institution:
        raise NotAllowed(f"who asks is not of {call.institution}")
    boundary = _boundary(call.request.headers.get("content-type", ""))
    receiver = _Receiver(work, call.parts.get("study"))
    try:
        await _read(call, boundary, receiver)
    except ClientDisconnect:
        log.info("store request broken off", institution=work.institution, complete=len(receiver.parts))
    except BadRequest as error:
        # What was complete is kept, and said to be; only where there is nothing to say is the request itself at fault.
        receiver.broken(error)
        await receiver.settled()
        if not receiver.kept():
            raise
    finally:
        receiver.give_up()
    await receiver.settled()
    return _answer(call, work, receiver)


def _boundary(content_type: str) -> bytes | None:
    """The boundary; None where the body is one bare instance."""
    media = MediaType.parse(content_type) if content_type else MediaType("", "", {})
    if media.essence == _DICOM:
        return None
    if media.essence != "multipart/related":
        raise UnsupportedMedia(f"send multipart/related; type={_DICOM}, not {content_type or 'nothing'}")
    inner = media.parameters.get("type", _DICOM).strip().lower()
    if inner != _DICOM:
        raise UnsupportedMedia(f"parts have to be {_DICOM}; metadata with separate bulk data ({inner}) is not read")
    return boundary_of(content_type)


async def _read(call: Call, boundary: bytes | None, receiver: _Receiver) -> None:
    if boundary is None:
        receiver.begin({})
        async for chunk in call.request.stream():
            receiver.data(memoryview(chunk))
        await receiver.end()
        return
    reader = MultipartReader(boundary)
    async for chunk in call.request.stream():
        for event in reader.feed(chunk):
            if isinstance(event, PartData):
                receiver.data(event.data)
            elif isinstance(event, PartBegin):
                receiver.begin(event.headers)
            else:
                await receiver.end()
    reader.finish()


@dataclass(slots=True)
class _Part:
    """A part of the request: its bytes so far, then what became of it."""

    intake: actions.Intake | None
    outcome: Kept | Exception | None = None
    #: Its first bytes, until it has an outcome: a view keeps the whole chunk that it looks into.
    beginning: list[memoryview] = field(default_factory=list)
    remembered: int = 0
    #: SOP Class and Instance UID of a part that was refused, as far as its beginning tells.
    uids: tuple[str | None, str | None] = (None, None)

    def ended(self, outcome: Kept | Exception) -> None:
        """What became of it; only what the answer needs is kept on."""
        self.outcome = outcome
        if isinstance(outcome, Exception):
            self.uids = _uids(self.beginning)
        self.beginning.clear()
        self.remembered = _REMEMBERED_BYTES


class _Receiver:
    """Takes parts as they come and keeps each once it is whole."""

    def __init__(self, work: Work, study_uid: str | None) -> None:
        self._work, self._study_uid = work, study_uid
        self.parts: list[_Part] = []
        self._open: _Part | None = None
        self._keeping: dict[asyncio.Task[None], int] = {}

    def begin(self, headers: Mapping[str, str]) -> None:
        part = self._open = _Part(None)
        self.parts.append(part)
        media_type = headers.get("content-type", _DICOM)
        try:
            if MediaType.parse(media_type).essence != _DICOM:
                raise UnsupportedMedia(f"a part is {media_type}")
            part.intake = actions.new_intake(self._work)
        except HuitongError as error:
            part.ended(error)

    def data(self, view: memoryview) -> None:
        part = self._open
        assert part is not None
        if part.intake is None:
            return
        if part.remembered < _REMEMBERED_BYTES:
            part.beginning.append(view[: _REMEMBERED_BYTES - part.remembered])
            part.remembered += len(part.beginning[-1])
        try:
            part.intake.write(view)
        except HuitongError as error:
            part.ended(error)
            part.intake.abandon()
            part.intake = None

    async def end(self) -> None:
        """The part is whole: it is kept while the next ones are read, unless enough are under way."""
        part, self._open = self._open, None
        assert part is not None
        if part.intake is None:
            return
        size = part.intake.size
        while len(self._keeping) >= _MOST_AT_ONCE or sum(self._keeping.values()) > _MOST_BYTES:
            await asyncio.wait(self._keeping, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._keep(part))
        self._keeping[task] = size
        task.add_done_callback(self._keeping.pop)

    async def _keep(self, part: _Part) -> None:
        intake, part.intake = part.intake, None
        assert intake is not None
        try:
            if self._study_uid is not None:
                await asyncio.to_thread(_check_study, intake, self._study_uid)
            part.ended(await actions.keep_instance(self._work, intake))
        except HuitongError as error:
            part.ended(error)
        except Exception as error:
            log.exception("instance not kept")
            part.ended(error)

    def broken(self, error: BadRequest) -> None:
        """The body is no multipart from here on: what is open is lost."""
        if self._open is None:
            self.parts.append(_Part(None))
        self.parts[-1].ended(error)

    def kept(self) -> list[Kept]:
        return [part.outcome for part in self.parts if isinstance(part.outcome, Kept)]

    def give_up(self) -> None:
        """Forgets what is not whole."""
        if self._open is not None and self._open.intake is not None:
            self._open.intake.abandon()
            self._open.intake = None
        self._open = None

    async def settled(self) -> None:
        """Waits until every whole part has its outcome."""
        if self._keeping:
            await asyncio.wait(self._keeping)


def _check_study(intake: actions.Intake, study_uid: str) -> None:
    """Raises IdentityMismatch where the instance is not of the study that the path names, NotDicom where it is none.

    The intake is given up then.
    """
    error: HuitongError
    try:
        found = text(scan(intake.view()).header, "0020000D")
        error = IdentityMismatch(f"StudyInstanceUID is {found}, the request names {study_uid}")
    except NotDicom as unreadable:
        found, error = None, unreadable
    if found != study_uid:
        intake.abandon()
        raise error


def _answer(call: Call, work: Work, receiver: _Receiver) -> Response:
    kept = receiver.kept()
    root = call.root if call.institution is not None else f"{call.root}/at/{work.institution}"
    stored = [
        Stored(k.sop_class_uid, k.sop_instance_uid, study_url(root, k.study_uid, k.series_uid, k.sop_instance_uid))
        for k in kept
    ]
    errors = [part.outcome for part in receiver.parts if isinstance(part.outcome, Exception)]
    failed = [_failed(part) for part in receiver.parts if isinstance(part.outcome, Exception)]
    studies = {one.study_uid for one in kept}
    response = store_response(stored, failed, study_url(root, *studies) if len(studies) == 1 else None)
    media_type = first_of(call.accepted, [_JSON, "application/json", _XML]) or _JSON
    body = native_xml(response.dataset) if media_type == _XML else orjson.dumps(response.dataset)
    status = _status(response.status, errors)
    return Response(body, status, {"Cache-Control": "no-store", **retry_after(status)}, media_type)


def _status(status: int, errors: Sequence[Exception]) -> int:
    """Where nothing at all could be kept for reasons of ours, the sender may well try again: say so."""
    ours = [error for error in errors if isinstance(error, OurFault)]
    return answer_for(ours[0]).http if status == 409 and ours and len(ours) == len(errors) else status


def _failed(part: _Part) -> Failed:
    error = part.outcome
    assert isinstance(error, Exception)
    sop_class, sop_instance = part.uids
    if not isinstance(error, HuitongError):
        return Failed(PROCESSING_FAILURE, sop_class, sop_instance)
    return Failed(answer_for(error).dimse, sop_class, sop_instance, error.detail or str(error))


def _uids(beginning: Sequence[memoryview]) -> tuple[str | None, str | None]:
    """What the beginning of a refused part tells of its identity."""
    try:
        header = scan(b"".join(beginning)).header
    except HuitongError:
        return None, None
    return text(header, "00080016") or None, text(header, "00080018") or None

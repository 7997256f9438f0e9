"""Pictures for people: rendered instances and frames, thumbnails (PS3.18 10.4.1.1.3 and 10.4.1.1.4, 8.3.5)."""

from __future__ import annotations

import hashlib

from anyio.to_thread import run_sync
from starlette.responses import Response

from huitong.base.errors import BadRequest, CannotRender, NotAcceptable
from huitong.imaging import actions
from huitong.imaging.doors.answers import VARY, Piece, Span, unchanged, whole_or_range
from huitong.imaging.doors.dicomweb_call import Call
from huitong.imaging.model import StoredInstance
from huitong.imaging.pixels import rendered as kinds
from huitong.wire.accept import first_of

#: The way of rendering may get better with a new version, so a day and not for ever.
_A_DAY = {"Cache-Control": "private, max-age=86400", "Vary": VARY}
#: PS3.18 8.3.5.1.4, third part of `window`, to PS3.3 C.11.2.1.3.
_FUNCTIONS = {"linear": "LINEAR", "linear-exact": "LINEAR_EXACT", "sigmoid": "SIGMOID"}
_MAX_PIXELS = 8192


#: What a browser would run scripts of, on our own origin, were it not told otherwise: a CDA is a stranger's XML.
_CAN_RUN = ("text/", "image/svg", "application/xml", "application/xhtml")
_HARMLESS = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"


async def rendered(call: Call) -> Response:
    """The instance, or one of its frames, as its kind is shown: picture, ECG sheet, document, report, video."""
    stored = await call.stored()
    parameters = call.request.query_params
    options = {
        "accept": [choice.media_type for choice in call.accepted if not choice.multipart],
        "frame_number": _frame_number(call.parts.get("frames", "1")),
        "viewport": _viewport(parameters.get("viewport")),
        "quality": _whole("quality", parameters.get("quality", "90"), 1, 100),
        **_window(parameters.get("window")),
    }
    if not options["accept"]:
        raise NotAcceptable("rendered resources come in single part")
    key = hashlib.sha256(f"{stored.sha256} {sorted(options.items())}".encode()).hexdigest()[:32]
    if (known := unchanged(call.request, key, _A_DAY)) is not None:
        return known
    made = await run_sync(_render, call, stored, options)
    pieces: list[Piece]
    if made.body is not None:
        pieces = [made.body]
    else:
        assert made.bulk_path is not None
        bulk = await run_sync(actions.find_bulk, call.work, stored, made.bulk_path)
        pieces = _pieces(call, stored, bulk, made.length)
    answer = whole_or_range(call.request, pieces, made.media_type, key, _A_DAY)
    if made.media_type.startswith(_CAN_RUN):
        answer.headers["Content-Security-Policy"] = _HARMLESS
    return answer


def _render(call: Call, stored: StoredInstance, options: dict[str, object]) -> kinds.Rendered:
    work = call.work

    def read_frame(number: int) -> bytes:
        if stored.frames is None:
            raise CannotRender("it has no pixel data")
        return actions.read_frame(work, stored, number)

    return kinds.rendered(
        actions.header(work, stored),
        read_frame,
        stored.transfer_syntax_uid,
        lambda uri: actions.read_bulk(work, stored, uri),
        **options,  # type: ignore[arg-type]
    )


def _pieces(call: Call, stored: StoredInstance, bulk: actions.Bulk, length: int | None) -> list[Piece]:
    """The bulk value as pieces, up to `length` where that is known (without the padding to an even length)."""
    if bulk.inflated is not None:
        return [bulk.inflated[:length]]
    part, pieces, left = actions.open_slice(call.work, stored), list[Piece](), length
    for offset, size in bulk.ranges:
        taken = size if left is None else min(size, left)
        pieces.append(Span(part, offset, taken))
        left = None if left is None else left - taken
    return pieces


async def thumbnail(call: Call) -> Response:
    """A small JPEG: of the instance, or of the one in the middle of the series or study."""
    if first_of(call.accepted, ["image/jpeg"]) is None:
        raise NotAcceptable("thumbnails are image/jpeg")
    _viewport(call.request.query_params.get("viewport"))
    stored = await call.stored() if "instance" in call.parts else await _middle(call)
    data, etag = await run_sync(actions.thumbnail, call.work, stored)
    return whole_or_range(call.request, [data], "image/jpeg", etag, _A_DAY)


async def _middle(call: Call) -> StoredInstance:
    every = await run_sync(
        actions.locate_all, call.work, call.parts["study"], call.parts.get("series"), call.institution
    )
    return every[len(every) // 2]


def _frame_number(text: str) -> int:
    return _whole("frame", text, 1, 2**31)


def _viewport(text: str | None) -> tuple[int, int] | None:
    """`width,height` of the box that the picture has to fit in. A part of the source cannot be asked for."""
    if text is None:
        return None
    fields = text.split(",")
    if len(fields) != 2:
        raise BadRequest("viewport is width,height")
    width, height = (_whole("viewport", field, 1, _MAX_PIXELS) for field in fields)
    return width, height


def _window(text: str | None) -> dict[str, object]:
    """`centre,width[,function]`."""
    if text is None:
        return {"window": None}
    fields = [field.strip() for field in text.split(",")]
    function = _FUNCTIONS.get(fields[2].lower() if len(fields) == 3 else "linear")
    try:
        center, width = float(fields[0]), float(fields[1])
    except (ValueError, IndexError):
        raise BadRequest("window is centre,width,function") from None
    if function is None or len(fields) > 3 or not 0 < width < 1e9 or not -1e9 < center < 1e9:
        raise BadRequest("window is centre,width,function with a width above 0")
    return {"window": (center, width), "window_function": function}


def _whole(name: str, text: str, least: int, most: int) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 12) or not least <= int(text) <= most:
        raise BadRequest(f"{name} {text[:40]!r} is not a whole number from {least} to {most}")
    return int(text)

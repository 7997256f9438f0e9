"""What a stored object looks like rendered, by its kind: the one entry for `/rendered` (PS3.18 8.3.5)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from huitong.base.errors import CannotRender, NotAcceptable
from huitong.imaging.pixels.document import document, document_bytes, is_document, video_media_type
from huitong.imaging.pixels.ecg import ecg_png, ecg_svg
from huitong.imaging.pixels.elements import BulkReader, Header, tag_of, text
from huitong.imaging.pixels.render import ENCODINGS, render_frame
from huitong.imaging.pixels.report import is_report, report_html

#: The stored bytes of frame `number` (from 1), fragments joined.
FramesReader = Callable[[int], bytes]

#: Stands for the whole pixel data, fragments joined, in `Rendered.bulk_path`.
PIXEL_DATA = "7FE00010"


class Rendered(NamedTuple):
    """A rendered object: its bytes, or where they lie to be streamed."""

    #: None when the rendered form is stored as it is and large: stream it from `bulk_path`.
    body: bytes | None
    media_type: str
    #: A BulkDataURI of the header, or `PIXEL_DATA` for a video stream.
    bulk_path: str | None
    #: Length of the streamed document without padding, when the object says it.
    length: int | None = None


def rendered(
    header: Header,
    frames_reader: FramesReader,
    transfer_syntax_uid: str,
    bulk_reader: BulkReader | None,
    *,
    accept: Sequence[str] = ("*/*",),
    frame_number: int = 1,
    viewport: tuple[int, int] | None = None,
    window: tuple[float, float] | None = None,
    window_function: str = "LINEAR",
    quality: int = 90,
) -> Rendered:
    """The object in the first acceptable form: image, ECG sheet, document, report or video.

    `accept`: media types by falling preference, wildcards allowed, parameters ignored; empty means anything.
    Raises NotAcceptable when the object has a rendered form but none of these, CannotRender when it has none.
    """
    video = video_media_type(transfer_syntax_uid)
    if video is not None:
        return Rendered(None, _chosen(accept, [video]), PIXEL_DATA)
    if tag_of("WaveformSequence") in header:
        return _waveform(header, transfer_syntax_uid, bulk_reader, accept, viewport)
    if is_document(header):
        return _document(header, accept)
    if is_report(header):
        media = _chosen(accept, ["text/html"])
        return Rendered(report_html(header).encode(), f"{media}; charset=utf-8", None)
    if tag_of("Rows") not in header:
        raise CannotRender(f"there is no picture in it (modality {text(header, 'Modality', 'unknown')})")
    media = _chosen(accept, list(ENCODINGS))
    try:
        frame = frames_reader(frame_number)
    except IndexError as error:
        raise CannotRender(f"it has no frame {frame_number}") from error
    body = render_frame(
        header,
        frame,
        transfer_syntax_uid,
        frame_number=frame_number,
        window=window,
        window_function=window_function,
        viewport=viewport,
        quality=quality,
        media=media,
        bulk=bulk_reader,
    )
    return Rendered(body, media, None)


def _waveform(
    header: Header,
    transfer_syntax_uid: str,
    bulk: BulkReader | None,
    accept: Sequence[str],
    viewport: tuple[int, int] | None,
) -> Rendered:
    media = _chosen(accept, ["image/svg+xml", "image/png"])
    if media == "image/svg+xml":
        return Rendered(ecg_svg(header, bulk, transfer_syntax_uid).encode(), media, None)
    width_px = min(viewport[0], round(viewport[1] * 297 / 210)) if viewport else 2376
    return Rendered(ecg_png(header, bulk, transfer_syntax_uid, width_px=width_px), media, None)


def _document(header: Header, accept: Sequence[str]) -> Rendered:
    found = document(header)
    media = _chosen(accept, [found.media_type])
    if found.bulk_uri is not None:
        return Rendered(None, media, found.bulk_uri, found.length)
    return Rendered(document_bytes(header, None), media, None)


def _chosen(accept: Sequence[str], offered: list[str]) -> str:
    """The offered media type that is liked best; NotAcceptable when none is."""
    for wanted in accept or ("*/*",):
        pattern = wanted.split(";")[0].strip().lower()
        for media in offered:
            if pattern in ("*/*", media, f"{media.split('/')[0]}/*"):
                return media
    raise NotAcceptable(f"this object is rendered as {', '.join(offered)}")

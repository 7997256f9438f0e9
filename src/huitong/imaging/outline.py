"""What a page that shows one picture after another has to know of a series, read from the header of one instance.

A series whose instances differ is shown as that one says: pictures are fitted on the way out, so that only the size
that is asked for may be larger or smaller than the best.
"""

from __future__ import annotations

from collections.abc import Sequence

from huitong.imaging.model import Outline, StoredInstance
from huitong.imaging.pixels.document import video_media_type
from huitong.imaging.pixels.elements import Header, integer, number, numbers, text, values
from huitong.imaging.pixels.grey import CT_WINDOW, functional_group
from huitong.imaging.pixels.render import proportions

#: Where an object says how many frames a second it has or should be shown with (PS3.3 C.7.6.5).
_RATES = ("CineRate", "RecommendedDisplayFrameRate")
_MOST_WINDOWS = 6


def pictures_of(instances: Sequence[StoredInstance]) -> list[StoredInstance]:
    """Those that are shown frame by frame: what has pixel data and is no video."""
    return [each for each in instances if each.frames and not video_media_type(each.transfer_syntax_uid)]


def outline_of(instances: Sequence[StoredInstance], header: Header) -> Outline:
    """Of the pictures of a series, and the header of one of them."""
    aspect = proportions(header)
    rows, columns = float(integer(header, "Rows")), float(integer(header, "Columns"))
    if abs(aspect - 1) > 0.01:  # as `pixels.render.fitted` has it: the coarser axis is the one stretched
        rows, columns = (rows * aspect, columns) if aspect > 1 else (rows, columns / aspect)
    return Outline(
        images=tuple((each.sop_instance_uid, each.frames.count if each.frames else 1) for each in instances),
        width=round(columns),
        height=round(rows),
        grey=text(header, "PhotometricInterpretation").startswith("MONOCHROME"),
        windows=tuple(windows := _windows(header)),
        start=windows[0][1:] if windows else _start(header),
        frame_ms=_frame_ms(header),
    )


def _windows(header: Header) -> list[tuple[str, float, float]]:
    """(explanation, centre, width) as the object says them (PS3.3 C.11.2.1.2); the first is how it is shown."""
    source = functional_group(header, "FrameVOILUTSequence", 1) or header
    pairs = zip(numbers(source, "WindowCenter"), numbers(source, "WindowWidth"), strict=False)
    names = [str(each or "").strip() for each in values(source, "WindowCenterWidthExplanation")]
    found = [(center, width) for center, width in pairs if width >= 1][:_MOST_WINDOWS]
    return [(names[at] if at < len(names) else "", *pair) for at, pair in enumerate(found)]


def _start(header: Header) -> tuple[float, float]:
    """Where turning the window begins when the object says none: as for CT, else all that can be stored."""
    if text(header, "Modality") == "CT":
        return CT_WINDOW
    bits = min(16, max(1, integer(header, "BitsStored", 8)))
    slope, intercept = number(header, "RescaleSlope", 1.0) or 1.0, number(header, "RescaleIntercept", 0.0)
    lowest = -(1 << bits - 1) if integer(header, "PixelRepresentation") else 0
    width = max(2.0, abs(slope) * ((1 << bits) - 1))
    return lowest * slope + intercept + width / 2, width


def _frame_ms(header: Header) -> float:
    """0 where the object does not say."""
    if (time_ms := number(header, "FrameTime", 0.0)) > 0:
        return time_ms
    for keyword in _RATES:
        if (rate := number(header, keyword, 0.0)) > 0:
            return 1000.0 / rate
    return 0.0

"""Small pictures for the study list: of the image itself, or a tile with the modality where there is no image."""

from __future__ import annotations

import io
import math

from PIL import Image, ImageDraw, ImageFont

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.ecg import ecg_png
from huitong.imaging.pixels.elements import BulkReader, Header, tag_of, text
from huitong.imaging.pixels.render import encoded, fitted, picture, proportions

#: Longest side.
SIZE_PX = 256

_QUALITY = 80

_GROUND, _TILE, _LINE, _INK, _FAINT = (10, 13, 18), (20, 26, 34), (86, 112, 140), (214, 224, 236), (120, 138, 158)


def thumbnail(
    header: Header,
    frame: bytes,
    transfer_syntax_uid: str,
    size: int = SIZE_PX,
    *,
    frame_number: int = 1,
    bulk: BulkReader | None = None,
) -> bytes:
    """A JPEG of at most `size` pixels a side, a few KB, never enlarged. Raises CannotRender."""
    image = picture(header, frame, transfer_syntax_uid, frame_number, bulk=bulk)
    small = fitted(image, proportions(header, frame_number), (size, size), enlarge=False)
    return encoded(small, "image/jpeg", _QUALITY)


def placeholder(header: Header, size: int = SIZE_PX) -> bytes:
    """A JPEG tile for an object without a picture: a simple icon of its kind and the modality in letters."""
    modality = "".join(c for c in text(header, "Modality", "?").upper() if " " < c < "\x7f")[:8] or "?"
    scale = 2  # drawn larger and reduced, for smooth lines
    side = size * scale
    image = Image.new("RGB", (side, side), _GROUND)
    draw = ImageDraw.Draw(image)
    margin = side // 16
    draw.rounded_rectangle((margin, margin, side - margin, side - margin), radius=side // 12, fill=_TILE)
    _ICONS.get(_kind(modality, text(header, "SOPClassUID")), _sheet)(draw, side)
    _label(draw, modality, side)
    return encoded(image.resize((size, size), Image.Resampling.LANCZOS), "image/jpeg", 88)


def _kind(modality: str, sop_class: str) -> str:
    if sop_class.startswith("1.2.840.10008.5.1.4.1.1.9."):
        return "wave"
    if sop_class == "1.2.840.10008.5.1.4.1.1.104.1":
        return "document"
    return _MODALITY_KINDS.get(modality, "sheet")


_MODALITY_KINDS = {
    "ECG": "wave",
    "HD": "wave",
    "EPS": "wave",
    "RESP": "wave",
    "AU": "wave",
    "DOC": "document",
    "SR": "document",
    "RTSTRUCT": "target",
    "RTPLAN": "target",
    "RTDOSE": "target",
    "RTRECORD": "target",
    "SEG": "target",
    "KO": "star",
    "PR": "layers",
    "REG": "layers",
}


def _label(draw: ImageDraw.ImageDraw, modality: str, side: int) -> None:
    font = ImageFont.load_default(size=side // (7 if len(modality) <= 4 else 9))
    draw.text((side / 2, side * 0.8), modality, font=font, fill=_INK, anchor="mm")


def _stroke(side: int) -> int:
    return max(2, side // 64)


def _sheet(draw: ImageDraw.ImageDraw, side: int) -> None:
    """A page with a folded corner."""
    left, top, right, bottom, fold = side * 0.36, side * 0.2, side * 0.64, side * 0.6, side * 0.09
    outline = [(left, top), (right - fold, top), (right, top + fold), (right, bottom), (left, bottom), (left, top)]
    draw.line(outline, fill=_LINE, width=_stroke(side), joint="curve")
    draw.line([(right - fold, top), (right - fold, top + fold), (right, top + fold)], fill=_LINE, width=_stroke(side))


def _document(draw: ImageDraw.ImageDraw, side: int) -> None:
    """A page with lines of text."""
    _sheet(draw, side)
    for row, length in enumerate((0.18, 0.18, 0.12)):
        y = side * (0.37 + 0.07 * row)
        draw.line([(side * 0.41, y), (side * (0.41 + length), y)], fill=_FAINT, width=_stroke(side))


def _wave(draw: ImageDraw.ImageDraw, side: int) -> None:
    """One heart beat."""
    beat = [(0.16, 0), (0.3, 0), (0.35, 0.045), (0.4, 0), (0.44, 0), (0.46, -0.05), (0.5, 0.22), (0.54, -0.1)]
    beat += [(0.57, 0), (0.64, 0), (0.7, 0.075), (0.76, 0), (0.84, 0)]
    draw.line(
        [(x * side, (0.43 - y) * side) for x, y in beat], fill=(120, 200, 150), width=_stroke(side) + 2, joint="curve"
    )


def _target(draw: ImageDraw.ImageDraw, side: int) -> None:
    """Contours around a point."""
    x, y = side / 2, side * 0.41
    for radius in (0.2, 0.12):
        r = radius * side
        draw.ellipse((x - r, y - r, x + r, y + r), outline=_LINE, width=_stroke(side))
    arm = 0.25 * side
    draw.line([(x - arm, y), (x + arm, y)], fill=_FAINT, width=_stroke(side) // 2)
    draw.line([(x, y - arm), (x, y + arm)], fill=_FAINT, width=_stroke(side) // 2)


def _star(draw: ImageDraw.ImageDraw, side: int) -> None:
    """A star for selected images."""
    points = []
    for corner in range(11):
        radius = side * (0.21 if corner % 2 == 0 else 0.09)
        angle = math.pi * (corner / 5 - 0.5)
        points.append((side / 2 + radius * math.cos(angle), side * 0.42 + radius * math.sin(angle)))
    draw.line(points, fill=_LINE, width=_stroke(side), joint="curve")


def _layers(draw: ImageDraw.ImageDraw, side: int) -> None:
    """Two sheets, one over the other."""
    for shift in (0.0, 0.1):
        box = (side * (0.3 + shift), side * (0.2 + shift), side * (0.6 + shift), side * (0.5 + shift))
        draw.rounded_rectangle(box, radius=side // 40, outline=_LINE, fill=_TILE, width=_stroke(side))


_ICONS = {
    "sheet": _sheet,
    "document": _document,
    "wave": _wave,
    "target": _target,
    "star": _star,
    "layers": _layers,
}


def small_picture(
    header: Header,
    frame: bytes | None,
    transfer_syntax_uid: str,
    *,
    frame_number: int = 1,
    bulk: BulkReader | None = None,
) -> bytes:
    """A thumbnail whatever the object is: its image, its ECG sheet, else a tile. Never fails on what a file holds.

    Give `bulk`: palettes and look-up tables of more than a few hundred entries are kept apart from the header.
    """
    try:
        if tag_of("WaveformSequence") in header:
            return _sheet_thumbnail(header, transfer_syntax_uid, bulk)
        if frame is not None:
            return thumbnail(header, frame, transfer_syntax_uid, frame_number=frame_number, bulk=bulk)
    except CannotRender:
        pass
    return placeholder(header)


def _sheet_thumbnail(header: Header, transfer_syntax_uid: str, bulk: BulkReader | None) -> bytes:
    """The ECG sheet, large enough for its curves to be seen."""
    whole = Image.open(io.BytesIO(ecg_png(header, bulk, transfer_syntax_uid, width_px=512)))
    return encoded(whole.resize((SIZE_PX, round(SIZE_PX * whole.height / whole.width))), "image/jpeg", _QUALITY)

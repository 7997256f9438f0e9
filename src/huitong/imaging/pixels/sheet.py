"""A sheet of paper in millimetres: lines, a grid and words, written as SVG or drawn as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

PAPER, MINOR, MAJOR, INK, FAINT = (255, 253, 251), (248, 218, 216), (236, 168, 164), (24, 24, 28), (104, 104, 112)

_FAMILY = "'Noto Sans CJK SC', 'Noto Sans SC', 'Source Han Sans SC', 'Microsoft YaHei', 'PingFang SC', sans-serif"
_NOT_XML = frozenset(map(chr, range(0xD800, 0xE000))) | {"\ufffe", "\uffff"}
_ANCHORS = {"start": "l", "middle": "m", "end": "r"}

#: Faces that have hanzi, the first found is used; without one PNG text falls back to Latin letters.
_FACES = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/msyh.ttc",
)
#: Index of the simplified Chinese face in Noto's collections.
_SIMPLIFIED = 2


@dataclass(frozen=True)
class Words:
    """A line of text with its baseline at (x, y)."""

    x: float
    y: float
    text: str
    size: float = 3.2
    anchor: str = "start"
    colour: Colour = INK
    bold: bool = False
    #: Said instead where no hanzi can be drawn.
    latin: str = ""


@dataclass(frozen=True)
class Curve:
    """A polyline; NaN lifts the pen."""

    points: NDArray[np.float64]
    width: float = 0.25
    colour: Colour = INK


@dataclass
class Sheet:
    """What stands on the paper; x to the right, y down, millimetres."""

    width: float
    height: float
    title: str
    #: (left, top, width, height) of the millimetre paper.
    grid: tuple[float, float, float, float]
    curves: list[Curve] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def strokes(points: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """The polyline cut at NaN, pieces of two points or more."""
    gaps = np.flatnonzero(np.isnan(points).any(axis=1))
    pieces = np.split(points, gaps)
    pieces = [piece[~np.isnan(piece).any(axis=1)] for piece in pieces]
    return [piece for piece in pieces if len(piece) > 1]


# SVG ------------------------------------------------------------------------------------------------------------------


def svg(sheet: Sheet) -> str:
    """The sheet as a stand-alone SVG document in true size; coordinates are hundredths of a millimetre."""
    width, height = round(sheet.width * 100), round(sheet.height * 100)
    left, top, across, down = (round(value * 100) for value in sheet.grid)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{sheet.width:g}mm" height="{sheet.height:g}mm" '
        f'viewBox="0 0 {width} {height}" role="img" font-family="{escape(_FAMILY, {chr(34): "&quot;"})}">',
        f"<title>{_clean(sheet.title)}</title>",
        "<defs>",
        f'<pattern id="mm" width="100" height="100" patternUnits="userSpaceOnUse" x="{left}" y="{top}">'
        f'<path d="M100 0H0V100" fill="none" stroke="{_css(MINOR)}" stroke-width="10"/></pattern>',
        f'<pattern id="cm" width="500" height="500" patternUnits="userSpaceOnUse" x="{left}" y="{top}">'
        f'<path d="M500 0H0V500" fill="none" stroke="{_css(MAJOR)}" stroke-width="20"/></pattern>',
        "</defs>",
        f'<rect width="{width}" height="{height}" fill="{_css(PAPER)}"/>',
    ]
    box = f'x="{left}" y="{top}" width="{across}" height="{down}"'
    parts += [f'<rect {box} fill="url(#{pattern})"/>' for pattern in ("mm", "cm")]
    parts.append(f'<rect {box} fill="none" stroke="{_css(MAJOR)}" stroke-width="20"/>')
    parts += [_svg_curve(curve) for curve in sheet.curves]
    parts += [_svg_words(words) for words in sheet.words]
    return "\n".join([*parts, "</svg>\n"])


def _css(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _svg_curve(curve: Curve) -> str:
    data = []
    for piece in strokes(curve.points):
        at = np.rint(piece * 100).astype(np.int64)
        steps = np.diff(at, axis=0).tolist()
        data.append(f"M{at[0, 0]} {at[0, 1]}l" + " ".join(f"{dx} {dy}" for dx, dy in steps))
    return (
        f'<path d="{"".join(data)}" fill="none" stroke="{_css(curve.colour)}" '
        f'stroke-width="{round(curve.width * 100)}" stroke-linejoin="round" stroke-linecap="round"/>'
    )


def _clean(text: str) -> str:
    """Text that XML may hold (XML 1.0 2.2): control characters and surrogates of broken objects are left out."""
    return escape("".join(c for c in text if c >= " " and not "\x7f" <= c <= "\x9f" and c not in _NOT_XML))


def _svg_words(words: Words) -> str:
    weight = ' font-weight="600"' if words.bold else ""
    return (
        f'<text x="{round(words.x * 100)}" y="{round(words.y * 100)}" font-size="{round(words.size * 100)}" '
        f'text-anchor="{words.anchor}" fill="{_css(words.colour)}"{weight}>{_clean(words.text)}</text>'
    )


# PNG ------------------------------------------------------------------------------------------------------------------


def png(sheet: Sheet, width_px: int = 2376) -> bytes:
    """The sheet drawn `width_px` wide (8 px a millimetre for A4), smoothed by drawing it twice as large."""
    scale = 2 * width_px / sheet.width
    size = 2 * width_px, round(sheet.height * scale)
    image = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(image)
    _draw_grid(draw, sheet.grid, scale)
    for curve in sheet.curves:
        for piece in strokes(curve.points):
            points = [(float(x), float(y)) for x, y in (piece * scale).tolist()]
            draw.line(points, fill=curve.colour, width=max(1, round(curve.width * scale)), joint="curve")
    small = image.resize((width_px, round(sheet.height * scale / 2)), Image.Resampling.BOX)
    draw = ImageDraw.Draw(small)
    for words in sheet.words:
        _draw_words(draw, words, scale / 2)
    out = io.BytesIO()
    small.save(out, "PNG", compress_level=6)
    return out.getvalue()


def _draw_grid(draw: ImageDraw.ImageDraw, grid: Sequence[float], scale: float) -> None:
    left, top, across, down = grid
    right, bottom = left + across, top + down
    for every, colour, width in ((1, MINOR, 0.1), (5, MAJOR, 0.2)):
        pen = max(1, round(width * scale))
        for n in range(0, round(across) + 1, every):
            x = (left + n) * scale
            draw.line([(x, top * scale), (x, bottom * scale)], fill=colour, width=pen)
        for n in range(0, round(down) + 1, every):
            y = (top + n) * scale
            draw.line([(left * scale, y), (right * scale, y)], fill=colour, width=pen)


@cache
def _face() -> str | None:
    return next((face for face in _FACES if Path(face).exists()), None)


def _font(size_px: float) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, bool]:
    """A font of the size and whether it has hanzi."""
    face = _face()
    if face is not None:
        return ImageFont.truetype(face, size_px, index=_SIMPLIFIED if "NotoSansCJK" in face else 0), True
    return ImageFont.load_default(size=size_px), False


def _draw_words(draw: ImageDraw.ImageDraw, words: Words, scale: float) -> None:
    font, hanzi = _font(words.size * scale)
    said = words.text if hanzi else (words.latin or words.text).encode("ascii", "replace").decode()
    anchor = _ANCHORS[words.anchor] + "s"
    stroke = 0.02 * words.size * scale if words.bold else 0
    draw.text(
        (words.x * scale, words.y * scale), said, font=font, fill=words.colour, anchor=anchor, stroke_width=stroke
    )

"""What a compressed frame says of itself before it is decoded: size, precision, sign, colour.

Decoders allocate by what the codestream claims, not by what the header says, so the claim is read first and a
frame of another size is refused before any decoder sees it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from huitong.base.errors import CannotRender


@dataclass(frozen=True, slots=True)
class Codestream:
    """The claim of a compressed frame."""

    rows: int
    columns: int
    components: int
    precision: int = 8
    #: JPEG 2000: samples are signed (SIZ, ISO/IEC 15444-1 A.5.1).
    signed: bool = False
    #: JPEG 2000: the multiple component transform is used (COD), so the decoder itself returns RGB.
    transformed: bool = False
    #: JPEG: colour transform of the Adobe APP14 segment (ITU-T T.872 6.5.3); None without one.
    adobe_transform: int | None = None
    #: JPEG: a JFIF APP0 segment, which means YCbCr.
    jfif: bool = False
    #: JPEG: the component identifiers, "RGB" in letters for some encoders.
    component_ids: bytes = b""


_SOF = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF, 0xF7}
_STANDALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}


def jpeg(frame: bytes) -> Codestream:
    """The claim of a JPEG or JPEG-LS frame (ITU-T T.81 B.2.2, T.87 C.2.2): segments up to the frame header."""
    at = frame.find(b"\xff\xd8")
    if at < 0:
        raise CannotRender("the frame is not JPEG")
    at += 2
    adobe: int | None = None
    jfif = False
    while at + 4 <= len(frame):
        if frame[at] != 0xFF:
            raise CannotRender("the JPEG frame is broken")
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _STANDALONE:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", frame, at + 2)
        body = frame[at + 4 : at + 2 + length]
        if marker in _SOF:
            return _sof(body, adobe, jfif)
        if marker == 0xEE and body[:5] == b"Adobe" and len(body) >= 12:
            adobe = body[11]
        elif marker == 0xE0 and body[:4] == b"JFIF":
            jfif = True
        at += 2 + length
    raise CannotRender("the JPEG frame ends before its header")


def _sof(body: bytes, adobe: int | None, jfif: bool) -> Codestream:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise CannotRender("the JPEG frame header is too short")
    precision, rows, columns, components = struct.unpack_from(">BHHB", body)
    ids = bytes(body[6 + 3 * n] for n in range(components))
    return Codestream(rows, columns, components, precision, adobe_transform=adobe, jfif=jfif, component_ids=ids)


def jpeg2000(frame: bytes) -> Codestream:
    """The claim of a JPEG 2000 or HTJ2K frame (ISO/IEC 15444-1 A.5.1, A.6.1), bare or in a JP2 box.

    Tiles and code blocks are held against the standard's limits: decoders loop for hours on some that break them.
    """
    at = frame.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(frame) < at + 45:
        raise CannotRender("the frame is not JPEG 2000")
    right, bottom, left, top, across, down, tile_left, tile_top = struct.unpack_from(">8I", frame, at + 8)
    components, precision = struct.unpack_from(">HB", frame, at + 40)
    (length,) = struct.unpack_from(">H", frame, at + 4)
    sound = (
        tile_left <= left < min(right, tile_left + across)
        and tile_top <= top < min(bottom, tile_top + down)
        and length == 38 + 3 * components
        and len(frame) >= at + 4 + length
    )
    if not sound:
        raise CannotRender("the JPEG 2000 frame is broken")
    tiles = -(-(right - tile_left) // across) * -(-(bottom - tile_top) // down)
    sampling = {frame[at + 43 + 3 * n + k] for n in range(components) for k in (0, 1)}
    if tiles > _MAX_TILES or sampling != {1}:
        raise CannotRender("the JPEG 2000 frame has too many tiles or subsampled components")
    coding = _coding_style(frame, at + 4 + length)
    return Codestream(
        bottom - top,
        right - left,
        components,
        (precision & 0x7F) + 1,
        signed=bool(precision & 0x80),
        transformed=coding[4] != 0,
    )


_MAX_TILES = 16_384


def _coding_style(frame: bytes, at: int) -> bytes:
    """The COD segment's parameters (ISO/IEC 15444-1 A.6.1), checked: Scod, progression, layers, transform, …"""
    while at + 4 <= len(frame) and frame[at] == 0xFF and frame[at + 1] != 0x90:
        (length,) = struct.unpack_from(">H", frame, at + 2)
        if frame[at + 1] == 0x52:
            body = frame[at + 4 : at + 2 + length]
            if len(body) < 10 or body[5] > 32 or max(body[6], body[7]) > 8 or body[6] + body[7] > 8:
                break
            return body
        at += 2 + length
    raise CannotRender("the JPEG 2000 frame has no sound coding style")


_XL_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}


def jpegxl(frame: bytes) -> Codestream:
    """The claim of a JPEG XL frame, its SizeHeader (ISO/IEC 18181-1 annex D), bare or boxed; components 0, unknown."""
    at = 0
    if frame[4:8] == b"JXL ":
        box = max(frame.find(b"jxlc"), frame.find(b"jxlp") + 4 if b"jxlp" in frame else -1)
        at = box + 4 if box >= 0 else 0
    if frame[at : at + 2] != b"\xff\x0a":
        raise CannotRender("the frame is not JPEG XL")
    bits = int.from_bytes(frame[at + 2 : at + 18], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def extent() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    rows = extent()
    ratio = take(3)
    if ratio in _XL_RATIOS:
        numerator, denominator = _XL_RATIOS[ratio]
        return Codestream(rows, rows * numerator // denominator, 0)
    return Codestream(rows, extent(), 0)

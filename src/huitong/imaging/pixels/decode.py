"""Stored frames to arrays of stored values, for every transfer syntax that has a picture per frame.

One table, `DECODERS`, says who decodes what. The codestream's own claim is held against the header before a decoder
runs (see `codestream`), and whatever a decoder says against a frame becomes CannotRender: hostile bytes cost a "no".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from huitong.base.errors import CannotRender
from huitong.imaging.pixels import codestream
from huitong.imaging.pixels.codestream import Codestream
from huitong.imaging.pixels.colour import to_rgb, widen_422
from huitong.imaging.pixels.elements import EXPLICIT_BIG_ENDIAN, Header
from huitong.imaging.pixels.module import ImagePixel, image_pixel

Samples = NDArray[Any]

_UID = "1.2.840.10008.1.2"


def decode_frame(header: Header, frame: bytes, transfer_syntax_uid: str, frame_number: int = 1) -> Samples:
    """Stored values of one frame: (rows, columns), or (rows, columns, 3) in RGB whatever colour space was stored.

    `frame` is one frame as stored; for native bit-packed images (BitsAllocated 1) it may be the whole Pixel Data
    value, out of which `frame_number` (from 1) is cut. PALETTE COLOR stays an index. Deflated data sets come inflated.
    Raises CannotRender, and nothing else, for frames that cannot be decoded.
    """
    pixel = image_pixel(header)
    decoder = DECODERS.get(transfer_syntax_uid)
    if decoder is None:
        raise CannotRender(f"no decoder for transfer syntax {transfer_syntax_uid}")
    try:
        return decoder(Frame(pixel, bytes(frame), frame_number, transfer_syntax_uid == EXPLICIT_BIG_ENDIAN))
    except CannotRender:
        raise
    except MemoryError as error:
        raise CannotRender("not enough memory to decode the frame") from error
    except Exception as error:  # decoders raise classes of their own, RuntimeError and ValueError
        raise CannotRender(f"the frame cannot be decoded: {error}") from error


@dataclass(frozen=True, slots=True)
class Frame:
    """What a decoder is given."""

    pixel: ImagePixel
    data: bytes
    number: int
    big_endian: bool


# native ---------------------------------------------------------------------------------------------------------------


def _native(frame: Frame) -> Samples:
    pixel = frame.pixel
    if pixel.bits_allocated == 1:
        return _bits(frame)
    data = frame.data
    kind = pixel.dtype
    if frame.big_endian:
        data, kind = _from_big_endian(data, pixel), kind.newbyteorder(">")
    if pixel.subsampled and len(data) < pixel.frame_samples * kind.itemsize:
        count = pixel.native_frame_bytes // kind.itemsize
        wide = widen_422(_buffer(data, kind, count), pixel.rows, pixel.columns)
        return to_rgb(wide, pixel.photometric)
    samples = _buffer(data, kind, pixel.frame_samples)
    if frame.big_endian:
        samples = samples.astype(pixel.dtype, copy=False)
    return _coloured(_stored_bits(samples, pixel), pixel, pixel.planar)


def _from_big_endian(data: bytes, pixel: ImagePixel) -> bytes:
    """8-bit samples sent as OW are swapped in pairs (PS3.5 8.1.1); wider ones are left to numpy."""
    if pixel.bits_allocated != 8 or pixel.vr != "OW":
        return data
    even = data + b"\0" * (len(data) % 2)
    return np.frombuffer(even, dtype=">u2").astype("<u2").tobytes()


def _buffer(data: bytes, kind: np.dtype[np.generic], count: int) -> Samples:
    if len(data) < count * kind.itemsize:
        raise CannotRender(f"the frame has {len(data)} of {count * kind.itemsize} bytes")
    return np.frombuffer(data, dtype=kind, count=count)


def _bits(frame: Frame) -> Samples:
    """Bit-packed samples, first pixel in the least significant bit (PS3.5 8.1.1), frames without gaps between."""
    pixel, data, count = frame.pixel, frame.data, frame.pixel.frame_samples
    if frame.big_endian and pixel.vr == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], dtype=">u2").astype("<u2").tobytes()
    whole = pixel.frames > 1 and (count % 8 != 0 or len(data) * 8 >= 2 * count)
    first = (frame.number - 1) * count if whole else 0
    packed = np.frombuffer(data, dtype=np.uint8)[first // 8 : (first + count + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + count]
    if bits.size < count:
        raise CannotRender(f"the frame has {bits.size} of {count} pixels")
    return bits.reshape(pixel.shape)


def _stored_bits(samples: Samples, pixel: ImagePixel) -> Samples:
    """Samples of BitsStored bits: what stands above is fill, or overlays of old (PS3.5 8.1.1, PS3.3 C.9.2)."""
    if pixel.bits_stored == pixel.bits_allocated or pixel.floating:
        return samples
    return _extended(samples, pixel.bits_stored, pixel)


def _coloured(samples: Samples, pixel: ImagePixel, planar: int) -> Samples:
    """Flat samples as the frame's array, planes interleaved, in RGB."""
    if not pixel.is_colour:
        return samples.reshape(pixel.shape)
    if planar == 1:
        samples = np.moveaxis(samples.reshape(3, pixel.rows, pixel.columns), 0, 2)
    return to_rgb(samples.reshape(pixel.shape), pixel.photometric)


# run length, deflate --------------------------------------------------------------------------------------------------


def _rle(frame: Frame) -> Samples:
    """RLE Lossless (PS3.5 annex G): one segment a byte plane, most significant first, samples by plane."""
    pixel, data = frame.pixel, frame.data
    if len(data) < 64:
        raise CannotRender("the RLE header is cut off")
    count, *offsets = struct.unpack_from("<16I", data)
    width = max(1, pixel.bits_allocated // 8)
    if count != pixel.samples * width:
        raise CannotRender(f"{count} RLE segments where {pixel.samples * width} are needed")
    plane_size = pixel.rows * pixel.columns
    ends = [*offsets[1:count], len(data)]
    planes = np.empty((pixel.samples, plane_size, width), dtype=np.uint8)
    for segment in range(count):
        decoded = imagecodecs.packbits_decode(data[offsets[segment] : ends[segment]])
        if len(decoded) < plane_size:
            raise CannotRender(f"an RLE segment has {len(decoded)} of {plane_size} bytes")
        plane = np.frombuffer(decoded, dtype=np.uint8, count=plane_size)
        planes[segment // width, :, width - 1 - segment % width] = plane
    samples = planes.reshape(-1).view(pixel.dtype)
    return _coloured(samples, pixel, 1)


def _deflated_frame(frame: Frame) -> Samples:
    """Deflated Image Frame Compression (PS3.5 A.4.13): the native frame as a raw deflate stream."""
    limit = frame.pixel.native_frame_bytes + 1
    raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame.data, limit)
    return _native(Frame(frame.pixel, raw, 1, big_endian=False))


# codestreams ----------------------------------------------------------------------------------------------------------


def _checked(frame: Frame, claim: Codestream) -> Codestream:
    pixel = frame.pixel
    claimed = (claim.rows, claim.columns, claim.components or pixel.samples)
    if claimed != (pixel.rows, pixel.columns, pixel.samples):
        raise CannotRender(
            f"the frame is {claimed[0]} x {claimed[1]} x {claimed[2]}, "
            f"the header says {pixel.rows} x {pixel.columns} x {pixel.samples}"
        )
    return claim


def _settled(decoded: Samples, pixel: ImagePixel, precision: int) -> Samples:
    """The decoder's array in the header's type: sign restored from `precision` bits where the decoder had none."""
    if decoded.shape != pixel.shape:
        raise CannotRender(f"the decoder gave {decoded.shape} where {pixel.shape} was expected")
    if decoded.dtype.kind == "i":
        return decoded  # a signed codestream means its sign even where PixelRepresentation denies it
    if pixel.signed:
        return _extended(decoded.astype(f"u{max(decoded.dtype.itemsize, pixel.dtype.itemsize)}"), precision, pixel)
    return decoded.astype(pixel.dtype) if decoded.dtype.itemsize < pixel.dtype.itemsize else decoded


def _extended(samples: Samples, bits: int, pixel: ImagePixel) -> Samples:
    """The lowest `bits` of every sample, sign-extended if the image is signed."""
    width = samples.dtype.itemsize * 8
    shift = width - bits
    kind = np.dtype(f"{'i' if pixel.signed else 'u'}{samples.dtype.itemsize}")
    return np.right_shift(np.left_shift(samples, shift).view(kind), shift) if shift > 0 else samples.view(kind)


def _jpeg(frame: Frame) -> Samples:
    """JPEG with the discrete cosine transform, 8 or 12 bits, sequential or progressive (ITU-T T.81)."""
    pixel = frame.pixel
    claim = _checked(frame, codestream.jpeg(frame.data))
    if pixel.is_colour:
        source = "YCBCR" if _jpeg_is_ybr(claim, pixel) else "RGB"
        return _settled(imagecodecs.jpeg8_decode(frame.data, colorspace=source, outcolorspace="RGB"), pixel, 8)
    return _settled(imagecodecs.jpeg8_decode(frame.data), pixel, pixel.bits_stored)


def _jpeg_is_ybr(claim: Codestream, pixel: ImagePixel) -> bool:
    """Whether the samples are YCbCr: what the codestream says itself, else what the header says.

    PhotometricInterpretation is often wrong for JPEG (RGB kept from before compression), so it comes last.
    """
    if claim.adobe_transform is not None:
        return claim.adobe_transform == 1
    if claim.component_ids == b"RGB":
        return False
    return claim.jfif or pixel.photometric.startswith("YBR")


def _jpeg_lossless(frame: Frame) -> Samples:
    """JPEG lossless, any predictor (ITU-T T.81 annex H); colour as the header says."""
    _checked(frame, codestream.jpeg(frame.data))
    if frame.pixel.is_colour:
        raw = imagecodecs.jpeg8_decode(frame.data, colorspace="RGB", outcolorspace="RGB")
        return to_rgb(_settled(raw, frame.pixel, frame.pixel.bits_stored), frame.pixel.photometric)
    return _settled(imagecodecs.jpeg8_decode(frame.data), frame.pixel, frame.pixel.bits_stored)


def _jpeg_ls(frame: Frame) -> Samples:
    """JPEG-LS, lossless and near-lossless (ISO/IEC 14495-1)."""
    _checked(frame, codestream.jpeg(frame.data))
    if b"\xff\xd9" not in frame.data[-16:]:
        raise CannotRender("the JPEG-LS frame is cut off")  # CharLS counts for seconds in what is not there
    decoded = _settled(imagecodecs.jpegls_decode(frame.data), frame.pixel, frame.pixel.bits_stored)
    return to_rgb(decoded, frame.pixel.photometric) if frame.pixel.is_colour else decoded


def _wavelet(decode: Callable[[bytes], Samples]) -> Callable[[Frame], Samples]:
    """A decoder of JPEG 2000 codestreams, part 1, 2 or 15 (PS3.5 A.4.4, A.4.5)."""

    def decoder(frame: Frame) -> Samples:
        claim = _checked(frame, codestream.jpeg2000(frame.data))
        decoded = _settled(decode(frame.data), frame.pixel, claim.precision)
        if frame.pixel.is_colour and not claim.transformed:
            return to_rgb(decoded, frame.pixel.photometric)
        return decoded

    return decoder


def _jpeg_xl(frame: Frame) -> Samples:
    """JPEG XL, also recompressed JPEG (ISO/IEC 18181); the codestream carries its colour space."""
    _checked(frame, codestream.jpegxl(frame.data))
    return _settled(imagecodecs.jpegxl_decode(frame.data, index=0), frame.pixel, frame.pixel.bits_stored)


def _openjph(data: bytes) -> Samples:
    """HTJ2K by OpenJPH, its errors noticed.

    imagecodecs drops errors raised while lines are copied out and returns what it has, the rest uninitialised memory.
    So the array is filled beforehand, and when the last line is still the filling, filled otherwise and tried again.
    """
    claim = codestream.jpeg2000(data)
    shape = (claim.rows, claim.columns) if claim.components == 1 else (claim.rows, claim.columns, claim.components)
    size = 1 if claim.precision <= 8 else 2 if claim.precision <= 16 else 4
    out = np.empty(shape, dtype=f"{'i' if claim.signed else 'u'}{size}")
    for filling in (0x55, 0x2A):
        out.view(np.uint8).fill(filling)
        imagecodecs.htj2k_decode(data, out=out)
        if not (out[-1].reshape(-1).view(np.uint8) == filling).all():
            return out
    raise CannotRender("the HTJ2K frame is broken")


_jpeg2000 = _wavelet(imagecodecs.jpeg2k_decode)
#: OpenJPH and not OpenJPEG: the latter gets negative values of HTJ2K wrong.
_htj2k = _wavelet(_openjph)

#: Transfer syntax (PS3.6 annex A) to decoder. What is not here (video, JPIP, SMPTE 2110) has no picture per frame.
DECODERS: dict[str, Callable[[Frame], Samples]] = {
    _UID: _native,  # Implicit VR Little Endian
    f"{_UID}.1": _native,  # Explicit VR Little Endian
    f"{_UID}.1.98": _native,  # Encapsulated Uncompressed Explicit VR Little Endian
    f"{_UID}.1.99": _native,  # Deflated Explicit VR Little Endian, inflated
    EXPLICIT_BIG_ENDIAN: _native,
    f"{_UID}.4.50": _jpeg,  # Baseline
    f"{_UID}.4.51": _jpeg,  # Extended, 8 and 12 bits
    f"{_UID}.4.53": _jpeg,  # Spectral selection, retired
    f"{_UID}.4.55": _jpeg,  # Full progression, retired
    f"{_UID}.4.57": _jpeg_lossless,
    f"{_UID}.4.70": _jpeg_lossless,  # selection value 1
    f"{_UID}.4.80": _jpeg_ls,
    f"{_UID}.4.81": _jpeg_ls,  # near-lossless
    f"{_UID}.4.90": _jpeg2000,
    f"{_UID}.4.91": _jpeg2000,
    f"{_UID}.4.92": _jpeg2000,  # part 2, lossless
    f"{_UID}.4.93": _jpeg2000,  # part 2
    f"{_UID}.4.110": _jpeg_xl,
    f"{_UID}.4.111": _jpeg_xl,
    f"{_UID}.4.112": _jpeg_xl,
    f"{_UID}.4.201": _htj2k,
    f"{_UID}.4.202": _htj2k,  # RPCL
    f"{_UID}.4.203": _htj2k,  # lossy
    f"{_UID}.5": _rle,
    f"{_UID}.8.1": _deflated_frame,
}

#: Transfer syntaxes whose frames are stored as they are, without a decoder.
NATIVE = frozenset(uid for uid, decoder in DECODERS.items() if decoder is _native and not uid.endswith(".98"))

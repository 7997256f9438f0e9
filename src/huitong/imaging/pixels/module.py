"""The Image Pixel module (PS3.3 C.7.6.3) of a header, checked: what a frame looks like once decoded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import Header, integer, tag_of, text

#: Decoded size of one frame beyond which nothing is tried: a whole-slide tile is < 1 MB, a mammogram ~ 30 MB.
MAX_FRAME_BYTES = 512 * 1024 * 1024

_COLOUR = {"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "HSV", "XYB"}
_ALLOCATED = {1, 8, 16, 32, 64}


@dataclass(frozen=True)
class ImagePixel:
    """How the samples of a frame are laid out."""

    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    #: PhotometricInterpretation, upper case.
    photometric: str
    #: PlanarConfiguration: 0 colour by pixel, 1 colour by plane.
    planar: int
    frames: int
    #: Float or Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25).
    floating: bool
    #: VR of PixelData in the file; decides 8-bit byte order in big endian.
    vr: str

    @cached_property
    def dtype(self) -> np.dtype[np.generic]:
        """The numpy type of a decoded sample, native byte order."""
        if self.floating:
            return np.dtype(np.float32 if self.bits_allocated == 32 else np.float64)
        size = max(1, self.bits_allocated // 8)
        return np.dtype(f"{'i' if self.signed else 'u'}{size}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns) or (rows, columns, 3)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def frame_samples(self) -> int:
        """Samples in a frame."""
        return self.rows * self.columns * self.samples

    @property
    def is_colour(self) -> bool:
        """Three samples a pixel."""
        return self.samples == 3

    @property
    def subsampled(self) -> bool:
        """Native chroma of two pixels is stored once (PS3.3 C.7.6.3.1.2); frames are two thirds as long."""
        return self.samples == 3 and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422")

    @property
    def native_frame_bytes(self) -> int:
        """Bytes of one uncompressed frame as PS3.5 8.1.1 stores it (whole bytes; bit-packed frames rounded up)."""
        if self.bits_allocated == 1:
            return (self.frame_samples + 7) // 8
        size = self.frame_samples * (self.bits_allocated // 8)
        return size // 3 * 2 if self.subsampled else size


def image_pixel(header: Header) -> ImagePixel:
    """The checked description; CannotRender when there is no image or it is beyond what is decoded here."""
    rows, columns = integer(header, "Rows"), integer(header, "Columns")
    if rows <= 0 or columns <= 0:
        raise CannotRender("the object has no Rows and Columns")
    samples = integer(header, "SamplesPerPixel", 1)
    photometric = text(header, "PhotometricInterpretation").upper()
    if samples not in (1, 3):
        raise CannotRender(f"SamplesPerPixel {samples}")
    if samples == 3 and photometric not in _COLOUR:
        photometric = "RGB"
    bits = integer(header, "BitsAllocated", 8)
    if bits not in _ALLOCATED:
        raise CannotRender(f"BitsAllocated {bits}")
    floating = samples == 1 and (
        tag_of("FloatPixelData") in header
        or tag_of("DoubleFloatPixelData") in header
        or (bits >= 32 and tag_of("PixelRepresentation") not in header)
    )
    stored = integer(header, "BitsStored", bits)
    element = header.get(tag_of("PixelData"))
    pixel = ImagePixel(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits,
        bits_stored=stored if 0 < stored <= bits else bits,
        signed=bits > 1 and integer(header, "PixelRepresentation") == 1,
        photometric=photometric,
        planar=integer(header, "PlanarConfiguration"),
        frames=max(1, integer(header, "NumberOfFrames", 1)),
        floating=floating,
        vr=str(element.get("vr", "")) if isinstance(element, dict) else "",
    )
    if pixel.frame_samples * pixel.dtype.itemsize > MAX_FRAME_BYTES:
        raise CannotRender(f"a frame of {rows} x {columns} x {samples} is larger than is decoded here")
    return pixel

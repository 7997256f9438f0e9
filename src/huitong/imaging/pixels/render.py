"""A frame as a picture people look at: grey-scale pipeline, palette, colour, true proportions, fitted and encoded.

PS3.18 8.3.5 (rendered resources), PS3.4 N.2 (grey-scale transformations).
"""

from __future__ import annotations

import io

import numpy as np
from imagecodecs import jpeg8_encode
from PIL import Image

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.decode import decode_frame
from huitong.imaging.pixels.elements import BulkReader, Header, numbers
from huitong.imaging.pixels.grey import Pipeline, functional_group, padding_of, pipeline_of, shades
from huitong.imaging.pixels.module import ImagePixel, image_pixel
from huitong.imaging.pixels.palette import palette_rgb

#: Pillow's format and options for each media type a picture can be given in.
ENCODINGS: dict[str, tuple[str, dict[str, object]]] = {
    "image/jpeg": ("JPEG", {}),
    "image/png": ("PNG", {"compress_level": 3}),
    "image/gif": ("GIF", {}),
}

#: Largest picture made, in pixels on its longer side.
MAX_SIDE_PX = 8192

#: Pixel proportions beyond this are a fault of the object, not a picture.
_MAX_ASPECT = 20.0


def render_frame(
    header: Header,
    frame: bytes,
    transfer_syntax_uid: str,
    *,
    frame_number: int = 1,
    window: tuple[float, float] | None = None,
    window_function: str = "LINEAR",
    viewport: tuple[int, int] | None = None,
    quality: int = 90,
    media: str = "image/jpeg",
    bulk: BulkReader | None = None,
) -> bytes:
    """The frame as a JPEG, PNG or GIF file.

    `window` is (centre, width) in modality units and, like `window_function` (LINEAR, LINEAR_EXACT, SIGMOID), takes
    the place of what the object says. `viewport` is (width, height) in pixels to fit into, proportions kept.
    `bulk` fetches look-up tables the header keeps apart. Raises CannotRender.
    """
    image = picture(header, frame, transfer_syntax_uid, frame_number, window, window_function, bulk)
    return encoded(fitted(image, proportions(header, frame_number), viewport), media, quality)


def picture(
    header: Header,
    frame: bytes,
    transfer_syntax_uid: str,
    frame_number: int = 1,
    window: tuple[float, float] | None = None,
    window_function: str = "LINEAR",
    bulk: BulkReader | None = None,
) -> Image.Image:
    """The frame as a Pillow image, mode L or RGB, one pixel a sample."""
    pixel = image_pixel(header)
    samples = decode_frame(header, frame, transfer_syntax_uid, frame_number)
    if pixel.is_colour:
        return _colour_picture(samples, pixel, window)
    if pixel.photometric == "PALETTE COLOR":
        return Image.fromarray(palette_rgb(header, samples, bulk, transfer_syntax_uid))
    if pixel.bits_allocated == 1:
        return Image.fromarray(samples.astype(np.uint8) * np.uint8(255))
    pipeline = pipeline_of(header, pixel, frame_number, bulk, transfer_syntax_uid)
    if window is not None:
        pipeline = _windowed(pipeline, window, window_function)
    return Image.fromarray(shades(samples, pixel, pipeline, padding_of(header, pixel)))


def _windowed(pipeline: Pipeline, window: tuple[float, float], function: str) -> Pipeline:
    return Pipeline(
        slope=pipeline.slope,
        intercept=pipeline.intercept,
        modality=pipeline.modality,
        function=function.upper(),
        window=window,
        inverted=pipeline.inverted,
    )


def _colour_picture(
    samples: np.ndarray[tuple[int, ...], np.dtype[np.generic]], pixel: ImagePixel, window: tuple[float, float] | None
) -> Image.Image:
    """RGB in 8 bits; samples of other depths are scaled by BitsStored. A window applies to each channel alike."""
    if window is not None:
        stored = samples.astype(np.float64)
        return Image.fromarray(Pipeline(function="LINEAR", window=window).shade(stored))
    if samples.dtype == np.uint8 and pixel.bits_stored == 8:
        return Image.fromarray(np.ascontiguousarray(samples))
    top = float((1 << pixel.bits_stored) - 1)
    scaled = np.clip(samples.astype(np.float64) * (255.0 / top), 0, 255)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def proportions(header: Header, frame_number: int = 1) -> float:
    """Height of a pixel over its width: PixelAspectRatio, else the first pixel spacing stated (PS3.3 C.7.6.3.1.7)."""
    measures = functional_group(header, "PixelMeasuresSequence", frame_number)
    for source, keyword in (
        (header, "PixelAspectRatio"),
        (measures, "PixelSpacing"),
        (header, "ImagerPixelSpacing"),
        (header, "NominalScannedPixelSpacing"),
    ):
        found = numbers(source, keyword)
        if len(found) >= 2 and found[0] > 0 and found[1] > 0:
            ratio = found[0] / found[1]
            return ratio if 1 / _MAX_ASPECT <= ratio <= _MAX_ASPECT else 1.0
    return 1.0


def fitted(image: Image.Image, aspect: float, viewport: tuple[int, int] | None, enlarge: bool = True) -> Image.Image:
    """The image in its true proportions, in the viewport if there is one; the coarser axis is the one stretched."""
    width, height = float(image.width), float(image.height)
    if abs(aspect - 1) > 0.01:
        width, height = (width, height * aspect) if aspect > 1 else (width / aspect, height)
    limit = viewport or (MAX_SIDE_PX, MAX_SIDE_PX)
    if limit[0] <= 0 or limit[1] <= 0:
        raise CannotRender("a viewport has no area")
    scale = min(min(limit[0], MAX_SIDE_PX) / width, min(limit[1], MAX_SIDE_PX) / height)
    if viewport is None or not enlarge:
        scale = min(scale, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size == image.size:
        return image
    smaller = size[0] < image.width or size[1] < image.height
    method = Image.Resampling.LANCZOS if smaller else Image.Resampling.BICUBIC
    return image.resize(size, method, reducing_gap=2.0 if smaller else None)


def encoded(image: Image.Image, media: str, quality: int = 90) -> bytes:
    """The image as a file of the media type; CannotRender for one that is not in `ENCODINGS`."""
    if media not in ENCODINGS:
        raise CannotRender(f"no pictures in {media}")
    form, options = ENCODINGS[media]
    if form == "JPEG":
        quality = min(100, max(1, quality))
        if image.mode == "L":  # the same library, without Pillow's pieces in between
            return bytes(jpeg8_encode(np.asarray(image), level=quality))
        options = {"quality": quality, "subsampling": 0 if quality >= 85 else 2}
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()

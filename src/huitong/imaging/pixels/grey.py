"""The grey-scale pipeline of PS3.4 N.2: stored values, modality, values of interest, presentation, 8-bit output.

For 8 and 16-bit images the whole pipeline is one look-up table, kept for the next slice of the series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huitong.base.errors import CannotRender
from huitong.imaging.pixels.elements import (
    EXPLICIT_BIG_ENDIAN,
    BulkReader,
    Header,
    binary,
    first_item,
    number,
    numbers,
    tag_of,
    text,
    values,
)
from huitong.imaging.pixels.module import ImagePixel

Samples = NDArray[Any]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

#: Shares of the darkest and brightest pixels ignored when the object says no window.
_PERCENTILES = (0.5, 99.5)
#: Centre and width in Hounsfield units for CT that states none: soft tissue, the same for every slice of a series.
CT_WINDOW = (40.0, 400.0)
#: Pixels looked at to find them.
_SAMPLED_PIXELS = 262_144


@dataclass(frozen=True, slots=True)
class Table:
    """A Modality or VOI look-up table (PS3.3 C.11.1.1.1, C.11.2.1.1): `entries[0]` is for `first` and all below."""

    first: int
    bits: int
    entries: tuple[int, ...]

    def apply(self, values: Floats) -> Floats:
        """The entry of each value."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.intp)
        found: Floats = np.asarray(self.entries, dtype=np.float64)[index]
        return found


@dataclass(frozen=True, slots=True)
class Pipeline:
    """From stored value to shade; hashable, so that the table made of it can be kept."""

    slope: float = 1.0
    intercept: float = 0.0
    modality: Table | None = None
    #: LINEAR, LINEAR_EXACT or SIGMOID (PS3.3 C.11.2.1.2, C.11.2.1.3).
    function: str = "LINEAR"
    #: Centre and width in modality units; None until the image itself was asked.
    window: tuple[float, float] | None = None
    voi: Table | None = None
    inverted: bool = False

    def modal(self, stored: Floats) -> Floats:
        """Values after the modality transformation (for CT, Hounsfield units)."""
        if self.modality is not None:
            return self.modality.apply(stored)
        return np.asarray(stored * self.slope + self.intercept)

    def shade(self, stored: Floats) -> Bytes:
        """Shades 0 (black) to 255."""
        values = self.modal(stored)
        if self.voi is not None:
            top = float((1 << self.voi.bits) - 1) if self.voi.bits else float(max(self.voi.entries) or 1)
            unit = self.voi.apply(values) / top
        else:
            assert self.window is not None
            unit = _FUNCTIONS.get(self.function, _linear)(values, *self.window)
        shades = np.rint(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)
        return 255 - shades if self.inverted else shades


def _linear(values: Floats, centre: float, width: float) -> Floats:
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1) + 0.5


def _linear_exact(values: Floats, centre: float, width: float) -> Floats:
    if width <= 0:
        return (values > centre).astype(np.float64)
    return (values - centre) / width + 0.5


def _sigmoid(values: Floats, centre: float, width: float) -> Floats:
    exponent = np.clip(-4.0 * (values - centre) / (width or 1.0), -60.0, 60.0)
    return np.asarray(1.0 / (1.0 + np.exp(exponent)))


_FUNCTIONS = {"LINEAR": _linear, "LINEAR_EXACT": _linear_exact, "SIGMOID": _sigmoid}


def shades(samples: Samples, pixel: ImagePixel, pipeline: Pipeline, padding: tuple[float, float] | None) -> Bytes:
    """The frame as 8-bit shades. `padding` is the range of stored values outside the picture, shown black."""
    if pipeline.window is None and pipeline.voi is None:
        pipeline = replace(pipeline, window=_window_of(samples, pipeline, padding), function="LINEAR_EXACT")
    if samples.dtype.itemsize <= 2 and samples.dtype.kind in "iu":
        table = _shade_table(pipeline, samples.dtype.str, padding)
        index = samples.view(f"u{samples.dtype.itemsize}")
        # Every index is in the table; `clip` says so to NumPy, which otherwise prepares for one that is not.
        return np.take(table, index, out=np.empty(index.shape, np.uint8), mode="clip")
    shaded = pipeline.shade(samples.astype(np.float64))
    if padding is not None:
        shaded[(samples >= padding[0]) & (samples <= padding[1])] = 0
    return shaded


@lru_cache(maxsize=128)
def _shade_table(pipeline: Pipeline, dtype: str, padding: tuple[float, float] | None) -> Bytes:
    """The pipeline for every bit pattern of an 8 or 16-bit sample: at most 64 KB."""
    kind = np.dtype(dtype)
    stored = np.arange(1 << (8 * kind.itemsize), dtype=f"u{kind.itemsize}").view(f"{kind.kind}{kind.itemsize}")
    table = pipeline.shade(stored.astype(np.float64))
    if padding is not None:
        table[(stored >= padding[0]) & (stored <= padding[1])] = 0
    table.setflags(write=False)
    return table


def _window_of(samples: Samples, pipeline: Pipeline, padding: tuple[float, float] | None) -> tuple[float, float]:
    """Centre and width that show nearly all of the picture, for objects that state none."""
    flat = samples.reshape(-1)
    flat = flat[:: max(1, flat.size // _SAMPLED_PIXELS)]
    if padding is not None:
        inside = flat[(flat < padding[0]) | (flat > padding[1])]
        flat = inside if inside.size else flat
    values = pipeline.modal(flat.astype(np.float64))
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.5, 1.0
    low, high = np.percentile(values, _PERCENTILES)
    if high <= low:
        low, high = values.min(), values.max()
    if high <= low:
        return float(low) + 0.5, 1.0
    return float(low + high) / 2, float(high - low)


# reading the header ---------------------------------------------------------------------------------------------------


def functional_group(header: Header, keyword: str, frame_number: int) -> Header:
    """The functional group macro that holds for a frame (PS3.3 C.7.6.16): per frame, else shared, else the header."""
    from_frames = header.get(tag_of("PerFrameFunctionalGroupsSequence"))
    frames = from_frames.get("Value") if isinstance(from_frames, dict) else None
    if isinstance(frames, list) and len(frames) >= frame_number and isinstance(frames[frame_number - 1], dict):
        own = first_item(frames[frame_number - 1], keyword)
        if own is not None:
            return own
    shared = first_item(header, "SharedFunctionalGroupsSequence")
    return (first_item(shared, keyword) if shared is not None else None) or header


def pipeline_of(
    header: Header, pixel: ImagePixel, frame_number: int, bulk: BulkReader | None, transfer_syntax_uid: str
) -> Pipeline:
    """What the object itself says about its grey scale, for one frame."""
    big_endian = transfer_syntax_uid == EXPLICIT_BIG_ENDIAN
    transform = functional_group(header, "PixelValueTransformationSequence", frame_number)
    voi = functional_group(header, "FrameVOILUTSequence", frame_number)
    centres, widths = numbers(voi, "WindowCenter"), numbers(voi, "WindowWidth")
    window = (centres[0], widths[0]) if centres and widths and widths[0] > 0 else None
    modality = _table(first_item(header, "ModalityLUTSequence"), pixel, bulk, big_endian)
    slope = number(transform, "RescaleSlope", 1.0)
    intercept = number(transform, "RescaleIntercept", 0.0)
    table = _table(first_item(voi, "VOILUTSequence"), pixel, bulk, big_endian, after=(slope, intercept))
    if window is None and table is None and _in_hounsfield_units(header, transform):
        window = CT_WINDOW
    return Pipeline(
        slope=slope or 1.0,
        intercept=intercept,
        modality=modality,
        function=text(voi, "VOILUTFunction", "LINEAR").upper(),
        window=window,
        voi=table,
        inverted=pixel.photometric == "MONOCHROME1" or text(header, "PresentationLUTShape").upper() == "INVERSE",
    )


def _in_hounsfield_units(header: Header, transform: Header) -> bool:
    """A CT slice with its rescale stated; not a localizer, whose values are no Hounsfield units (PS3.3 C.8.2.1)."""
    return (
        text(header, "Modality") == "CT"
        and bool(numbers(transform, "RescaleIntercept"))
        and text(transform, "RescaleType", "HU").upper() == "HU"
        and "LOCALIZER" not in values(header, "ImageType")
    )


def _table(
    item: Header | None,
    pixel: ImagePixel,
    bulk: BulkReader | None,
    big_endian: bool,
    after: tuple[float, float] = (1.0, 0.0),
) -> Table | None:
    """The look-up table of a sequence item; None when there is none. `after` is the rescale that comes before it."""
    if item is None:
        return None
    descriptor = [int(value) for value in numbers(item, "LUTDescriptor")]
    if len(descriptor) < 3:
        return None
    count, first, bits = (descriptor[0] & 0xFFFF) or 65536, descriptor[1], descriptor[2]
    # A VR of US for the first mapped value of a signed image holds its two's complement (PS3.3 C.11.1.1).
    may_be_negative = pixel.signed or after[1] < 0
    if may_be_negative and first > 0x7FFF:
        first -= 0x10000
    entries = [int(value) & 0xFFFF for value in numbers(item, "LUTData")]
    if not entries:
        data = binary(item, "LUTData", bulk) or b""
        kind = ">u2" if big_endian else "<u2"
        entries = list(data[:count]) if len(data) < 2 * count else np.frombuffer(data, dtype=kind, count=count).tolist()
    if not entries:
        raise CannotRender("a look-up table has no entries")
    return Table(first, bits if 0 < bits <= 16 else 0, tuple(entries[:count]))


def padding_of(header: Header, pixel: ImagePixel) -> tuple[float, float] | None:
    """The range of stored values that are padding around the picture (PS3.3 C.7.5.1.1.2), None when none is stated."""
    start = numbers(header, "PixelPaddingValue")
    if not start:
        return None
    end = numbers(header, "PixelPaddingRangeLimit") or start
    low, high = sorted((_as_sample(start[0], pixel), _as_sample(end[0], pixel)))
    return low, high


def _as_sample(value: float, pixel: ImagePixel) -> float:
    top = float(1 << pixel.bits_allocated)
    return value - top if pixel.signed and value >= top / 2 else value

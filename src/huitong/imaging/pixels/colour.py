"""Colour spaces of stored frames to RGB (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Samples = NDArray[Any]

#: YBR to RGB, columns Y, Cb, Cr, after centring; PARTIAL is studio range (retired, ITU-R BT.601).
_FULL = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], dtype=np.float32)
_PARTIAL = np.array(
    [[1.164383, 0, 1.596027], [1.164383, -0.391762, -0.812968], [1.164383, 2.017232, 0]], dtype=np.float32
)


def to_rgb(samples: Samples, photometric: str) -> Samples:
    """RGB of (rows, columns, 3) unsigned samples; RGB itself passes unchanged."""
    if not photometric.startswith("YBR") or photometric in ("YBR_ICT", "YBR_RCT"):
        return samples
    if samples.dtype == np.uint8 and photometric.startswith("YBR_FULL"):
        rows, columns, _ = samples.shape
        image = Image.frombytes("YCbCr", (columns, rows), np.ascontiguousarray(samples).tobytes())
        return np.asarray(image.convert("RGB"))
    top = float(np.iinfo(samples.dtype).max) if samples.dtype.kind in "iu" else 1.0
    half = (top + 1) / 2
    partial = photometric.startswith("YBR_PARTIAL")
    centred = samples.astype(np.float32) - np.array([top / 255 * 16 if partial else 0, half, half], dtype=np.float32)
    rgb = centred @ (_PARTIAL if partial else _FULL).T
    converted: Samples = np.clip(np.rint(rgb), 0, top).astype(samples.dtype)
    return converted


def widen_422(samples: Samples, rows: int, columns: int) -> Samples:
    """(rows, columns, 3) from Y1 Y2 Cb Cr groups of native YBR_FULL_422 (PS3.3 C.7.6.3.1.2)."""
    groups = samples.reshape(-1, 4)
    wide = np.empty((rows * columns, 3), dtype=samples.dtype)
    wide[0::2, 0], wide[1::2, 0] = groups[:, 0], groups[:, 1]
    wide[0::2, 1] = wide[1::2, 1] = groups[:, 2]
    wide[0::2, 2] = wide[1::2, 2] = groups[:, 3]
    return wide.reshape(rows, columns, 3)

"""Random fields: slow ones that bend anatomy, fine ones that are its texture, and the noise of a CT beam."""

from __future__ import annotations

import numpy as np

from huitong.cli.phantom.canvas import Plane


class SlowField:
    """A smooth random field over the body, standard deviation about 1; neighbouring slices change gradually."""

    def __init__(
        self, rng: np.random.Generator, size: int, rows: slice, knots: int, spacing_s_mm: float, length_mm: float
    ) -> None:
        self._spacing = spacing_s_mm
        layers = int(length_mm / spacing_s_mm) + 5
        self._knots = rng.standard_normal((layers, knots, knots)).astype(np.float32) * np.float32(1.6)
        self._across = _cubic_matrix(size, knots)
        self._down = self._across[rows]

    def at(self, s_mm: float) -> Plane:
        """The field in one slice."""
        place = max(s_mm / self._spacing, 0) + 1
        first = int(place)
        weights = _cubic_weights(np.array([place - first]))[0].astype(np.float32)
        layer = np.tensordot(weights, self._knots[first - 1 : first + 3], 1)
        return np.asarray(self._down @ (layer @ self._across.T), np.float32)


def _cubic_weights(t: np.ndarray) -> np.ndarray:
    """Uniform cubic B-spline weights of the four knots around."""
    return np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=-1) / 6


def _cubic_matrix(size: int, knots: int) -> Plane:
    place = np.linspace(1, knots - 2 - 1e-4, size)
    first = place.astype(int)
    matrix = np.zeros((size, knots), np.float32)
    for step, weight in enumerate(_cubic_weights(place - first).T):
        matrix[np.arange(size), first - 1 + step] = weight
    return matrix


class Noise:
    """Slices of noise of standard deviation 1 with a given spectrum, cheaply different from one another."""

    def __init__(self, rng: np.random.Generator, size: int, kind: str, tiles: int = 8) -> None:
        self._rng = rng
        frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
        shape = _SPECTRA[kind](frequency)
        if kind == "streak":
            shape = shape * np.exp(-((np.fft.rfftfreq(size)[None, :] / 0.008) ** 2))
        self._tiles = []
        for _ in range(tiles):
            spectrum = np.fft.rfft2(rng.standard_normal((size, size))) * shape
            tile = np.fft.irfft2(spectrum, (size, size))
            self._tiles.append((tile / tile.std()).astype(np.float32))

    def next(self) -> Plane:
        """Another slice of it: a tile shifted at random, some of it mirrored."""
        tile = self._tiles[int(self._rng.integers(len(self._tiles)))]
        shifts = self._rng.integers(0, tile.shape[0], 2)
        if self._rng.random() < 0.5:
            tile = tile[::-1]
        return np.roll(tile, tuple(int(shift) for shift in shifts), (0, 1))


def _beam(frequency: np.ndarray) -> np.ndarray:
    """Filtered back projection with a soft kernel: rising as a ramp, then cut off (Riederer 1978)."""
    return np.asarray(np.sqrt(frequency) * np.exp(-((frequency / 0.22) ** 2)))


def _tissue(frequency: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-((frequency / 0.06) ** 2)) * (frequency > 0.004))


def _streak(frequency: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-((frequency / 0.2) ** 2)) * (frequency > 0.01))


_SPECTRA = {"beam": _beam, "tissue": _tissue, "streak": _streak}

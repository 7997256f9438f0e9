"""Drawing solid shapes into one axial slice: what a plane cuts of ellipsoids, tubes and vessels, with soft edges.

Lengths are millimetres. `x` grows to the patient's left, `y` to the back, `s` downwards from the topmost slice. A shape
is a coverage in 0…1 over a window of the slice; painting mixes its HU in by that coverage.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Single precision in fact; what is added to it may be double.
Plane: TypeAlias = NDArray[np.floating[Any]]
Window = tuple[slice, slice]
#: Coverage, and the part of the slice it is for; None if the slice does not cut the shape.
Drawn: TypeAlias = tuple[Plane, Window] | None

#: Width of the blur at an edge, the sharpness of a standard soft-tissue kernel.
EDGE_MM = 1.0


class Ellipsoid(NamedTuple):
    """A solid ellipsoid; `turn` is its rotation about the long axis of the body, `tip` about the left-right axis."""

    x: float
    y: float
    s: float
    a: float
    b: float
    c: float
    turn_deg: float = 0.0
    tip_deg: float = 0.0


class Tube(NamedTuple):
    """A round segment from one point to another with a radius at each."""

    x0: float
    y0: float
    s0: float
    r0: float
    x1: float
    y1: float
    s1: float
    r1: float


class Canvas:
    """One slice being drawn: HU and the (warped) coordinates of each pixel.

    Only the `rows` of the slice that the body can reach are drawn: all planes have their number of rows.
    """

    def __init__(self, size: int, fov_mm: float, reach_y_mm: float) -> None:
        self.size = size
        self.pixel_mm = fov_mm / size
        self.axis = ((np.arange(size) - (size - 1) / 2) * self.pixel_mm).astype(np.float32)
        inside = np.flatnonzero(np.abs(self.axis) <= reach_y_mm)
        self.rows = slice(int(inside[0]), int(inside[-1]) + 1)
        self.x, self.y = (np.ascontiguousarray(plane) for plane in np.meshgrid(self.axis, self.axis[self.rows]))
        self.hu = np.full(self.x.shape, -1000, np.float32)
        self.texture = np.zeros_like(self.hu)
        #: How far the drawn body lies below the middle of the slice (its `y` counts from its own middle).
        self.lowered_mm = 0.0
        self.s = 0.0

    def paint(self, coverage: Plane, hu: float | Plane, window: Window = (slice(None), slice(None))) -> None:
        """Mix `hu` into the window by coverage."""
        under = self.hu[window]
        under += coverage * (hu - under)

    def window(self, x: float, y: float, reach_x: float, reach_y: float) -> Window | None:
        """The pixels within reach of a point and a margin for the warp; None if outside the slice."""
        margin = 7.0  # of the warp
        y += self.lowered_mm
        half = (self.size - 1) / 2
        upper = half - self.rows.start
        c0, c1 = (int((x + side * (reach_x + margin)) / self.pixel_mm + half + 0.5) for side in (-1, 1))
        r0, r1 = (int((y + side * (reach_y + margin)) / self.pixel_mm + upper + 0.5) for side in (-1, 1))
        c0, r0, c1, r1 = max(c0, 0), max(r0, 0), min(c1 + 1, self.size), min(r1 + 1, len(self.hu))
        return (slice(r0, r1), slice(c0, c1)) if r0 < r1 and c0 < c1 else None

    def ellipsoid(self, shape: Ellipsoid, grow: float = 0.0) -> Drawn:
        """Coverage by the ellipsoid, enlarged by `grow` on every side."""
        a, b, c = shape.a + grow, shape.b + grow, shape.c + grow
        reach = max(a, b)
        ds = self.s - shape.s
        tall = c if not shape.tip_deg else max(b, c)
        if abs(ds) >= tall or min(a, b, c) <= 0:
            return None
        window = self.window(shape.x, shape.y, reach if shape.turn_deg else a, reach if shape.turn_deg else max(b, c))
        if window is None:
            return None
        dx, dy = self.x[window] - np.float32(shape.x), self.y[window] - np.float32(shape.y)
        if shape.turn_deg:
            cos, sin = _turn(shape.turn_deg)
            dx, dy = dx * cos + dy * sin, dy * cos - dx * sin
        along: float | Plane = ds
        if shape.tip_deg:
            cos, sin = _turn(shape.tip_deg)
            dy, along = dy * cos + np.float32(ds) * sin, np.float32(ds) * cos - dy * sin
        q = np.sqrt((dx / np.float32(a)) ** 2 + (dy / np.float32(b)) ** 2 + (along / np.float32(c)) ** 2)
        return _soft((1 - q) * np.float32(min(a, b))), window

    def ellipse(self, x: float, y: float, a: float, b: float, turn_deg: float = 0.0) -> Drawn:
        """Coverage by an ellipse in this slice."""
        return self.ellipsoid(Ellipsoid(x, y, self.s, a, b, max(a, b), turn_deg))

    def tube(self, shape: Tube, grow: float = 0.0) -> Drawn:
        """Coverage by the part of the tube that the slice cuts."""
        x0, y0, s0, r0, x1, y1, s1, r1 = shape
        widest = max(r0, r1) + grow
        if widest <= 0 or not min(s0, s1) - widest < self.s < max(s0, s1) + widest:
            return None
        lean = (s1 - s0) or 1e-6
        near = sorted(min(max((self.s + side * widest - s0) / lean, 0.0), 1.0) for side in (-1, 1))
        xs, ys = [x0 + t * (x1 - x0) for t in near], [y0 + t * (y1 - y0) for t in near]
        window = self.window(sum(xs) / 2, sum(ys) / 2, widest + abs(xs[1] - xs[0]) / 2, widest + abs(ys[1] - ys[0]) / 2)
        if window is None:
            return None
        px, py = self.x[window], self.y[window]
        vx, vy, vs = np.float32(x1 - x0), np.float32(y1 - y0), np.float32(s1 - s0)
        ds = np.float32(self.s - s0)
        length2 = vx * vx + vy * vy + vs * vs or np.float32(1e-6)
        t = np.clip(((px - np.float32(x0)) * vx + (py - np.float32(y0)) * vy + ds * vs) / length2, 0, 1)
        gap = np.sqrt((px - x0 - t * vx) ** 2 + (py - y0 - t * vy) ** 2 + (ds - t * vs) ** 2)
        return _soft(np.float32(r0 + grow) + t * np.float32(r1 - r0) - gap), window

    def fill(self, drawn: Drawn, hu: float, inside: Plane | None = None, grain: float = 0.0) -> None:
        """Paint a shape, if the slice cuts it, as far as `inside` (coverage of the whole slice) allows.

        `grain` is how many HU of the slice's texture the substance has.
        """
        if drawn is None:
            return
        coverage, window = drawn
        if inside is not None:
            coverage = coverage * inside[window]
        self.paint(coverage, np.float32(hu) + np.float32(grain) * self.texture[window] if grain else hu, window)

    def dots(self, points: Plane, grow: float = 0.0, scale: float = 1.0) -> Plane:
        """Coverage by many small spheres, `points` of shape (n, 4): x, y, s, radius."""
        covered = np.zeros_like(self.hu)
        radius = points[:, 3] * np.float32(scale) + np.float32(grow)
        gap = np.abs(points[:, 2] - np.float32(self.s))
        near = (gap < radius + np.float32(EDGE_MM / 2)) & (radius > 0)
        points, radius, gap = points[near], radius[near], gap[near]
        cut = np.sqrt(np.maximum(radius * radius - gap * gap, np.float32(0.05)))
        for low, high in ((0.0, 1.8), (1.8, 4.5), (4.5, 12.0)):
            some = (cut >= low) & (cut < high)
            if some.any():
                self._dots(covered, points[some], cut[some], radius[some], high)
        return covered

    def _dots(self, covered: Plane, points: Plane, cut: Plane, radius: Plane, reach: float) -> None:
        span = int(reach / self.pixel_mm + 1.5)
        half = (self.size - 1) / 2
        column = points[:, 0] / np.float32(self.pixel_mm) + np.float32(half)
        row = (points[:, 1] + np.float32(self.lowered_mm)) / np.float32(self.pixel_mm) + np.float32(
            half - self.rows.start
        )
        around = np.arange(-span, span + 1)
        columns = np.rint(column).astype(np.intp)[:, None] + around
        rows = np.rint(row).astype(np.intp)[:, None] + around
        gaps = np.hypot((columns - column[:, None])[:, None, :], (rows - row[:, None])[:, :, None])
        soft = np.clip((cut[:, None, None] - gaps.astype(np.float32) * np.float32(self.pixel_mm)) / EDGE_MM + 0.5, 0, 1)
        # A vessel thinner than the slice fills only a part of it (partial volume).
        soft *= np.minimum(radius * 2 / np.float32(1.6), 1)[:, None, None]
        inside = ((columns >= 0) & (columns < self.size))[:, None, :] & ((rows >= 0) & (rows < len(self.hu)))[
            :, :, None
        ]
        flat = rows[:, :, None] * self.size + columns[:, None, :]
        np.maximum.at(covered.reshape(-1), flat[inside], soft[inside].astype(np.float32))


def _turn(degrees: float) -> tuple[np.float32, np.float32]:
    return np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))


def _soft(depth_mm: Plane) -> Plane:
    """Coverage from the depth below a surface."""
    depth_mm /= np.float32(EDGE_MM)
    depth_mm += np.float32(0.5)
    return np.clip(depth_mm, 0, 1, out=depth_mm)


def soft(depth_mm: Plane, edge_mm: float = EDGE_MM) -> Plane:
    """Coverage from the depth below a surface, over an edge of the given width."""
    covered = depth_mm * np.float32(1 / edge_mm)
    covered += np.float32(0.5)
    return np.clip(covered, 0, 1, out=covered)

"""Branching vessels that fill a volume: each new twig joins the tree where its way from the root stays short.

Radii follow Murray's law (1926): the cube of a branch's radius is the sum of its twigs' cubes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from huitong.cli.phantom.canvas import Plane

_STEP_MM = 5.0


def grow(
    rng: np.random.Generator, root: tuple[float, float, float], ends: NDArray[np.float64], end_radius_mm: float
) -> Plane:
    """Points of the tree from `root` to all `ends` (n, 3: x, y, s), as (m, 4: x, y, s, radius), under 1 mm apart."""
    ends = ends[np.argsort(((ends - root) ** 2).sum(1))]
    nodes = np.empty((len(ends) * 40 + 1, 3))
    way = np.zeros(len(nodes))
    parents = np.zeros(len(nodes), np.intp)
    nodes[0], count = root, 1
    for end in ends:
        gaps = np.sqrt(((nodes[:count] - end) ** 2).sum(1))
        join = int(np.argmin(gaps + 0.45 * way[:count]))
        steps = max(1, int(gaps[join] / _STEP_MM))
        if count + steps > len(nodes):
            break
        fractions = np.arange(1, steps + 1)[:, None] / steps
        twig = nodes[join] + (end - nodes[join]) * fractions + rng.normal(0, 0.7, (steps, 3)) * (fractions < 1)
        nodes[count : count + steps] = twig
        parents[count : count + steps] = [join, *range(count, count + steps - 1)]
        way[count : count + steps] = way[join] + gaps[join] * fractions[:, 0]
        count += steps
    return _points(nodes[:count], parents[:count], end_radius_mm)


def _points(nodes: NDArray[np.float64], parents: NDArray[np.intp], end_radius_mm: float) -> Plane:
    flow = np.zeros(len(nodes))
    flow[np.setdiff1d(np.arange(len(nodes)), parents[1:])] = end_radius_mm**3
    for node in range(len(nodes) - 1, 0, -1):
        flow[parents[node]] += flow[node]
    radius = np.cbrt(flow)
    parts = np.linspace(0, 1, 8)[None, :, None]
    lines = nodes[parents[1:], None, :] * (1 - parts) + nodes[1:, None, :] * parts
    points = np.concatenate([lines, np.broadcast_to(radius[1:, None, None], (*lines.shape[:2], 1))], axis=2)
    return points.reshape(-1, 4).astype(np.float32)

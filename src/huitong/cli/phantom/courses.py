"""What takes its own way through the body: vessel trees and the small bowel, made at random from a seed."""

from __future__ import annotations

import numpy as np

from huitong.cli.phantom import anatomy as at
from huitong.cli.phantom.canvas import Plane
from huitong.cli.phantom.vessels import grow


def vessel_trees(rng: np.random.Generator) -> dict[str, Plane]:
    """Vessel trees of lungs, liver and mesentery, from where they enter."""
    lungs = [
        grow(rng, (side * 38.0, 8.0, 118.0), _ends(rng, 2600, (side * 72, 0, 135), (66, 90, 128)), 0.56)
        for side in (-1, 1)
    ]
    return {
        "lungs": np.concatenate(lungs),
        "portal": grow(rng, (-30.0, 0.0, 256.0), _ends(rng, 300, (-58, -8, 236), (76, 74, 62)), 0.85),
        "hepatic": grow(rng, (-19.0, 10.0, 206.0), _ends(rng, 150, (-58, -8, 232), (70, 68, 56)), 0.95),
        "mesentery": grow(rng, (6.0, -16.0, 318.0), _ends(rng, 170, (0, -34, 372), (72, 34, 44)), 0.6),
    }


def _ends(
    rng: np.random.Generator, count: int, centre: tuple[float, float, float], reach: tuple[float, float, float]
) -> np.ndarray:
    """Points spread evenly in an ellipsoid."""
    points = rng.uniform(-1, 1, (count * 3, 3))
    points = points[(points**2).sum(1) < 1][:count]
    return np.asarray(centre + points * reach)


def bowel_loops(rng: np.random.Generator) -> tuple[at.Vessel, ...]:
    """The small bowel: a wandering tube in the middle of the belly, now and then with gas."""
    low, high = np.array([-78, -62, 312]), np.array([80, -4, 430])
    place, heading = np.array([38.0, -14.0, 316.0]), np.array([1.0, 0.0, 0.3])
    loops, points = [], []
    for step in range(260):
        heading = heading + rng.normal(0, 0.55, 3) + (np.clip(place, low + 12, high - 12) - place) * 0.07
        heading /= np.linalg.norm(heading)
        place = place + heading * 11
        points.append((*place, 9.5 + rng.normal(0, 1.0)))
        if step % 13 == 12:
            content = float(rng.choice((28.0, 24.0, 22.0, -20.0), p=(0.4, 0.3, 0.2, 0.1)))
            loops.append(at.Vessel(at.path(*points), ((0, 98), (-2.6, content))))
            points = points[-1:]
    return tuple(loops)

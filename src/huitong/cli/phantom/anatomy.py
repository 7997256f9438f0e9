"""Where everything lies in the phantom's trunk: curves along the body, ellipsoids and tubes, in millimetres.

Proportions follow an adult male of 175 cm as cross-sectional atlases show him; nothing is a copy of a person.
`x` to his left, `y` to his back, `s` downwards from the first rib. Portal venous phase of contrast.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from huitong.cli.phantom.canvas import Ellipsoid, Tube


class Curve:
    """A quantity that changes along the body, smoothly between given places."""

    def __init__(self, *knots: tuple[float, float]) -> None:
        self._s = np.array([s for s, _ in knots])
        self._values = np.array([value for _, value in knots])

    def __call__(self, s_mm: float) -> float:
        around = s_mm + np.array([-12.0, -6.0, 0.0, 6.0, 12.0])
        return float(np.interp(around, self._s, self._values).mean())


#: How far the trunk's centre lies before the couch's, so that a slimmer part rests on it as well.
CENTRE_Y = Curve((0, 22), (40, 10), (100, 1), (160, 0), (220, 3), (280, 6), (400, 7))
#: The couch's surface in the middle, and by how much it rises to the sides: mm per mm squared.
COUCH_Y, COUCH_HOLLOW = 109.0, 0.0006
#: Half width and half depth of the skin.
SKIN_WIDTH = Curve((0, 166), (40, 171), (100, 173), (160, 170), (220, 163), (280, 160), (340, 163), (400, 168))
SKIN_DEPTH = Curve((0, 84), (40, 100), (100, 111), (160, 112), (220, 109), (280, 106), (340, 104), (400, 105))
#: Half width and half depth of the cavity inside ribs and abdominal wall, and how far its centre lies to the front (-).
CAVITY_WIDTH = Curve(
    (-20, 20), (0, 62), (25, 94), (60, 116), (100, 128), (160, 138), (220, 136), (270, 129), (400, 134)
)
CAVITY_DEPTH = Curve((-20, 20), (0, 44), (25, 60), (60, 74), (100, 86), (160, 92), (220, 90), (270, 84), (400, 80))
CAVITY_Y = Curve((0, 8), (60, 2), (120, -3), (200, -4), (280, -4), (400, -6))
#: Thickness of the muscle outside the cavity: at the side, in front, at the back.
WALL_SIDE = Curve((0, 70), (40, 46), (90, 27), (140, 18), (220, 13), (280, 12), (400, 14))
WALL_FRONT = Curve((0, 26), (40, 22), (90, 18), (150, 10), (220, 8), (400, 9))
WALL_BACK = Curve((0, 40), (60, 34), (140, 26), (240, 24), (400, 26))
#: Centre of the vertebral bodies, and their half width and half depth.
SPINE_Y = Curve((0, 36), (60, 47), (130, 54), (220, 47), (300, 35), (400, 29))
VERTEBRA_WIDTH = Curve((0, 14), (120, 15), (220, 18), (300, 21), (400, 24))
VERTEBRA_DEPTH = Curve((0, 10), (120, 13), (220, 15), (400, 17))
#: Upper ends of the vertebrae from the second thoracic on; a disc of a fifth of the height ends each.
VERTEBRAE = np.cumsum([-14, *np.linspace(19, 26, 11), *np.linspace(29, 36, 6)])

#: First rib's height at the spine, distance from rib to rib there, and the angle from the spine (radians) to which the
#: bone of each of the twelve reaches; beyond it cartilage goes on to the sternum, or nothing.
RIB_TOP, RIB_PITCH = -22.0, 22.5
RIB_BONE = np.array([2.1, 2.15, 2.2, 2.2, 2.15, 2.1, 2.05, 1.95, 1.9, 1.75, 1.3, 0.85])
RIB_CARTILAGE = np.array([2.75, 2.8, 2.85, 2.85, 2.85, 2.8, 2.75, 2.5, 2.35, 1.85, 1.35, 0.9])

#: HU of what is homogeneous; portal venous phase.
AIR, LUNG, FAT, SKIN, MUSCLE, BLOOD = -1000, -868, -102, 20, 58, 152
CARTILAGE, MARROW, CORTEX, DISC = 105, 190, 880, 92


class Organ(NamedTuple):
    """Something drawn from ellipsoids: `shells` are (shrink mm, HU) from the outside in."""

    shapes: tuple[Ellipsoid, ...]
    shells: tuple[tuple[float, float], ...]


class Vessel(NamedTuple):
    """Something drawn from tubes; `shells` are (grow mm, HU) from the outside in."""

    tubes: tuple[Tube, ...]
    shells: tuple[tuple[float, float], ...]


def path(*points: tuple[float, float, float, float]) -> tuple[Tube, ...]:
    """Tubes through points of (x, y, s, radius)."""
    return tuple(Tube(*start, *end) for start, end in pairwise(points))


#: Half width of the tissue between the lungs: (s, at the front, at the heart's depth, at the spine).
MEDIASTINUM_FRONT = Curve((0, 30), (40, 18), (75, 7), (120, 5), (170, 9), (230, 20))
MEDIASTINUM_MIDDLE = Curve((0, 34), (40, 31), (90, 32), (120, 36), (230, 34))
MEDIASTINUM_BACK = Curve((0, 26), (60, 24), (230, 27))

HEART = Ellipsoid(26, -28, 168, 57, 47, 43, 34)
PERICARDIUM_GROW = 3.0
CHAMBERS: tuple[Organ, ...] = (
    Organ((Ellipsoid(16, -52, 172, 44, 20, 36, 24),), ((0, 104), (3, 156))),
    Organ((Ellipsoid(-20, -24, 166, 21, 28, 33, 12),), ((0, 100), (2, 154))),
    Organ((Ellipsoid(50, -18, 172, 43, 30, 38, 42),), ((0, 108), (10.5, 158))),
    Organ((Ellipsoid(9, 14, 148, 31, 17, 21),), ((0, 100), (2, 160))),
)

THORACIC: tuple[Vessel, ...] = (
    Vessel(
        path((4, 22, -10, 6), (6, 22, 70, 6), (2, 25, 120, 6.5), (6, 27, 180, 6.5), (16, 12, 222, 7)),
        ((0, 55), (-4.5, 20)),
    ),
    Vessel(
        path(
            (6, -12, 150, 16),
            (-12, -22, 118, 16),
            (-12, -20, 92, 15.5),
            (-2, -8, 74, 14.5),
            (12, 12, 68, 13.5),
            (22, 34, 80, 13),
            (23, 42, 104, 12.5),
            (20, 44, 180, 12),
            (10, 34, 235, 11),
            (8, 14, 280, 10.5),
            (6, 8, 400, 9),
        ),
        ((1.2, 70), (0, BLOOD)),
    ),
    Vessel(path((-25, -16, 18, 8), (-26, -15, 80, 9.5), (-22, -14, 142, 10.5)), ((0.6, 60), (0, BLOOD + 6))),
    Vessel(
        path((-25, -18, 30, 8), (-4, -33, 38, 6.5), (26, -34, 20, 7), (44, -26, -4, 7)), ((0.5, 60), (0, BLOOD + 4))
    ),
    Vessel(path((-14, -14, 72, 6.5), (-22, -8, 30, 6), (-30, -6, -6, 5)), ((0.6, 60), (0, BLOOD))),
    Vessel(path((2, -6, 70, 5), (12, -6, 30, 4.5), (20, -2, -6, 4)), ((0.6, 60), (0, BLOOD))),
    Vessel(path((14, 8, 68, 5.5), (26, 8, 30, 5), (36, 6, -6, 5)), ((0.6, 60), (0, BLOOD))),
    Vessel(path((14, -36, 142, 15), (18, -30, 124, 15), (20, -14, 112, 13)), ((0.8, 65), (0, BLOOD + 5))),
    Vessel(path((20, -14, 112, 12), (-8, 0, 116, 10.5), (-36, 4, 120, 9.5)), ((0.8, 65), (0, BLOOD + 5))),
    Vessel(path((20, -14, 112, 12), (34, 4, 106, 10.5), (46, 16, 112, 9)), ((0.8, 65), (0, BLOOD + 5))),
    Vessel(path((9, 14, 150, 12), (-24, 14, 148, 7), (-42, 12, 140, 6)), ((0.5, 65), (0, BLOOD + 5))),
    Vessel(path((9, 14, 150, 12), (36, 16, 144, 7), (50, 12, 134, 6)), ((0.5, 65), (0, BLOOD + 5))),
    Vessel(
        path((-20, -12, 190, 11), (-20, 2, 214, 11.5), (-19, 12, 240, 11), (-20, 8, 400, 10.5)), ((0.5, 70), (0, 138))
    ),
)

#: Trachea and main bronchi: wall, then air.
AIRWAYS: tuple[Vessel, ...] = (
    Vessel(path((0, 2, -10, 8.5), (1, 8, 60, 8.5), (-1, 14, 96, 9)), ((1.5, 40), (0, AIR))),
    Vessel(path((-1, 14, 96, 7.5), (-20, 15, 112, 7), (-36, 14, 124, 5.5)), ((1.3, 30), (0, AIR))),
    Vessel(path((-1, 14, 96, 7), (20, 20, 116, 6), (42, 22, 128, 5)), ((1.3, 30), (0, AIR))),
    Vessel(path((-20, 15, 112, 5), (-42, 8, 104, 4)), ((1.1, 20), (0, AIR))),
    Vessel(path((-36, 14, 124, 5), (-46, 24, 160, 4)), ((1.1, 20), (0, AIR))),
    Vessel(path((42, 22, 128, 4.5), (54, 32, 165, 3.5)), ((1.1, 20), (0, AIR))),
    Vessel(path((38, 20, 124, 4.5), (52, 6, 112, 3.5)), ((1.1, 20), (0, AIR))),
)

LIVER: tuple[Ellipsoid, ...] = (
    Ellipsoid(-62, -2, 244, 82, 84, 84),
    Ellipsoid(8, -50, 226, 62, 32, 40, -12),
    Ellipsoid(-30, -36, 244, 56, 50, 52),
)

ABDOMINAL: tuple[Organ, ...] = (
    Organ((Ellipsoid(98, 40, 244, 25, 46, 50, -28),), ((0, 124),)),
    Organ(
        (
            Ellipsoid(64, -14, 232, 40, 44, 40, -20),
            Ellipsoid(40, -42, 262, 44, 24, 24, -14),
            Ellipsoid(2, -50, 280, 30, 17, 16),
        ),
        ((0, 92), (4, 24)),
    ),
    Organ((Ellipsoid(-44, -44, 286, 14, 21, 27, 30),), ((0, 70), (1.6, 10))),
    Organ((Ellipsoid(-14, -34, 284, 17, 15, 14), Ellipsoid(-34, -14, 300, 14, 14, 30)), ((0, 95), (3.2, 28))),
)

#: Kidneys with capsule fat around; pyramids and sinus are drawn inside.
KIDNEYS: tuple[Ellipsoid, ...] = (Ellipsoid(-64, 40, 314, 26, 31, 56, 28), Ellipsoid(66, 40, 302, 26, 31, 57, -28))

VISCERAL_VESSELS: tuple[Vessel, ...] = (
    Vessel(path((-30, 0, 256, 6.5), (-4, -8, 274, 7), (0, -16, 300, 5.5), (4, -24, 400, 5)), ((0, 164),)),
    Vessel(path((-4, -8, 274, 6), (34, 8, 262, 5), (78, 28, 254, 4.5)), ((0, 164),)),
    Vessel(path((8, 0, 288, 4), (8, -12, 304, 3.6), (14, -18, 400, 3.2)), ((0, BLOOD),)),
    Vessel(path((8, 10, 272, 4), (6, -6, 270, 3.5), (-22, -6, 264, 3)), ((0, BLOOD),)),
    Vessel(path((8, 8, 306, 4), (44, 32, 302, 4)), ((0, BLOOD),)),
    Vessel(path((-18, 6, 310, 5), (-44, 32, 314, 4.5)), ((0, 150),)),
    Vessel(path((-16, 0, 308, 4.5), (10, -2, 304, 4.5), (42, 30, 298, 4.5)), ((0, 150),)),
)
PANCREAS = path((-24, -14, 292, 12), (-8, -20, 280, 10), (14, -14, 272, 9), (44, 2, 264, 9), (80, 24, 256, 7))

#: Colon and duodenum: wall, then content; gas rises to the front.
BOWEL: tuple[Vessel, ...] = (
    Vessel(path((-100, 14, 420, 21), (-102, 14, 370, 20), (-96, 4, 326, 18)), ((0, 70), (-2.5, 5))),
    Vessel(
        path(
            (-96, 4, 326, 17),
            (-60, -46, 336, 16),
            (-10, -64, 350, 15),
            (44, -62, 336, 15),
            (88, -26, 292, 14),
            (100, 6, 276, 14),
        ),
        ((0, 70), (-2.2, -10)),
    ),
    Vessel(path((100, 6, 276, 13), (108, 20, 330, 13), (106, 22, 420, 14)), ((0, 70), (-2.2, 0))),
    Vessel(
        path((-34, 0, 326, 11), (-10, 2, 336, 10), (22, -2, 330, 10), (36, -12, 312, 10)),
        ((0, 95), (-2.5, 25)),
    ),
)

#: Findings for the report: a solid nodule of the right upper lobe, cysts of liver and right kidney.
NODULE = Ellipsoid(-74, -18, 74, 4.6, 4.2, 4.4)
CYSTS: tuple[Ellipsoid, ...] = (Ellipsoid(-84, 20, 226, 9, 9, 9), Ellipsoid(-88, 56, 338, 11, 11, 12))


#: Lower end of the deepest recess of the lungs.
LUNG_END = 285.0


def dome(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the diaphragm, lungs above it: the right half stands higher, the heart rests on the middle."""
    right = 172 + ((x + 62) / 76) ** 2 * 62 + ((y + 6) / 92) ** 2 * 78
    left = 184 + ((x - 66) / 74) ** 2 * 60 + ((y + 2) / 92) ** 2 * 78
    share = 1 / (1 + np.exp(-x / 9))
    return np.asarray((right * (1 - share) + left * share).clip(None, LUNG_END - 3), np.float32)

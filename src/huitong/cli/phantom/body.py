"""The phantom's trunk, drawn slice by slice: layers from the skin inwards, then organs, vessels and bones."""

from __future__ import annotations

import numpy as np

from huitong.cli.phantom import anatomy as at
from huitong.cli.phantom.abdomen import Abdomen, draw_organ, draw_vessels
from huitong.cli.phantom.bones import Bones
from huitong.cli.phantom.canvas import Canvas, Plane, soft
from huitong.cli.phantom.courses import bowel_loops, vessel_trees
from huitong.cli.phantom.fields import Noise, SlowField

LENGTH_MM = 400.0
#: Before and behind this the slices have nothing but air and couch.
_REACH_Y_MM = 122.0


class Body:
    """A trunk of `LENGTH_MM` from the first rib down, the same for the same seed and size."""

    def __init__(self, seed: int, size: int = 512, fov_mm: float = 380.0) -> None:
        rng = np.random.default_rng(seed)
        self.canvas = Canvas(size, fov_mm, _REACH_Y_MM)
        rows = self.canvas.rows
        self._rest_x, self._rest_y = self.canvas.x, self.canvas.y
        self._bend = [SlowField(rng, size, rows, 11, 45, LENGTH_MM) for _ in range(2)]
        self._ripple = [SlowField(rng, size, rows, 34, 14, LENGTH_MM) for _ in range(2)]
        self._mottle = SlowField(rng, size, rows, 26, 16, LENGTH_MM)
        self._tissue = Noise(rng, size, "tissue", tiles=6)
        self._couch = _couch(self.canvas)
        self._dome = at.dome(self._rest_x, self._rest_y)
        self._aside = 1 - np.exp(-((self._rest_x / np.float32(20)) ** 2))  # the diaphragm's middle is tendon
        self._bones = Bones(self.canvas, SlowField(rng, size, rows, 60, 5, LENGTH_MM))
        trees = vessel_trees(rng)
        self._lung_tree = trees["lungs"]
        self._abdomen = Abdomen(self.canvas, trees, bowel_loops(rng))

    def draw(self, s_mm: float, table: bool = True) -> Plane:
        """HU of the slice at `s_mm` without noise, of shape (size, size)."""
        canvas = self.canvas
        frame = self._couch.copy() if table else np.full_like(self._couch, at.AIR)
        canvas.hu = frame[canvas.rows]
        canvas.s = s_mm
        bend_x, bend_y = (field.at(s_mm) for field in self._bend)
        ripple_x, ripple_y = (field.at(s_mm) for field in self._ripple)
        canvas.x = self._rest_x + np.float32(2.6) * bend_x + np.float32(0.75) * ripple_x
        canvas.lowered_mm = at.CENTRE_Y(s_mm)
        canvas.y = self._rest_y - np.float32(canvas.lowered_mm) + np.float32(2.2) * bend_y + np.float32(0.75) * ripple_y
        self._bones.prepare(s_mm)
        canvas.texture = texture = self._tissue.next()[canvas.rows]
        mottle = self._mottle.at(s_mm)
        self._sway = 2 * bend_x - bend_y
        cavity_mm = self._wall(texture, mottle)
        self._inside(cavity_mm, texture, mottle)
        self._bones.draw(cavity_mm, self._body)
        return frame

    def _wall(self, texture: Plane, mottle: Plane) -> Plane:
        """Skin, fat and muscle; gives the depth below the cavity's surface (negative outside)."""
        canvas, s = self.canvas, self.canvas.s
        skin_mm = _depth(canvas.x, canvas.y, at.SKIN_WIDTH(s), at.SKIN_DEPTH(s), 0.075)
        cavity_mm = _depth(
            canvas.x, canvas.y - np.float32(at.CAVITY_Y(s)), at.CAVITY_WIDTH(s), at.CAVITY_DEPTH(s), 0.05
        )
        skin_mm = np.minimum(skin_mm, _above_couch(canvas, self._rest_y))
        self._body = soft(skin_mm)
        canvas.paint(self._body, at.SKIN)
        canvas.paint(soft(skin_mm - np.float32(1.9)), np.float32(at.FAT) + 5 * texture + 4 * mottle)
        muscle_mm = np.minimum(cavity_mm + self._wall_thickness(mottle), skin_mm - np.float32(7) - mottle * 1.5)
        muscle = np.float32(at.MUSCLE) + 5 * texture + 3 * mottle
        muscle -= np.float32(70) * np.clip(texture - np.float32(1.5), 0, 1)  # fat between the fibres
        canvas.paint(soft(muscle_mm), muscle)
        # Planes of fat part the muscles of the ribs from those of shoulder and back, and the layers of the belly.
        planes = ((-13.0, 0.9), (-26.0, 1.1)) if s < 190 else ((-4.2, 0.25), (-8.0, 0.25))
        seen = soft(muscle_mm - 3) * np.clip(0.45 + 0.45 * mottle, 0, 0.85)
        for plane_mm, width_mm in planes:
            gap = np.float32(width_mm) - np.abs(cavity_mm - np.float32(plane_mm) - 2 * mottle)
            canvas.paint(soft(gap) * seen, -70.0)
        self._back_muscles()
        return cavity_mm

    def _wall_thickness(self, mottle: Plane) -> Plane:
        """Thickness of the muscle by direction: sides, front and back count by the square of the direction."""
        canvas, s = self.canvas, self.canvas.s
        across, along = canvas.x * canvas.x, canvas.y * canvas.y
        side = across / (across + along + 1)
        front = np.full_like(side, at.WALL_FRONT(s))
        if s > 200:  # the straight muscles of the belly, with the white lines between and beside them
            aside = np.abs(canvas.x)
            front *= (
                1
                - np.float32(0.9) * np.exp(-((canvas.x / 5) ** 2))
                - np.float32(0.55) * np.exp(-(((aside - 64) / 8) ** 2))
            )
        front = np.where(canvas.y < 0, front, np.float32(at.WALL_BACK(s)))
        return np.asarray(front + (np.float32(at.WALL_SIDE(s)) - front) * side + mottle * 1.5)

    def _back_muscles(self) -> None:
        canvas, spine = self.canvas, at.SPINE_Y(self.canvas.s)
        low = np.clip((self.canvas.s - 240) / 80, 0, 1)
        for side in (-1, 1):
            around = canvas.ellipse(side * 31, spine + 38, 25, 13 + 4 * low, side * -12)
            if around is not None:
                canvas.fill((around[0] * np.float32(0.45), around[1]), at.FAT, self._body)
            inner = canvas.ellipse(side * 31, spine + 38, 24, 12 + 4 * low, side * -12)
            canvas.fill(inner, at.MUSCLE + 2, self._body, 9)

    def _inside(self, cavity_mm: Plane, texture: Plane, mottle: Plane) -> None:
        canvas, s = self.canvas, self.canvas.s
        cavity = soft(cavity_mm)
        below_mm = np.float32(s) - self._dome - 3 * mottle
        canvas.paint(cavity, np.float32(at.FAT + 4) + 6 * texture)
        self._abdomen.draw(soft(cavity_mm - np.float32(1.5)) * soft(below_mm), mottle, self._bones.grain)
        if s < at.LUNG_END:
            diaphragm = soft(np.float32(1.6) - np.abs(below_mm + np.float32(1.5)), 1.5)
            canvas.paint(diaphragm * cavity * self._aside, at.MUSCLE)
            lungs = soft(self._between_lungs(cavity_mm, mottle)) * soft(-below_mm - 3, 2.5)
            heart = canvas.ellipsoid(at.HEART, at.PERICARDIUM_GROW)
            if heart is not None:
                lungs[heart[1]] *= 1 - heart[0]
            self._lungs(lungs, texture, mottle)
        self._mediastinum()

    def _between_lungs(self, cavity_mm: Plane, mottle: Plane) -> Plane:
        """Depth inside the lungs: within the pleura and outside the tissue between them."""
        canvas, s = self.canvas, self.canvas.s
        y = canvas.y
        front, middle, back = at.MEDIASTINUM_FRONT(s), at.MEDIASTINUM_MIDDLE(s), at.MEDIASTINUM_BACK(s)
        half = np.interp(
            self._rest_y[:, 0], (-95, -60, -20, 14, 50), (front * 1.15, front, middle, middle - 2, back - 8)
        )
        half = np.convolve(np.pad(half, 12, "edge"), np.full(25, 0.04), "valid").astype(np.float32)
        aside = np.abs(canvas.x) - half[:, None] - (2.5 * mottle + self._sway)
        spine = np.hypot(canvas.x, (y - np.float32(at.SPINE_Y(s))) * np.float32(1.05))
        spine -= np.float32(at.VERTEBRA_WIDTH(s) + 5)
        # Behind the heart only spine and aorta keep the lungs apart.
        share = np.clip((y - 20) / 25, 0, 1)
        aside = aside * (1 - share) + np.maximum(aside, spine) * share
        return np.asarray(np.minimum(np.minimum(aside, spine), cavity_mm - np.float32(2.0)))

    def _lungs(self, lungs: Plane, texture: Plane, mottle: Plane) -> None:
        canvas = self.canvas
        parenchyma = np.float32(at.LUNG) + canvas.y * np.float32(0.33) + 16 * mottle + 14 * texture
        canvas.paint(lungs, parenchyma)
        fissure = np.abs(canvas.s - (95 + (np.float32(55) - canvas.y) * np.float32(1.05)) - 5 * mottle)
        canvas.paint(soft(np.float32(0.9) - fissure, 2.0) * lungs * np.float32(0.5), -730.0)
        tree = self._lung_tree
        canvas.paint(canvas.dots(tree) * lungs, 62.0)
        thick = tree[(tree[:, 3] > 1.4) & (tree[:, 3] < 3.2)] + np.array([2.9, -2.2, 1.0, 0.0], np.float32)
        canvas.paint(canvas.dots(thick, grow=0.35) * lungs * np.float32(0.7), -350.0)
        canvas.paint(canvas.dots(thick, grow=-0.55) * lungs, -985.0)
        big = tree[tree[:, 3] > 1.5]
        canvas.paint(canvas.dots(big) * lungs, float(at.BLOOD) - 25)
        canvas.fill(canvas.ellipsoid(at.NODULE), 28.0, lungs)

    def _mediastinum(self) -> None:
        canvas, s = self.canvas, self.canvas.s
        heart = canvas.ellipsoid(at.HEART)
        if heart is not None:
            inside = np.zeros_like(canvas.hu)
            inside[heart[1]] = heart[0]
            canvas.fill(canvas.ellipsoid(at.HEART, at.PERICARDIUM_GROW), -75.0, self._body)
            canvas.fill(canvas.ellipsoid(at.HEART, 1.0), 40.0)
            canvas.fill(heart, -70.0)
            for chamber in at.CHAMBERS:
                draw_organ(canvas, chamber, inside)
        draw_vessels(canvas, at.THORACIC, self._body)
        if s < 250:
            draw_vessels(canvas, at.AIRWAYS, self._body)


def _depth(x: Plane, y: Plane, width: float, depth: float, square: float) -> Plane:
    """Depth in mm below an oval whose corners are filled out by the share `square`."""
    u, v = x / np.float32(width), y / np.float32(depth)
    u *= u
    v *= v
    q = u + v
    q += np.float32(1e-6)
    u *= v
    u /= q
    u /= q
    u *= np.float32(-4 * square)
    u += 1
    np.sqrt(q, out=q)
    q *= u
    r = np.sqrt(x * x + y * y)
    return r / q - r


def _above_couch(canvas: Canvas, y: Plane) -> Plane:
    """Height above the pad that the patient's weight has pressed flat."""
    return np.float32(at.COUCH_Y + 2) - np.float32(at.COUCH_HOLLOW) * canvas.x * canvas.x - y


def _couch(canvas: Canvas) -> Plane:
    """A slice of the couch alone: a pad on a thin shell around light foam, slightly hollow."""
    x, y = canvas.axis[None, :], canvas.axis[:, None]
    below = y - np.float32(at.COUCH_Y) + np.float32(at.COUCH_HOLLOW) * x * x
    deep = np.float32(30) - np.float32(0.0003) * x * x
    hu = np.full((canvas.size, canvas.size), at.AIR, np.float32)
    hu += 35 * soft(below) * soft(9 - below) + 75 * soft(below - 9) * soft(9 + deep - below)
    shell = np.maximum(soft(np.float32(0.6) - np.abs(below - 10)), soft(np.float32(0.6) - np.abs(below - 8 - deep)))
    return np.asarray(hu + shell * (-220 - hu), np.float32)

"""Ribs, spine, sternum, clavicles and shoulder blades of one slice."""

from __future__ import annotations

import numpy as np

from huitong.cli.phantom import anatomy as at
from huitong.cli.phantom.canvas import Canvas, Drawn, Plane, Tube, Window, soft
from huitong.cli.phantom.fields import SlowField


class Bones:
    """Draws the skeleton; `grain` is the pattern of spongy bone."""

    def __init__(self, canvas: Canvas, grain: SlowField) -> None:
        self._canvas = canvas
        self._field = grain
        self.grain = np.zeros_like(canvas.hu)
        angle = np.arctan2(np.abs(canvas.x), canvas.y)
        #: Angle from the spine (0) around to the sternum (pi), and how far a rib has sunk there.
        self._angle = angle
        self._sunk = (66 * np.sin(np.clip(angle / 2.1, 0, 1.35) * np.pi / 2) ** 1.5).astype(np.float32)

    def prepare(self, s_mm: float) -> None:
        """Prepare the spongy bone of a slice."""
        self.grain = self._field.at(s_mm)

    def draw(self, cavity_mm: Plane, body: Plane) -> None:
        """Paint all bones of the slice over what is there; `cavity_mm` is the depth inside the ribs' inner surface."""
        grain = self.grain
        self._ribs(cavity_mm, grain)
        self._sternum(body, grain)
        self._shoulders(body, grain)
        self._spine(grain)

    def _ribs(self, cavity_mm: Plane, grain: Plane) -> None:
        canvas = self._canvas
        if canvas.s > at.RIB_TOP + 12 * at.RIB_PITCH + 70:
            return
        place = (np.float32(canvas.s - at.RIB_TOP) - self._sunk) / np.float32(at.RIB_PITCH)
        number = np.clip(np.rint(place), 0, 11)
        down = (place - number) * np.float32(at.RIB_PITCH)
        index = number.astype(np.intp)
        out = (cavity_mm + np.float32(5.2)) / np.float32(3.7)
        round_ = np.sqrt((down / np.float32(6.6)) ** 2 + out * out)
        solid = soft((1 - round_) * np.float32(3.7))
        gristle = soft((at.RIB_CARTILAGE[index].astype(np.float32) - self._angle) * 100, 6)
        canvas.paint(solid * gristle, at.CARTILAGE)
        bone = (
            solid
            * soft((at.RIB_BONE[index].astype(np.float32) - self._angle) * 100, 6)
            * soft((self._angle - 0.17) * 100)
        )
        self._paint(bone, soft((np.float32(0.62) - round_) * np.float32(3.7)), grain, slice(None), 640)

    def _paint(
        self, whole: Plane, marrow: Plane, grain: Plane, window: Window | slice, cortex: float = at.CORTEX
    ) -> None:
        """Compact bone with spongy bone inside."""
        place = (window, window) if isinstance(window, slice) else window
        self._canvas.paint(whole, cortex, place)
        self._canvas.paint(whole * marrow, at.MARROW + 45 * grain[place], place)

    def _solid(
        self, drawn: Drawn, inner: Drawn, grain: Plane, body: Plane | None = None, cortex: float = at.CORTEX
    ) -> None:
        if drawn is None:
            return
        whole, window = drawn
        if body is not None:
            whole = whole * body[window]
        self._canvas.paint(whole, cortex, window)
        if inner is not None:
            marrow = inner[0] if body is None else inner[0] * body[inner[1]]
            self._canvas.paint(marrow, at.MARROW + 45 * grain[inner[1]], inner[1])

    def _sternum(self, body: Plane, grain: Plane) -> None:
        canvas, s = self._canvas, self._canvas.s
        if not 14 < s < 178:
            return
        wide = 27 - 10 * min(max((s - 40) / 30, 0), 1) + 2 * np.sin(s / 9)
        y = at.CAVITY_Y(s) - at.CAVITY_DEPTH(s) - 5
        end = min((s - 14) / 5, (178 - s) / 8, 1)
        ellipse = canvas.ellipse(0, y, wide * end, 6.2)
        self._solid(ellipse, canvas.ellipse(0, y, wide * end - 1.8, 4.4), grain, body, 560)

    def _shoulders(self, body: Plane, grain: Plane) -> None:
        canvas, s = self._canvas, self._canvas.s
        for side in (-1, 1):
            clavicle = Tube(side * 18, -58, 26, 8, side * 62, -52, 6, 6.5)
            outer = clavicle._replace(x1=side * 140.0, y1=-18.0, s1=-12.0)
            for tube in (clavicle, outer):
                self._solid(canvas.tube(tube), canvas.tube(tube, -2.0), grain, body, 700)
            if s < 132:
                self._blade(side, s, body, grain)

    def _blade(self, side: int, s: float, body: Plane, grain: Plane) -> None:
        """The shoulder blade: a thin plate behind the ribs that narrows to its lower angle, with its spine above."""
        canvas = self._canvas
        share = s / 132
        inner, outer = (66 + 12 * share, 76 + 3 * share), (136 - 42 * share, 38 + 44 * share)
        thick = 1.9 + 1.6 * share**3
        plate = Tube(side * inner[0], inner[1], s, thick, side * outer[0], outer[1], s, thick + 1.4 * (1 - share))
        self._solid(canvas.tube(plate), canvas.tube(plate, -1.6), grain, body, 560)
        border = canvas.ellipse(side * outer[0], outer[1], 5.5 - 2 * share, 5.5 - 2 * share)
        self._solid(
            border, canvas.ellipse(side * outer[0], outer[1], 3.4 - 2 * share, 3.4 - 2 * share), grain, body, 600
        )
        if s < 34:
            ridge = Tube(side * 84, 72, s, 1.8, side * (118 + s / 3), 78 - s / 4, s, 3.2)
            self._solid(canvas.tube(ridge), None, grain, body, 520)

    def _spine(self, grain: Plane) -> None:
        canvas, s = self._canvas, self._canvas.s
        level = int(np.searchsorted(at.VERTEBRAE, s, side="right")) - 1
        top, bottom = at.VERTEBRAE[max(level, 0)], at.VERTEBRAE[min(level + 1, len(at.VERTEBRAE) - 1)]
        t = float((s - top) / max(bottom - top, 1))
        lumbar = min(max((s - 230) / 50, 0), 1)
        y, wide, deep = at.SPINE_Y(s), at.VERTEBRA_WIDTH(s), at.VERTEBRA_DEPTH(s)
        self._body(t, y, wide, deep, grain)
        back = y + deep + 8.0
        self._arch(t, back, lumbar, grain)
        canvas.fill(canvas.ellipse(0, back, 9.5 + lumbar, 8.2), -40.0)
        canvas.fill(canvas.ellipse(0, back, 7.6 + lumbar, 6.8), 14.0)
        canvas.fill(canvas.ellipse(0, back, 5.0 - 3.5 * lumbar, 3.8 - 1.6 * lumbar), 38.0)

    def _body(self, t: float, y: float, wide: float, deep: float, grain: Plane) -> None:
        """Vertebral body, waisted, with dense end plates; a disc for the last fifth of the height."""
        canvas = self._canvas
        if t > 0.83:
            canvas.fill(canvas.ellipse(0, y, wide + 0.5, deep + 0.5), at.DISC)
            canvas.fill(canvas.ellipse(0, y + 1, wide * 0.55, deep * 0.55), at.DISC - 14)
            edge = max(0.0, 1 - min(t - 0.83, 1 - t) / 0.03)
        else:
            edge = max(0.0, 1 - min(t, 0.83 - t) / 0.06)
        waist = 1 - 0.13 * np.sin(np.pi * min(t / 0.83, 1))
        share = 1.0 if t <= 0.83 else 0.5 * edge
        if share <= 0:
            return
        whole = canvas.ellipse(0, y, wide * waist, deep * waist)
        marrow = canvas.ellipse(0, y, wide * waist - 1.5, deep * waist - 1.5)
        if whole is None or marrow is None:
            return
        flat = soft(np.float32(y + deep * 0.86) - canvas.y[whole[1]])  # the side towards the canal is flat
        canvas.paint(whole[0] * flat * np.float32(share), 540.0 + 160 * edge, whole[1])
        flat = soft(np.float32(y + deep * 0.86 - 1.4) - canvas.y[marrow[1]])
        inner = marrow[0] * flat * np.float32(share)
        canvas.paint(inner, at.MARROW - 20 + 170 * edge + 60 * grain[marrow[1]], marrow[1])

    def _arch(self, t: float, back: float, lumbar: float, grain: Plane) -> None:
        """Pedicles, laminae, transverse and spinous processes, each at its height of the vertebra."""
        s = self._canvas.s
        for side in (-1, 1):
            if 0.08 < t < 0.55:
                self._bar(
                    (side * (11 + 3 * lumbar), back - 9), (side * (12 + 3 * lumbar), back + 2), 3.6 + lumbar, grain
                )
            if 0.18 < t < 0.52:
                tip = (side * (30 + 5 * lumbar), back + 8 - 9 * lumbar)
                self._bar((side * 12, back + 4 - 3 * lumbar), tip, 3.2, grain, 0.7)
            # Laminae meet behind the canal; between vertebrae the facets stand in their place.
            middle = (0, back + 13) if 0.3 < t < 0.95 else (side * 9.0, back + 9)
            self._bar((side * (12.5 + 2 * lumbar), back + 5), middle, 3.0, grain)
            if t > 0.75 or t < 0.2:
                self._bar((side * (14 + 3 * lumbar), back + 4), (side * (15 + 4 * lumbar), back + 9), 4.2, grain)
            if lumbar == 0 and 0.0 <= t < 0.45 and s > 8:
                self._bar((side * 16, back - 8), (side * 36, back + 4), 3.8, grain)
        if t > 0.38 or t < 0.06:
            reach = 15 + 6 * lumbar
            self._bar((0, back + 13), (0, back + 13 + reach), 2.4 + 1.0 * lumbar, grain)

    def _bar(
        self, start: tuple[float, float], end: tuple[float, float], radius: float, grain: Plane, taper: float = 1.0
    ) -> None:
        tube = Tube(*start, self._canvas.s, radius, *end, self._canvas.s, radius * taper)
        self._solid(self._canvas.tube(tube), self._canvas.tube(tube, -1.1), grain, None, 480)

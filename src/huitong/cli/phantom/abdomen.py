"""The organs below the diaphragm in one slice."""

from __future__ import annotations

import numpy as np

from huitong.cli.phantom import anatomy as at
from huitong.cli.phantom.canvas import Canvas, Ellipsoid, Plane, Tube, soft


class Abdomen:
    """Draws liver, spleen, kidneys, stomach, bowel and their vessels into the canvas."""

    def __init__(self, canvas: Canvas, trees: dict[str, Plane], loops: tuple[at.Vessel, ...]) -> None:
        self.canvas = canvas
        self._trees, self._loops = trees, loops

    def draw(self, inside: Plane, mottle: Plane, grain: Plane) -> None:
        """Paint everything below the diaphragm, back to front; `grain` is a fine pattern of another kind."""
        canvas, texture = self.canvas, self.canvas.texture
        if canvas.s < 160:
            return
        canvas.paint(inside, np.float32(at.FAT) + 5 * texture + 5 * mottle)
        self._retroperitoneum(inside, grain)
        for organ in at.ABDOMINAL[:1]:
            draw_organ(canvas, organ, inside)
        self._liver(inside, mottle)
        for organ in at.ABDOMINAL[1:]:
            draw_organ(canvas, organ, inside)
        self._gas(at.ABDOMINAL[1].shapes[0], inside)
        for tube in at.PANCREAS:
            canvas.fill(canvas.tube(tube), 95, inside, 20)
        draw_vessels(canvas, at.VISCERAL_VESSELS, inside)
        canvas.paint(canvas.dots(self._trees["mesentery"]) * inside * soft(canvas.hu * -1 - 40, 40), 120.0)
        for vessel in (*self._loops, *at.BOWEL):
            self._bowel(vessel, inside)

    def _retroperitoneum(self, inside: Plane, grain: Plane) -> None:
        canvas, s = self.canvas, self.canvas.s
        spine = at.SPINE_Y(s)
        if s > 262:
            large = min((s - 262) / 90, 1.0)
            for side in (-1, 1):
                canvas.fill(
                    canvas.ellipse(side * (28 + 8 * large), spine + 2, 7 + 10 * large, 8 + 12 * large), 62, None, 6
                )
                canvas.fill(canvas.ellipse(side * 60, spine + 24, 20, 9, side * -25), 60, None, 6)
        self._kidneys(inside, grain)

    def _kidneys(self, inside: Plane, grain: Plane) -> None:
        canvas = self.canvas
        for kidney in at.KIDNEYS:
            whole = canvas.ellipsoid(kidney)
            if whole is None:
                continue
            canvas.fill(whole, 186, inside, 3)
            core = canvas.ellipsoid(kidney, -8.5)
            if core is not None:  # medulla: fainter, in wedges
                wedges = np.clip(0.75 + 0.6 * grain[core[1]], 0, 1)
                canvas.fill((core[0] * wedges, core[1]), 164.0, inside)
            inward = -np.sign(kidney.x)
            sinus = Ellipsoid(kidney.x + inward * 11, kidney.y - 8, kidney.s, 15, 11, 30, kidney.turn_deg)
            canvas.fill(canvas.ellipsoid(sinus), -75.0, inside, 18)
            canvas.fill(canvas.ellipsoid(sinus._replace(a=6, b=5, c=20)), 35.0, inside)
        canvas.fill(canvas.ellipsoid(at.CYSTS[1]), 6.0, inside)

    def _liver(self, inside: Plane, mottle: Plane) -> None:
        canvas, s = self.canvas, self.canvas.s
        visceral = np.float32(302 - s) - (canvas.x + 70) * np.float32(0.52) - np.abs(canvas.y + 10) * np.float32(0.12)
        visceral += 7 * np.sin(canvas.y / 17) + 4 * mottle
        inside = inside * soft(visceral, 2.5)
        liver = np.zeros_like(inside)
        for shape in at.LIVER:
            drawn = canvas.ellipsoid(shape)
            if drawn is not None:
                liver[drawn[1]] = np.maximum(liver[drawn[1]], drawn[0] * inside[drawn[1]])
        if liver.max() <= 0:
            return
        canvas.paint(liver, 112 + 4 * canvas.texture + 2.5 * mottle)
        for tree, hu in (("portal", 156.0), ("hepatic", 148.0)):
            canvas.paint(canvas.dots(self._trees[tree], grow=0.2) * liver * np.float32(0.85), hu)
        canvas.fill(canvas.ellipsoid(at.CYSTS[0]), 8.0, liver)

    def _gas(self, shape: Ellipsoid, inside: Plane) -> None:
        """Air in front of the stomach's content, with a level: the patient lies on his back."""
        lumen = self.canvas.ellipsoid(shape, -4)
        if lumen is not None:
            level = soft(np.float32(shape.y - 14) - self.canvas.y[lumen[1]])
            self.canvas.fill((lumen[0] * level, lumen[1]), -985.0, inside)

    def _bowel(self, vessel: at.Vessel, inside: Plane) -> None:
        canvas = self.canvas
        (wall, wall_hu), (shrink, content) = vessel.shells
        colon = content < 20
        for tube in vessel.tubes:
            canvas.fill(canvas.tube(tube, wall), wall_hu, inside, 6)
        for tube in vessel.tubes:
            lumen = canvas.tube(tube, shrink)
            if lumen is None:
                continue
            canvas.fill(lumen, content, inside, 26 if colon else 7)
            if colon:
                middle = _height(tube, canvas.s)
                bubbles = canvas.y[lumen[1]] - middle + 4 + 7 * np.clip(canvas.texture[lumen[1]], -1.5, 1.5)
                canvas.fill((lumen[0] * soft(-bubbles, 2.0), lumen[1]), -960.0, inside)


def draw_vessels(canvas: Canvas, vessels: tuple[at.Vessel, ...], inside: Plane) -> None:
    """All walls, then all that flows in them, so that where two meet no wall is between."""
    for layer in range(max(len(vessel.shells) for vessel in vessels)):
        for vessel in vessels:
            for grow_mm, hu in vessel.shells[layer : layer + 1]:
                for tube in vessel.tubes:
                    canvas.fill(canvas.tube(tube, grow_mm), hu, inside)


def draw_organ(canvas: Canvas, organ: at.Organ, inside: Plane) -> None:
    """All shapes of each shell, so that an organ of several parts is one."""
    for shrink, hu in organ.shells:
        for shape in organ.shapes:
            canvas.fill(canvas.ellipsoid(shape, -shrink), hu, inside, 4)


def _height(tube: Tube, s: float) -> np.float32:
    share = min(max((s - tube.s0) / ((tube.s1 - tube.s0) or 1e-6), 0), 1)
    return np.float32(tube.y0 + share * (tube.y1 - tube.y0))

"""Lines, marks and words over a picture drawn without a browser: the layers that the page has, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.steps.viewing.camera import Camera
from smalti.steps.viewing.colours import INKS, ground_of, lookup, word_ink
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.lettering import HEIGHT, width_of, write
from smalti.steps.viewing.options import LAYERS, ViewOptions
from smalti.steps.viewing.placing import Layout
from smalti.steps.viewing.rings import RING_KINDS, Ring
from smalti.steps.viewing.scene import Shot
from smalti.steps.viewing.seeing import band_of
from smalti.steps.viewing.session import Session
from smalti.steps.viewing.spots import KINDS, Spots
from smalti.steps.viewing.strokes import Strokes, box, circle, cross
from smalti.steps.viewing.thresholding import strong_pixels

__all__ = ["View", "draw", "layers_of", "letter_size"]

Array = NDArray[np.float64]
LEAST_MARK = 5.0
LARGE = 700
"""px: pictures from this width on have letters of twice the size."""


@dataclass(frozen=True)
class View:
    """What is drawn, and from where."""

    session: Session
    options: ViewOptions
    shot: Shot
    roll: Roll
    layout: Layout
    camera: Camera

    def screen(self, panel: NDArray[np.intp], px: Array) -> Array:
        """Places on the picture (N, 2) of positions on panels."""
        return self.camera.screen(self.layout.place(panel, px))

    @property
    def frames(self) -> tuple[int, int]:
        """The array indices between which the frames lie."""
        _, index = self.session.scene.gallery.find(self.shot.frame)
        return self.roll.start + index, self.roll.start + index + self.shot.n

    def rings(self, kind: str) -> tuple[Ring, ...]:
        """The rings that suit what is seen."""
        camera = self.camera
        extent = np.array([camera.width, camera.height]) / camera.zoom
        corner = np.array(camera.centre) - 0.5 * extent
        models = self.session.experiment(self.roll, "after")
        band = band_of(self.layout, models, corner, extent, camera.zoom)
        return self.session.rings(self.roll, kind, "after", band)

    @property
    def spots(self) -> Spots:
        """Spots of the tables on these frames."""
        return self.session.spots.on(self.roll.number, *self.frames)


def letter_size(width: int) -> int:
    """Pixels a dot of the letters on a picture."""
    return 2 if width >= LARGE else 1


def layers_of(show: str) -> tuple[str, ...]:
    """Read a list of layers.

    Raises
    ------
    UsageError
        One is not known.
    """
    names = tuple(name.strip() for name in show.split(",") if name.strip() and name.strip() != "none")
    strange = [name for name in names if name not in LAYERS]
    if strange:
        raise UsageError(
            f"There is no layer '{strange[0]}'.", f"Known: {', '.join(LAYERS)}, none.", "Choose from these."
        )
    return names


def draw(rgb: NDArray[np.uint8], view: View) -> None:
    """Draw the layers that are asked for over a picture, in place; words last, so that no mark hides them."""
    shown = layers_of(view.options.show)
    for name in shown:
        if name == "names":
            continue
        strokes = Strokes((view.camera.height, view.camera.width))
        for points in _LINES.get(name, _spot_lines)(name, view):
            strokes.polyline(points)
        strokes.onto(rgb, INKS[name])
    for name in shown:
        if name in RING_KINDS:
            _name_rings(rgb, name, view)
        elif name == "names":
            _name_panels(rgb, view)


def _spot_lines(name: str, view: View) -> Iterator[Array]:
    found = view.spots
    centre = view.screen(found.panel, found.observed)
    for row in np.flatnonzero(found.kind == KINDS.index(name)).tolist():
        radius = max(LEAST_MARK, (float(found.size[row]) + 1.0) * view.camera.zoom)
        if name == "spots":
            yield box(centre[row], radius)
        elif name == "indexed":
            yield circle(centre[row], radius)
        else:
            yield from cross(centre[row], radius, diagonal=True)


def _arrow_lines(name: str, view: View) -> Iterator[Array]:
    found = view.spots
    ends = found.observed + view.options.magnify * (found.predicted - found.observed)
    centre, tips = view.screen(found.panel, found.observed), view.screen(found.panel, ends)
    known = np.isfinite(tips).all(axis=1)
    yield from (np.stack(pair) for pair in zip(centre[known], tips[known], strict=True))


def _predicted_lines(name: str, view: View) -> Iterator[Array]:
    found = view.session.predictions(view.roll, *view.frames, "after")
    radius = max(LEAST_MARK, 2.0 * view.camera.zoom)
    for point in view.screen(found.panel, found.px):
        yield from cross(point, radius, diagonal=False)


def _panel_lines(name: str, view: View) -> Iterator[Array]:
    for outline in view.layout.corners():
        yield view.camera.screen(np.vstack([outline, outline[:1]]))


def _ring_lines(name: str, view: View) -> Iterator[Array]:
    for ring in view.rings(name):
        for panel, px in ring.pieces:
            yield view.screen(np.full(len(px), panel), px)


def _strong_lines(name: str, view: View) -> Iterator[Array]:
    """A box around every strong pixel of the raw image; in the laboratory each is in its panel's place."""
    scene = view.session.scene
    stack, ground = scene.stack(replace(view.shot, picture=None)), scene.ground(view.roll)
    strong = strong_pixels(stack, ground, view.session.finders.chosen)
    slow, fast = np.divmod(strong, stack.total.shape[1])
    for number, (x, y, width, height) in enumerate(view.layout.windows.tolist()):
        here = (fast >= x) & (fast < x + width) & (slow >= y) & (slow < y + height)
        middle = np.column_stack([fast[here] - x, slow[here] - y]) + 0.5
        for point in view.screen(np.full(len(middle), number), middle):
            yield box(point, max(1.0, view.camera.zoom / 2.0))


_LINES: Mapping[str, Callable[[str, View], Iterator[Array]]] = {
    "arrows": _arrow_lines,
    "predicted": _predicted_lines,
    "panels": _panel_lines,
    "threshold": _strong_lines,
    **dict.fromkeys(RING_KINDS, _ring_lines),
}


def _name_rings(rgb: NDArray[np.uint8], kind: str, view: View) -> None:
    """Write the name of each ring at its highest point; names that would lie on one another are left out."""
    size = letter_size(view.camera.width)
    high = (HEIGHT + 3) * size
    named: list[tuple[float, float, float]] = []
    for ring in view.rings(kind):
        wide = width_of(ring.name, size)
        points = [view.screen(np.full(len(px), panel), px) for panel, px in ring.pieces]
        all_points = np.vstack(points) if points else np.zeros((0, 2))
        low, top = (wide / 2.0, high), (view.camera.width - wide / 2.0, view.camera.height)
        inside = all_points[np.all((all_points > low) & (all_points < top), axis=1)]
        if len(inside) == 0:
            continue
        x, y = inside[np.argmin(inside[:, 1])].tolist()
        if any(abs(x - a) < (wide + w) / 2.0 + size and abs(y - b) < high for a, b, w in named):
            continue
        named.append((x, y, wide))
        _word(rgb, ring.name, (x - wide / 2.0, y - high), kind, view)


def _name_panels(rgb: NDArray[np.uint8], view: View) -> None:
    """Write number and name of each panel into its corner, as far as there is room for them."""
    size = letter_size(view.camera.width)
    panels = view.roll.experiment.detector.panels
    for number, outline in enumerate(view.layout.corners()):
        corners = view.camera.screen(outline)
        (x, y), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        room = right - x - 6 * size
        words = (f"{number} {panels[number].name}", f"{number}")
        text = next((text for text in words if width_of(text, size) <= room), "")
        seen = right > 0 and bottom > 0 and x < view.camera.width and y < view.camera.height
        if text and seen and bottom - y > (HEIGHT + 4) * size:
            _word(rgb, text, (max(x, 0.0) + 3 * size, max(y, 0.0) + 3 * size), "names", view)


def _word(rgb: NDArray[np.uint8], text: str, at: tuple[float, float], name: str, view: View) -> None:
    """Write in the ink of a layer, with a rim of the colour of no counts."""
    ground = ground_of(lookup(view.options.colours, view.options.invert))
    rim = (255, 255, 255) if ground == "light" else (0, 0, 0)
    write(rgb, text, at, word_ink(name, ground), letter_size(view.camera.width), rim)

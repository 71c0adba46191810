"""A view as an array of colours, without a screen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.steps.viewing.colours import INKS, NO_COUNT, ground_of, lookup
from smalti.steps.viewing.explained import COUNTS, Picture
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.options import LAYERS, ViewOptions
from smalti.steps.viewing.placing import Layout
from smalti.steps.viewing.pyramid import Code
from smalti.steps.viewing.rings import RING_KINDS
from smalti.steps.viewing.scene import Shot
from smalti.steps.viewing.session import Session
from smalti.steps.viewing.spots import KINDS
from smalti.steps.viewing.strokes import Strokes, box, circle, cross
from smalti.steps.viewing.thresholding import strong_pixels

__all__ = ["Camera", "render"]

Array = NDArray[np.float64]
LEAST_MARK = 5.0


@dataclass(frozen=True)
class Camera:
    """Which part of a layout is seen: screen px = zoom * (view px - centre) + half the screen."""

    zoom: float
    centre: tuple[float, float]
    width: int
    height: int

    @classmethod
    def of(cls, options: ViewOptions, layout: Layout) -> Camera:
        """Make the camera that the options ask for."""
        wide, high = layout.size.tolist()
        height = options.height or (
            max(16, round(options.width * high / wide)) if options.zoom == 0 else options.width
        )
        zoom = options.zoom or min(options.width / wide, height / high)
        return cls(zoom, options.centre or (wide / 2.0, high / 2.0), options.width, height)

    def screen(self, points: Array) -> Array:
        """Places on the screen of points (..., 2) of the layout."""
        half = np.array([self.width, self.height]) / 2.0
        return np.asarray((points - np.array(self.centre)) * self.zoom + half)

    def scaled(self, factor: int) -> Camera:
        """The same view in more pixels."""
        return Camera(self.zoom * factor, self.centre, self.width * factor, self.height * factor)


def render(session: Session, options: ViewOptions) -> NDArray[np.uint8]:
    """Draw a view, (height, width, 3); what the page would show for the same choices.

    Raises
    ------
    UsageError
        There is no such frame or layer.
    """
    scene = session.scene
    shown = None if options.map == COUNTS else Picture(session.finders.chosen, options.map)
    shot = scene.shot(options.frame - 1, options.sum, options.how, shown)
    roll = scene.roll(shot)
    layout = session.layout(roll, options.place)
    camera = Camera.of(options, layout)
    level = int(np.clip(np.floor(np.log2(1.0 / camera.zoom)), 0, scene.overview(roll)))
    # A screen pixel that covers more than one of the level takes the mean of four places in it.
    finer = 2 if camera.zoom * (1 << level) < 0.95 else 1
    rgb = _colours(session, options, shot, layout, camera.scaled(finer), level)
    if finer > 1:
        rgb = (
            rgb.reshape(camera.height, finer, camera.width, finer, 3)
            .mean(axis=(1, 3))
            .round()
            .astype(np.uint8)
        )
    for name in layers_of(options.show):
        _draw(name, rgb, session, options, shot, roll, layout, camera)
    return rgb


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


def _colours(
    session: Session, options: ViewOptions, shot: Shot, layout: Layout, camera: Camera, level: int
) -> NDArray[np.uint8]:
    values, divisor = session.scene.level(shot, level, options.pool)
    contrast = session.scene.contrast(shot)
    low = contrast.low if options.low is None else options.low
    high = contrast.high if options.high is None else options.high
    rgb = np.empty((camera.height, camera.width, 3), dtype=np.uint8)
    table = lookup(options.colours, options.invert)
    rgb[:] = NO_COUNT[ground_of(table)]["nothing"]
    for patch, linear, offset in _patches(session.scene.roll(shot), layout):
        at, index = _sampled(camera, patch, linear, offset, values.shape, level)
        rgb[at] = _painted(values[index], divisor, low, high, options.scale, table)
    return rgb


def _patches(roll: Roll, layout: Layout) -> list[tuple[tuple[int, int, int, int], Array, Array]]:
    """Parts of the raw frame (first fast, slow, width, height) and their affine places on the view."""
    if layout.kind == "image":
        return [((0, 0, *roll.size), np.eye(2), np.zeros(2))]
    return [
        (tuple(window), linear, offset)
        for window, linear, offset in zip(layout.windows.tolist(), layout.linear, layout.offset, strict=True)
    ]


def _sampled(
    camera: Camera,
    patch: tuple[int, int, int, int],
    linear: Array,
    offset: Array,
    shape: tuple[int, ...],
    level: int,
) -> tuple[Any, Any]:
    """Which screen pixels a patch covers, and which pixels of the level they show."""
    fast, slow, width, height = patch
    corners = np.array([[0.0, 0.0], [width, 0.0], [width, height], [0.0, height]]) @ linear.T + offset
    screen = camera.screen(corners)
    x0, y0 = np.clip(np.floor(screen.min(axis=0)), 0, (camera.width, camera.height)).astype(int)
    x1, y1 = np.clip(np.ceil(screen.max(axis=0)), 0, (camera.width, camera.height)).astype(int)
    half = np.array([camera.width, camera.height]) / 2.0
    inverse = np.linalg.inv(linear)
    x = (np.arange(x0, x1) + 0.5 - half[0]) / camera.zoom + camera.centre[0] - offset[0]
    y = (np.arange(y0, y1) + 0.5 - half[1]) / camera.zoom + camera.centre[1] - offset[1]
    px = inverse[0, 0] * x[None, :] + inverse[0, 1] * y[:, None]
    py = inverse[1, 0] * x[None, :] + inverse[1, 1] * y[:, None]
    row, column = np.nonzero((px >= 0) & (px < width) & (py >= 0) & (py < height))
    i = (px[row, column].astype(np.intp) + fast) >> level
    j = (py[row, column].astype(np.intp) + slow) >> level
    at = (row + y0, column + x0)
    return at, (np.minimum(j, shape[0] - 1), np.minimum(i, shape[1] - 1))


def _painted(
    values: NDArray[Any], divisor: int, low: float, high: float, scale: str, table: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """Colours (N, 3) of pixels (N,) as they travel."""
    lowest = int(np.iinfo(values.dtype).min)
    t = np.clip((values / divisor - low) / max(high - low, 1e-9), 0.0, 1.0)
    if scale == "sqrt":
        t = np.sqrt(t)
    elif scale == "log":
        t = np.log1p(t * max(high - low, 1e-9)) / np.log1p(max(high - low, 1e-9))
    rgb = table[np.round(t * (len(table) - 1)).astype(np.intp)]
    for code in Code:
        rgb[values == lowest + code] = NO_COUNT[ground_of(table)][code.name.lower()]
    return rgb


def _draw(
    name: str,
    rgb: NDArray[np.uint8],
    session: Session,
    options: ViewOptions,
    shot: Shot,
    roll: Roll,
    layout: Layout,
    camera: Camera,
) -> None:
    """Draw one layer over a picture."""
    lines: list[Array] = []
    if name in (*KINDS, "arrows"):
        lines = _spot_lines(name, session, options, shot, roll, layout, camera)
    elif name == "predicted":
        _, index = session.scene.gallery.find(shot.frame)
        begin = roll.start + index
        found = session.predictions(roll, begin, begin + shot.n, "after")
        radius = max(LEAST_MARK, 2.0 * camera.zoom)
        for point in camera.screen(layout.place(found.panel, found.px)):
            lines += cross(point, radius, diagonal=False)
    elif name == "panels":
        lines = [camera.screen(np.vstack([outline, outline[:1]])) for outline in layout.corners()]
    elif name in RING_KINDS:
        for ring in session.rings(roll, name, "after"):
            for panel, px in ring.pieces:
                lines.append(camera.screen(layout.place(np.full(len(px), panel), px)))
    elif name == "threshold":
        lines = _strong_lines(session, shot, roll, layout, camera)
    strokes = Strokes((camera.height, camera.width))
    for points in lines:
        strokes.polyline(points)
    strokes.onto(rgb, INKS[name])


def _spot_lines(
    name: str,
    session: Session,
    options: ViewOptions,
    shot: Shot,
    roll: Roll,
    layout: Layout,
    camera: Camera,
) -> list[Array]:
    _, index = session.scene.gallery.find(shot.frame)
    begin = roll.start + index
    found = session.spots.on(roll.number, begin, begin + shot.n)
    lines: list[Array] = []
    centre = camera.screen(layout.place(found.panel, found.observed))
    if name == "arrows":
        ends = found.observed + options.magnify * (found.predicted - found.observed)
        tips = camera.screen(layout.place(found.panel, ends))
        known = np.isfinite(tips).all(axis=1)
        return [np.stack(pair) for pair in zip(centre[known], tips[known], strict=True)]
    for row in np.flatnonzero(found.kind == KINDS.index(name)).tolist():
        radius = max(LEAST_MARK, (float(found.size[row]) + 1.0) * camera.zoom)
        if name == "spots":
            lines.append(box(centre[row], radius))
        elif name == "indexed":
            lines.append(circle(centre[row], radius))
        else:
            lines += cross(centre[row], radius, diagonal=True)
    return lines


def _strong_lines(session: Session, shot: Shot, roll: Roll, layout: Layout, camera: Camera) -> list[Array]:
    """A box around every strong pixel of the raw image; in the laboratory each is in its panel's place."""
    stack, ground = session.scene.stack(replace(shot, picture=None)), session.scene.ground(roll)
    strong = strong_pixels(stack, ground, session.finders.chosen)
    slow, fast = np.divmod(strong, stack.total.shape[1])
    lines: list[Array] = []
    for number, (x, y, width, height) in enumerate(layout.windows.tolist()):
        here = (fast >= x) & (fast < x + width) & (slow >= y) & (slow < y + height)
        middle = np.column_stack([fast[here] - x, slow[here] - y]) + 0.5
        points = camera.screen(layout.place(np.full(len(middle), number), middle))
        lines += [box(point, max(1.0, camera.zoom / 2.0)) for point in points]
    return lines

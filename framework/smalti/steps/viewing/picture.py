"""A view as an array of colours, without a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.camera import Camera
from smalti.steps.viewing.colours import NO_COUNT, ground_of, lookup
from smalti.steps.viewing.drawing import View, draw
from smalti.steps.viewing.explained import COUNTS, Picture
from smalti.steps.viewing.gallery import Roll
from smalti.steps.viewing.legend import with_legend
from smalti.steps.viewing.options import ViewOptions
from smalti.steps.viewing.placing import Layout
from smalti.steps.viewing.pyramid import Code
from smalti.steps.viewing.scene import Shot
from smalti.steps.viewing.session import Session

__all__ = ["render"]

Array = NDArray[np.float64]


def render(session: Session, options: ViewOptions) -> NDArray[np.uint8]:
    """Draw a view, (height, width, 3); what the page would show for the same choices.

    Raises
    ------
    UsageError
        There is no such frame, picture or layer.
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
    view = View(session, options, shot, roll, layout, camera)
    draw(rgb, view)
    return with_legend(rgb, view) if options.legend else rgb


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

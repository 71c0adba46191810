"""Regions drawn by hand, as masks that importing and finding take."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError, UsageError
from smalti.steps.viewing.placing import Layout
from smalti.storage import write_whole

__all__ = ["Shape", "mask_of", "read_shapes", "shape_from", "write_mask"]

Array = NDArray[np.float64]
Kind = Literal["rectangle", "circle", "polygon"]
Place = Literal["image", "lab"]
MOST_POINTS = 2000
_HEADING = """\
# Untrusted regions, drawn in smalti view. Points are in pixels of the place that they were drawn on: the raw
# image, or the detector at its true place ("lab"). A rectangle has two corners, a circle its centre and a
# point on its rim, a polygon its corners. smalti view reads this file again.
"""


@dataclass(frozen=True)
class Shape:
    """One untrusted region.

    Attributes
    ----------
    kind : str
    place : str
        The layout on which it was drawn.
    points : tuple of (x, y)
        Pixels of that layout.
    """

    kind: Kind
    place: Place
    points: tuple[tuple[float, float], ...]

    def holds(self, xy: Array) -> NDArray[np.bool_]:
        """Tell which points (N, 2) of the layout are inside, (N,)."""
        points = np.array(self.points)
        if self.kind == "rectangle":
            return np.asarray(np.all((xy >= points.min(axis=0)) & (xy <= points.max(axis=0)), axis=1))
        if self.kind == "circle":
            radius = np.linalg.norm(points[1] - points[0])
            return np.asarray(np.linalg.norm(xy - points[0], axis=1) <= radius)
        return _in_polygon(xy, points)

    def bounds(self) -> Array:
        """Least and greatest x and y, (2, 2)."""
        points = np.array(self.points)
        if self.kind == "circle":
            radius = np.linalg.norm(points[1] - points[0])
            return np.stack([points[0] - radius, points[0] + radius])
        return np.stack([points.min(axis=0), points.max(axis=0)])


def shape_from(item: Any) -> Shape:
    """Check a shape that came from outside.

    Raises
    ------
    UsageError
        It is no shape.
    """
    try:
        kind, place = str(item["kind"]), str(item["place"])
        points = tuple((float(x), float(y)) for x, y in item["points"])
    except (KeyError, TypeError, ValueError):
        raise _no_shape("It needs kind, place and points.") from None
    least = 3 if kind == "polygon" else 2
    if kind not in get_args(Kind) or place not in get_args(Place):
        raise _no_shape(f"There is no {kind} on {place}.")
    if not least <= len(points) <= MOST_POINTS or not np.isfinite(points).all():
        raise _no_shape(f"A {kind} has at least {least} points, all of them numbers.")
    return Shape(kind, place, points)  # type: ignore[arg-type]


def _no_shape(why: str) -> UsageError:
    return UsageError("A region cannot be understood.", why, "Draw it again.")


def _in_polygon(xy: Array, corners: Array) -> NDArray[np.bool_]:
    """Even-odd rule: a ray to the right crosses the outline an odd number of times."""
    inside = np.zeros(len(xy), dtype=bool)
    x, y = xy.T
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        between = (y0 > y) != (y1 > y)
        inside ^= between & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


def mask_of(
    shapes: Sequence[Shape], layouts: Mapping[str, Layout], size: tuple[int, int]
) -> NDArray[np.bool_]:
    """Give the pixels of the raw frame (fast, slow) that no shape covers, (slow, fast), True is good.

    A pixel is covered when its middle is; shapes reach over as many panels as they touch.
    """
    good = np.ones((size[1], size[0]), dtype=bool)
    for shape in shapes:
        layout = layouts[shape.place]
        low, high = shape.bounds()
        corners = layout.corners()
        near = np.all((corners.max(axis=1) >= low) & (corners.min(axis=1) <= high), axis=1)
        for panel in np.flatnonzero(near).tolist():
            _cover(good, shape, layout, panel)
    return good


def _cover(good: NDArray[np.bool_], shape: Shape, layout: Layout, panel: int) -> None:
    fast, slow, width, height = layout.windows[panel].tolist()
    low, high = shape.bounds()
    box = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])
    local = np.linalg.solve(layout.linear[panel], (box - layout.offset[panel]).T).T
    x0, y0 = np.clip(np.floor(local.min(axis=0)), 0, (width, height)).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(local.max(axis=0)), 0, (width, height)).astype(int).tolist()
    if x1 <= x0 or y1 <= y0:
        return
    grid = np.stack(np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5), axis=-1).reshape(-1, 2)
    inside = shape.holds(layout.place(np.full(len(grid), panel), grid)).reshape(y1 - y0, x1 - x0)
    good[slow + y0 : slow + y1, fast + x0 : fast + x1] &= ~inside


def write_mask(path: Path, mask: NDArray[np.bool_], shapes: Sequence[Shape]) -> tuple[Path, Path]:
    """Write a mask (NumPy array, True is good) and its shapes beside it (TOML); give both paths."""
    buffer = BytesIO()
    np.save(buffer, mask, allow_pickle=False)
    write_whole(path, buffer.getvalue())
    told = path.with_suffix(".toml")
    blocks = [
        f'[[region]]\nkind = "{shape.kind}"\nplace = "{shape.place}"\n'
        f"points = [{', '.join(f'[{x:.6g}, {y:.6g}]' for x, y in shape.points)}]\n"
        for shape in shapes
    ]
    write_whole(told, "\n".join([_HEADING, *blocks]).encode())
    return path, told


def read_shapes(path: Path) -> tuple[Shape, ...]:
    """Read the shapes beside a mask; none where there is no such file.

    Raises
    ------
    InputError
        The file is no list of regions.
    """
    told = path.with_suffix(".toml")
    if not told.is_file():
        return ()
    try:
        return tuple(
            shape_from(item) for item in tomllib.loads(told.read_text(encoding="utf-8")).get("region", ())
        )
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, UsageError, AttributeError) as error:
        raise InputError(
            f"{told} does not hold regions.",
            f"{error}".replace("\n", " "),
            "Move it away, or name another --mask-file.",
        ) from None

"""Lines, circles and boxes on a picture, without a drawing library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Strokes", "box", "circle", "cross"]

Array = NDArray[np.float64]
STEP = 0.4
"""px between the points that a line is made of."""


class Strokes:
    """Lines gathered in one colour, then laid over a picture with soft edges.

    Parameters
    ----------
    shape : (height, width)
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._cover = np.zeros(shape)

    def polyline(self, points: Array) -> None:
        """Draw a line through points (N, 2), x and y in px of the picture."""
        a, b = points[:-1], points[1:]
        height, width = self._cover.shape
        # Pieces that are nowhere near the picture would cost as many points as those that are.
        near = np.all((np.maximum(a, b) > -2.0) & (np.minimum(a, b) < (width + 2.0, height + 2.0)), axis=1)
        for start, end in zip(a[near], b[near], strict=True):
            n = int(np.ceil(np.linalg.norm(end - start) / STEP)) + 1
            self._dots(start + np.linspace(0.0, 1.0, n)[:, None] * (end - start))

    def _dots(self, points: Array) -> None:
        """Cover the four pixels around each point as much as it is near to each."""
        height, width = self._cover.shape
        at = points - 0.5
        corner = np.floor(at).astype(np.intp)
        part = at - corner
        for dx in (0, 1):
            for dy in (0, 1):
                x, y = corner[:, 0] + dx, corner[:, 1] + dy
                weight = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
                ok = (x >= 0) & (x < width) & (y >= 0) & (y < height)
                np.maximum.at(self._cover, (y[ok], x[ok]), weight[ok])

    def onto(self, rgb: NDArray[np.uint8], ink: tuple[int, int, int]) -> None:
        """Lay the lines over a picture (height, width, 3), in place."""
        rows = np.nonzero(self._cover)
        share = np.minimum(1.0, 1.6 * self._cover[rows])[:, None]
        rgb[rows] = np.round(rgb[rows] * (1.0 - share) + np.array(ink) * share).astype(np.uint8)


def circle(centre: Array, radius: float) -> Array:
    """Points of a circle, (N, 2)."""
    turn = np.linspace(0.0, 2.0 * np.pi, 25)
    return np.asarray(centre + radius * np.column_stack([np.cos(turn), np.sin(turn)]))


def box(centre: Array, radius: float) -> Array:
    """Points of a square, (5, 2)."""
    corners = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0]])
    return np.asarray(centre + radius * corners)


def cross(centre: Array, radius: float, diagonal: bool) -> tuple[Array, Array]:
    """The two lines of a cross."""
    a, b = ((1.0, 1.0), (1.0, -1.0)) if diagonal else ((1.0, 0.0), (0.0, 1.0))
    first, second = np.array([a, b]) * radius
    return np.stack([centre - first, centre + first]), np.stack([centre - second, centre + second])

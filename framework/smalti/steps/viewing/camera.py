"""Which part of a layout is drawn, where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.viewing.options import ViewOptions
from smalti.steps.viewing.placing import Layout

__all__ = ["Camera"]

Array = NDArray[np.float64]


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

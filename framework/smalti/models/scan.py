"""The scan: which images were taken at which angles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Scan"]


@dataclass(frozen=True, slots=True)
class Scan:
    """A sweep of consecutive images.

    Attributes
    ----------
    image_range : tuple of int
        First and last image number, counted from 1, inclusive.
    oscillation : tuple of float
        Angle at the start of the first image and width of an image, radians.
    exposure_times, epochs : tuple of float
        Seconds, one per image (may be empty).
    batch_offset : int
        Carried through.
    """

    image_range: tuple[int, int]
    oscillation: tuple[float, float]
    exposure_times: tuple[float, ...] = ()
    epochs: tuple[float, ...] = ()
    batch_offset: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.image_range[1] - self.image_range[0] + 1

    @property
    def array_range(self) -> tuple[int, int]:
        """Half-open range of array indices z: the first image covers [image_range[0] - 1, image_range[0])."""
        return self.image_range[0] - 1, self.image_range[1]

    @property
    def angle_range(self) -> tuple[float, float]:
        """Angles at the start of the first and the end of the last image, radians."""
        start, width = self.oscillation
        return start, start + width * self.n_images

    def angle(self, z: ArrayLike) -> NDArray[np.float64]:
        """Rotation angle (radians) at array index z (image units, may be fractional)."""
        start, width = self.oscillation
        return np.asarray(start + (np.asarray(z, dtype=float) - self.array_range[0]) * width)

    def array_index(self, angle: ArrayLike) -> NDArray[np.float64]:
        """Array index z (image units) at a rotation angle in radians; the inverse of :meth:`angle`."""
        start, width = self.oscillation
        return np.asarray((np.asarray(angle, dtype=float) - start) / width + self.array_range[0])

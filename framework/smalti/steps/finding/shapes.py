"""How wide the spots of a sweep are: what a threshold leaves of a spot tells what it has cut away."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc

__all__ = ["PIXEL_VARIANCE", "Seen", "Shape", "Sums", "seen", "shape_of"]

Array = NDArray[np.float64]

PIXEL_VARIANCE = 1.0 / 12.0
"""Variance of a position known to lie somewhere in one pixel (or image), px^2."""

_SIGMAS = 3.0
"""Standard deviations of the background by which strong pixels exceed it."""
_RADII = np.linspace(0.02, 8.0, 800)
_INSIDE = gammainc(1.5, 0.5 * _RADII**2)
_MEAN = (2.0 * np.pi) ** 1.5 * _INSIDE * np.exp(0.5 * _RADII**2) / (4.0 / 3.0 * np.pi * _RADII**3)
_PART = gammainc(2.5, 0.5 * _RADII**2) / _INSIDE

_STRONGEST = 0.1
"""Part of the spots that tells the shape of all ..."""
_FEWEST = 30
"""... and how many there should be."""
_LEAST_PART = 0.2
"""Less of a second moment tells nothing of the rest."""
_CLEAR_ZETA = 0.3
"""Nearer to the spindle than this the rocking width is not in proportion to 1 / zeta."""
_LEAST_ZETA = 0.01
_FAR = 8.0
"""Times the typical one, the second moment along z of two spots that run into one another."""


@dataclass(frozen=True, slots=True)
class Sums:
    """What is summed over the strong pixels of each spot.

    Attributes
    ----------
    photons : (S,)
        Net of the background.
    size : (S,)
        Strong pixels.
    background : (S,) photons
        Mean under a pixel.
    second : (S, 3) px^2, px^2, image^2
        Second moments about the centroid.
    scatter : (S, 3) px^2, px^2, image^2
        Variance of the centroid from the scatter of the photons of these pixels.
    images : (S,)
        On so many images.
    """

    photons: Array
    size: Array
    background: Array
    second: Array
    scatter: Array
    images: Array

    def take(self, rows: NDArray[np.intp]) -> Sums:
        """Give those of some spots, by number."""
        return Sums(*(getattr(self, item.name)[rows] for item in fields(self)))


@dataclass(frozen=True, slots=True)
class Seen:
    """How much of each spot its strong pixels show.

    Attributes
    ----------
    radius : (S,)
        Standard deviations from the middle at which the spot sinks below the threshold.
    part : (S,)
        Second moment within this radius, over that of the whole.
    """

    radius: Array
    part: Array


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape that the spots of a sweep have in common.

    Attributes
    ----------
    second : (float, float) px^2
        Second moments along fast and slow, the width of a pixel included.
    rocking : float, image^2
        Variance of the rocking curve where zeta is 1.
    """

    second: tuple[float, float]
    rocking: float

    def along_z(self, zeta: Array) -> Array:
        """Variance of the rocking curves, (S,) image^2: 1 / zeta times as wide [Kabsch 2010, D66, 133]."""
        return np.asarray(self.rocking / np.maximum(np.abs(zeta), _LEAST_ZETA) ** 2)


def seen(sums: Sums) -> Seen:
    """Tell how much of a Gaussian spot lies above the threshold.

    Of a Gaussian with peak A the threshold t leaves the inside of the ellipsoid of radius rho standard
    deviations, A exp(-rho^2 / 2) = t. With P the regularised incomplete gamma function the mean over it is
    (2 pi)^1.5 A P(3/2, rho^2/2) / (4/3 pi rho^3), which grows with rho alone in units of t and so
    gives rho, and the second moment is P(5/2, rho^2/2) / P(3/2, rho^2/2) of the whole. The threshold is
    3 sqrt(b) above the background b, and half a count as counts are whole.
    """
    threshold = _SIGMAS * np.sqrt(np.maximum(sums.background, 0.0)) + 0.5
    mean = np.log(np.maximum(sums.photons / (sums.size * threshold), 1e-9))
    return Seen(np.interp(mean, np.log(_MEAN), _RADII), np.interp(mean, np.log(_MEAN), _PART))


def shape_of(sums: Sums, zeta: Array) -> Shape | None:
    """Find the shape that spots have in common from the strongest tenth of them; none from no spots.

    Parameters
    ----------
    sums : Sums
        Of whole spots.
    zeta : (S,)
        Cosine of the angle between spindle and rocking direction.
    """
    shown = seen(sums)
    usable = (sums.photons > 0.0) & (shown.part > _LEAST_PART)
    if not usable.any():
        return None
    share = max(_STRONGEST, min(1.0, _FEWEST / np.count_nonzero(usable)))
    usable &= sums.photons >= np.quantile(sums.photons[usable], 1.0 - share)
    across = np.median(sums.second[usable, :2] / shown.part[usable, None], axis=0)
    clear = np.flatnonzero(usable & (np.abs(zeta) > _CLEAR_ZETA))
    return Shape((float(across[0]), float(across[1])), _rocking(sums, shown, zeta, clear))


def _rocking(sums: Sums, shown: Seen, zeta: Array, rows: NDArray[np.intp]) -> float:
    """Variance of the rocking curve at zeta 1, image^2, from some spots.

    From their second moments: a bin adds 1/12 on average to the variance of what is counted in it (Sheppard);
    most narrow spots are on a single image and have none, hence the mean. A threshold takes whole
    images from narrow spots: the images that they are on tell more then, 1 + 2 rho s of them.
    """
    if rows.size == 0:
        return 0.0
    slowness = zeta[rows] ** 2
    along = slowness * sums.second[rows, 2] / shown.part[rows]
    alone = along <= _FAR * (np.median(along) + PIXEL_VARIANCE * slowness)
    moment = float((along - PIXEL_VARIANCE * slowness)[alone].mean())
    beyond = np.sqrt(slowness) * (sums.images[rows] - 1.0) / (2.0 * shown.radius[rows])
    return max(moment, float(beyond[alone].mean()) ** 2)

"""How well the centroid of a spot is known, and how surely the spot is none of the background's whims.

What the strong pixels do not hold is the larger part of the error of a weak spot: which pixels beside it
count as strong is a matter of chance, and the tail beyond them is lost. How far that tail reaches, a weak
spot does not show; the strong spots of its sweep do.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from smalti.steps.finding.shapes import PIXEL_VARIANCE, Shape, Sums, seen

__all__ = ["end_variance", "significance", "variances"]

Array = NDArray[np.float64]

# The size of these terms comes from simulated sweeps: 0.03 to 20 counts of background, spots of 0.35 to
# 1.8 px, rocking curves of 0.05 to 3 images (docs/decisions/0048). They are no free parameters of the user.
_HIDDEN = 0.5
"""Photons^2 that a pixel below the threshold hides where there is no background."""
_RIM = 3.5
_CORE = 7.0
_TAIL = 90.0
_TAIL_POWER = 0.75
_NEAR = 2.0 / 3.0
_MOST_Z = 2.0
_END = 0.6


def variances(sums: Sums, shape: Shape, zeta: Array) -> Array:
    """Variances of centroids weighted with net counts, (S, 3) px^2, px^2, image^2.

    Along each direction the sum of

    * the scatter of the photons in the strong pixels;
    * what is hidden beside them. A pixel at the rim, where the spot sinks below the threshold, is strong or
      not by chance and hides h = b + 0.5 photons^2. With the n strong pixels the rim grows, and this adds in
      proportion to s^2 n h / W^2, s being the width and W the net photons; and to s^2 (s_x s_y)^2 rho^2
      h / W^2 as the patch that a finder takes for dispersed ends by chance, too, rho widths from the middle.
      From image to image a whole patch is seen or not: (s_z^2 + 2/3) X / (1 + 2 X) with
      X = 90 h^(3/4) (s_x s_y)^(3/2) rho^2 (s_z^2 + 1/12)^(1/2) / W^2, as none is off by more than its width;
    * the width of the bins: of a Gaussian of variance s^2, counted in bins of width 1 at a random place,
      sum over k of exp(-(2 pi k s)^2) / (2 pi^2 k^2) [Poisson's summation formula].

    Across, s^2 is the second moment that a spot shows and of the common one the part that it does not; along
    z it is the common one.

    Parameters
    ----------
    sums : Sums
    shape : Shape
        Common to the spots.
    zeta : (S,)
        Cosine of the angle between spindle and rocking direction.
    """
    shown = seen(sums)
    per_photon = 1.0 / np.maximum(sums.photons, 1e-3) ** 2
    hidden = np.maximum(sums.background, 0.0) + _HIDDEN
    area = np.sqrt(shape.second[0] * shape.second[1])
    second = sums.second[:, :2] + (1.0 - shown.part)[:, None] * np.array(shape.second)
    rim = (_RIM * sums.size + _CORE * area**2 * shown.radius**2) * hidden * per_photon
    out = np.empty((len(rim), 3))
    for axis in range(2):
        out[:, axis] = second[:, axis] * rim / (1.0 + rim) + _binning(second[:, axis] - PIXEL_VARIANCE)
    along = shape.along_z(zeta)
    tail = _TAIL * hidden**_TAIL_POWER * area**1.5 * shown.radius**2 * per_photon
    tail *= np.sqrt(along + PIXEL_VARIANCE)
    out[:, 2] = (along + _NEAR) * tail / (1.0 + _MOST_Z * tail) + _binning(along)
    return np.asarray(out + sums.scatter)


def end_variance(shape: Shape, zeta: Array) -> Array:
    """What to add to the variance of z of spots that an end of their scan cuts, (S,) image^2.

    Their middle may be beyond the end: as simulated sweeps show, they are off in the mean square by 0.5 to
    0.9 of the variance of the rocking curve.
    """
    return np.asarray(_END * (shape.along_z(zeta) + PIXEL_VARIANCE))


def _binning(variance: Array) -> Array:
    """Variance of the centroid of a Gaussian counted in bins, from its own in these, px^2."""
    variance = np.maximum(variance, 0.0)
    out = np.exp(-((2.0 * np.pi) ** 2) * variance) / (2.0 * np.pi**2)
    narrow = variance < 0.1  # beyond, the second term is below 1e-8
    k = np.arange(2, 31)[:, None]
    out[narrow] += (np.exp(-((2.0 * np.pi * k) ** 2) * variance[narrow]) / (2.0 * (np.pi * k) ** 2)).sum(
        axis=0
    )
    return np.asarray(out)


def significance(total: Array, behind: Array, size: NDArray[np.int64], support: Array) -> Array:
    """Standard deviations by which photons on a spot exceed those beside it, (S,).

    Li & Ma (1983), Astrophys. J. 272, 317, equation 17: from the likelihoods with and without a source, right
    for few photons, too. 0 where there is no background to compare with.

    Parameters
    ----------
    total : (S,) photons
        On the spot.
    behind : (S,) photons
        On the background pixels.
    size, support : (S,)
        Pixels of the spot and of the background.
    """
    alpha = size / np.where(support > 0.0, support, np.inf)
    both = total + behind
    with np.errstate(divide="ignore", invalid="ignore"):
        on = xlogy(total, (1.0 + alpha) / alpha * total / both)
        off = xlogy(behind, (1.0 + alpha) * behind / both)
        found = np.sqrt(2.0 * np.maximum(on + off, 0.0))
    sign = np.where(total >= alpha * behind, 1.0, -1.0)
    return np.where(np.isfinite(found) & (alpha > 0.0), sign * found, 0.0)

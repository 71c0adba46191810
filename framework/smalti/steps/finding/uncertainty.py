"""How well the centroid of a spot is known, and how surely the spot is none of the background's whims.

What the strong pixels do not hold is the larger part of the error of a weak spot: which pixels beside it
count as strong is a matter of chance, and the tail beyond them is lost.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from smalti_ext.moments import Moments

__all__ = ["END_VARIANCE", "significance", "variances"]

Array = NDArray[np.float64]

# From simulated sweeps: 0.1 to 20 counts of background, images of 0.1 to 1 degree at mosaicities of 0.15 and
# 0.3, spots of 0.8 and 1.3 px (tests/benchmarks/test_centroids.py). They are no free parameters of the user.
_HIDDEN = 0.5
"""Photons^2 that a pixel below the threshold hides where there is no background."""
_RIM = 1.6
_RIM_Z = 24.0
_NARROWEST = 0.25
"""Second moment, px^2, below which the rim of a spot tells no more."""
_BINS_Z = 0.36

END_VARIANCE = 0.15
"""Variance of z of a spot cut by an end of its scan, over the square of the images that whole ones span."""


def variances(sums: Moments, background: Array, gain: Array) -> Array:
    """Variances of centroids weighted with net counts, (S, 3) px^2, px^2, image^2.

    Along each direction the sum of

    * the scatter of photons, sum v d^2 / W^2, v being the variance of a pixel's counts, d its distance
      from the centroid and W the sum of the net counts;
    * what is hidden beside the spot: each neighbour that is not strong may hold as much as the background
      scatters, h = G (b + 0.5 G). With M the second moments of the spot (at least 0.25), the variance is
      1.6 M h sum d^2 / W^2 over these neighbours; from image to image all pixels of the tail are lost
      together, 24 M_z^1.5 (M_x M_y)^0.5 h sum d^2 / W^2;
    * the width of the bins: of a Gaussian of variance s^2, counted in bins of width 1 at a random place,
      sum over k of exp(-(2 pi k s)^2) / (2 pi^2 k^2) [Poisson's summation formula], with s^2 = M - 1/12;
      along z, where M is short of its tails, 0.36 of it.

    Parameters
    ----------
    background : (S,) counts
        Mean background under a pixel, b.
    gain : (S,)
        Counts per photon, G.
    """
    total = np.where(sums.total > 0.0, sums.total, np.inf)[:, None]
    second = sums.spread / total
    width = np.maximum(second, _NARROWEST)
    hidden = (gain * (np.maximum(background, 0.0) + _HIDDEN * gain))[:, None]
    lost = _RIM * width
    lost[:, 2] = _RIM_Z * width[:, 2] ** 1.5 * np.sqrt(width[:, 0] * width[:, 1])
    bins = _binning(second)
    bins[:, 2] *= _BINS_Z
    # The narrowest spots would not be known better than their pixel, whatever their counts.
    alone = np.where(sums.total > 0.0, 0.0, 1.0 / 12.0)[:, None]
    return np.asarray(sums.noise / total**2 + lost * hidden * sums.rim / total**2 + bins + alone)


def _binning(second: Array) -> Array:
    """Variance of the centroid of a Gaussian counted in bins, from its second moment in these, px^2."""
    variance = np.maximum(second - 1.0 / 12.0, 0.0)
    out = np.exp(-((2.0 * np.pi) ** 2) * variance) / (2.0 * np.pi**2)
    narrow = variance < 0.1  # beyond, the second term is below 1e-8
    k = np.arange(2, 31)[:, None]
    out[narrow] += (np.exp(-((2.0 * np.pi * k) ** 2) * variance[narrow]) / (2.0 * (np.pi * k) ** 2)).sum(
        axis=0
    )
    return out


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

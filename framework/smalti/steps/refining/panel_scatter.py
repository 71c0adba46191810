"""By how much the centroids of one panel scatter more than those of the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["panel_factors"]

Array = NDArray[np.float64]

_BOUNDS = (0.1, 10.0)


def panel_factors(squares: Array, weights: Array, panel: NDArray[np.intp], n_panels: int) -> Array:
    """Estimate what the variances of each panel are multiplied with, (P, 3) for x, y and phi.

    Reflections hit an outer panel obliquely and are spread over more pixels, another may have a poorer
    calibration. The factor is the mean normalised square of the panel over that of all, drawn to 1 by
    how much the panels can be told to differ (empirical Bayes, the variance between panels by moments:
    DerSimonian & Laird 1986, Control. Clin. Trials 7, 177). Where they differ no more than by chance
    all are 1; a panel with few reflections stays near 1.

    Parameters
    ----------
    squares : (N, 3)
        Squared deviations over their variances; taken from the middle of a stratum, so that a panel that
        is out of place is not taken for one that scatters.
    weights : (N,)
        What the judge gave; 0 for what has no part in it.
    panel : (N,)
    """
    used = np.flatnonzero((weights > 0.0) & np.isfinite(squares).all(axis=1))
    index, w = panel[used], weights[used]
    count = np.bincount(index, weights=w, minlength=n_panels)
    factors = np.ones((n_panels, 3))
    there = count > 0.0
    if np.count_nonzero(there) < 2:
        return factors
    for k in range(3):
        total = np.bincount(index, weights=w * squares[used, k], minlength=n_panels)
        ratio = total[there] / count[there] / (total.sum() / count.sum())
        # The logarithm of a mean square of n deviates has the variance 2/n, whatever they are.
        logarithm = np.log(np.clip(ratio, *_BOUNDS))
        factors[there, k] = np.exp(_share(logarithm, 2.0 / count[there]) * logarithm)
    return factors


def _share(deviations: Array, variance: Array) -> Array:
    """What of deviations (P,) with variances of chance (P,) is to be believed, from 0 to 1."""
    precision = 1.0 / variance
    excess = float(np.sum(precision * deviations**2)) - (len(deviations) - 1)
    between = excess / (precision.sum() - np.sum(precision**2) / precision.sum())
    between = max(float(between), 0.0)
    return np.asarray(between / (between + variance))

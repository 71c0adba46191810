"""How wide each stratum is: its own spread, drawn towards that of all where it has little to say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, Strata, quantiles

__all__ = ["pooled_spread", "shrunk_spread"]

Array = NDArray[np.float64]

NORMAL = 1.482602218505602
"""Standard deviation of a normal distribution over its median absolute deviation."""
NEGLIGIBLE = 1e-3
"""Least spread, in sigmas: rounding errors about equal residuals are no outliers."""


def shrunk_spread(own: Array, groups: Strata, borrowed: float) -> Array:
    """Give the spread of each coordinate in each stratum, (S, k), from median absolute deviations.

    Variances are means of that of the stratum and that of all strata about their own centres,
    weighted by their numbers of reflections; that of all counts for ``borrowed``. This is the
    posterior mean of a variance whose prior is worth that many observations. A stratum too small to
    have a centre has the spread of all.

    Parameters
    ----------
    own : (M, k)
        Residuals in their sigmas about the centre of their stratum, in the order of ``groups.rows``.
    borrowed : float
        At least 0.
    """
    spread = NORMAL * quantiles(np.abs(own), groups, (0.5,))[0]
    telling = groups.counts >= LEAST_FOR_CENTRE
    if not telling.any():
        return np.asarray(np.maximum(spread, NEGLIGIBLE))
    pool = pooled_spread(own[np.repeat(telling, groups.counts)])
    counts = np.where(telling, groups.counts, 0)[:, None]
    weight = counts / np.maximum(counts + borrowed, 1)
    mean = weight * spread**2 + (1.0 - weight) * pool**2
    return np.asarray(np.maximum(np.sqrt(mean), NEGLIGIBLE))


def pooled_spread(values: Array) -> Array:
    """Give the spread of each coordinate of values (M, k) about their medians, (k,)."""
    deviations = np.abs(values - np.median(values, axis=0))
    return np.asarray(np.maximum(NORMAL * np.median(deviations, axis=0), NEGLIGIBLE))

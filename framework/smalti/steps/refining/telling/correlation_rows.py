"""Parameters that go with one another: the largest correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.telling.residual_rows import Row

__all__ = ["correlation_rows"]

_MOST = 30
_LEAST = 0.3


def correlation_rows(covariance: NDArray[np.float64], names: Sequence[str]) -> list[Row]:
    """Give the pairs of parameters with the largest correlations, largest first.

    Parameters
    ----------
    covariance : (n, n)
    names : sequence of str
        Of the n parameters.
    """
    esd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    known = np.flatnonzero(esd > 0.0)
    if len(known) < 2:
        return []
    correlation = covariance[np.ix_(known, known)] / np.outer(esd[known], esd[known])
    first, second = np.triu_indices(len(known), 1)
    values = correlation[first, second]
    worst = np.argsort(-np.abs(values), kind="stable")[:_MOST]
    return [
        {
            "first": names[known[first[k]]],
            "second": names[known[second[k]]],
            "correlation": float(np.clip(values[k], -1.0, 1.0)),
        }
        for k in worst
        if abs(values[k]) >= _LEAST
    ]

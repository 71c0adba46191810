"""How far panels are out of place where the models leave them: what one block cannot follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.observations import Observations
from smalti.units import UM

__all__ = ["between_panels"]

Array = NDArray[np.float64]

LEAST = 20
"""A panel with fewer reflections says nothing of its place."""


def between_panels(data: Observations, residuals: Array, working: NDArray[np.bool_]) -> dict[str, Any] | None:
    """Compare the mean residuals of panels with their chance.

    The scatter of the means of P panels in x and y, less what the scatter within panels explains (one-way
    analysis of variance, weights equal).

    Parameters
    ----------
    data : Observations
    residuals : (N, 3)
        calc - obs; mm.
    working : (N,) bool
        What was fitted.

    Returns
    -------
    dict or None
        ``n_panels``, ``um`` (root mean square over panels of the distance that chance does not explain) and
        ``chi_squared`` of the means with ``freedom``. None with fewer than three panels that tell.
    """
    panel, values = data.spots.panel[working], residuals[working, :2]
    counts = np.bincount(panel)
    telling = np.flatnonzero(counts >= LEAST)
    if telling.size < 3:
        return None
    n = counts[telling]
    sums, squares = (
        np.column_stack([np.bincount(panel, weights=column)[telling] for column in columns.T])
        for columns in (values, values**2)
    )
    means = sums / n[:, None]
    chance = (squares / n[:, None] - means**2) / (n[:, None] - 1)
    away = means - means.mean(axis=0)
    shrunk = 1.0 - 1.0 / len(n)  # the mean of the means follows them
    excess = np.mean(away**2 - shrunk * chance, axis=0) / shrunk
    return {
        "n_panels": len(n),
        "um": math.sqrt(float(np.maximum(excess, 0.0).sum())) / UM,
        "chi_squared": float(np.sum(away**2 / chance)),
        "freedom": 2 * (len(n) - 1),
    }

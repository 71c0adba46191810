"""What a judge leaves of good spots: he is shown normal deviates in the place of those he kept.

A rejector that cuts off tails makes the rest look better than it is, one with soft weights as well, each
in its own way and by how many outliers there are. Residuals of the kept are therefore compared with
what normal deviates would be after the same judge, not with 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.answers import weights_of
from smalti.steps.refining.weighing.variance_model import WIDE, winsorised_second_moment

__all__ = ["Expected", "expected"]

Array = NDArray[np.float64]
Groups = NDArray[np.intp]

_ENOUGH = 30_000


@dataclass(frozen=True)
class Expected:
    """What is expected of unit normal deviates that a judge has weighed.

    Attributes
    ----------
    square : (3,)
        Weighted mean square of x, y, phi.
    winsorised : (3,)
        Weighted mean of min(z^2, 6.25).
    lost : float
        Part of them that is rejected.
    """

    square: Array
    winsorised: Array
    lost: float

    @classmethod
    def of_all(cls) -> Expected:
        """What holds where nothing is judged."""
        return cls(np.ones(3), np.full(3, winsorised_second_moment(WIDE**0.5)), 0.0)


def expected(
    rejector: OutlierRejector, deviations: Array, weights: Array, groups: Groups, seed: int = 0
) -> Expected:
    """Judge a twin of the data: normal deviates for what was kept, the outliers as they are.

    Whole strata, as many as hold some 30,000 reflections, or small data several times over.

    Parameters
    ----------
    deviations : (N, 3)
        From the middle of the stratum, in standard deviations; a row that is not finite takes no part.
    weights : (N,)
        What the judge gave.
    groups : (N,)
        Strata.
    """
    possible = np.flatnonzero(np.isfinite(deviations).all(axis=1))
    rows = _whole_strata(possible, groups)
    if rows.size == 0:
        return Expected.of_all()
    copies = max(1, _ENOUGH // rows.size)
    stratum = np.tile(groups[rows] - groups[rows].min(), copies)
    stratum += np.repeat(np.arange(copies), rows.size) * (int(stratum.max()) + 1)
    good = np.tile(weights[rows] > 0.0, copies)
    values = np.random.default_rng(seed).standard_normal((good.size, 3))
    before = np.mean(values[good] ** 2, axis=0) if good.any() else np.ones(3)
    values[~good] = np.tile(deviations[rows], (copies, 1))[~good]
    judged = np.where(good, weights_of(rejector, values, np.ones_like(values), stratum), 0.0)
    total = float(judged.sum())
    if total == 0.0:
        return Expected.of_all()
    # Relative to the same deviates before they were judged: their own chance is then next to none.
    square = (judged @ values**2) / total / before
    clipped = (judged @ np.minimum(values**2, WIDE)) / total
    clipped *= winsorised_second_moment(WIDE**0.5) / np.mean(np.minimum(values[good] ** 2, WIDE), axis=0)
    return Expected(square, clipped, float(1.0 - np.mean(judged[good] > 0.0)))


def _whole_strata(rows: NDArray[np.intp], groups: Groups) -> NDArray[np.intp]:
    """Every so many-th stratum, so that about as many rows as are needed are left."""
    step = max(1, rows.size // _ENOUGH)
    return rows[groups[rows] % step == 0] if step > 1 else rows

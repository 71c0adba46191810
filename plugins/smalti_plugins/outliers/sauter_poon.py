"""Distances against the law that they should follow: reject the tail that the law cannot explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.spread import pooled_spread, shrunk_spread
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, group, standardised

SMALTI_API = API

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class SauterPoon:
    """Reject the far end of the distances from where there are more of them than the law predicts.

    After Sauter & Poon (2010, J. Appl. Cryst. 43, 611, doi 10.1107/S0021889810010782): distances
    between spots and predictions follow Rayleigh's law, fitted to the near ones, unless some spots do
    not belong. Here the distance is in spreads of each coordinate, with the rotation angle where there
    is one (the law is then Maxwell's), and the cut is where the part of good spots among those beyond
    it is as large as allowed [the step-up rule of Benjamini & Hochberg 1995, J. R. Stat. Soc. B 57,
    289]. So hardly any spot of clean data is lost, however many there are: a fixed cut loses a fixed
    part.
    """

    name: ClassVar[str] = "sauter_poon"

    good_among_rejected: float = option(
        0.1, "Largest part of the rejected spots that may be good ones, as the law counts them.", gt=0, lt=1
    )
    borrowed: float = option(
        20.0, "How many reflections the spread of all strata counts for in that of each.", ge=0
    )

    def weights(self, residuals: Array, sigmas: Array, strata: Index) -> Array:
        """Give 1 to what the law explains and 0 to the rest; a residual that is not finite is 0, (N,)."""
        result = np.zeros(len(residuals))
        groups = group(residuals, strata)
        if len(groups) == 0:
            return result
        own, pooled = standardised(residuals, sigmas, groups)
        chance = _beyond(own / shrunk_spread(own, groups, self.borrowed)[groups.labels])
        kept = np.empty(len(own), dtype=bool)
        for start, count in zip(groups.starts, groups.counts, strict=True):
            part = slice(int(start), int(start + count))
            kept[part] = self._explained(chance[part])
        lonely = np.repeat(groups.counts < LEAST_FOR_CENTRE, groups.counts)
        if lonely.any():
            # Too few for a centre of their own: judged among all.
            kept[lonely] = self._explained(_beyond(pooled / pooled_spread(pooled)))[lonely]
        result[groups.rows[kept]] = 1.0
        return result

    def _explained(self, chance: Array) -> NDArray[np.bool_]:
        """Tell which spots are kept, from the chance (n,) of a good spot to be as far out as each."""
        n = len(chance)
        ordered = np.sort(chance)
        # n times the chance is how many good spots the law expects beyond; the rank, how many there are.
        excess = np.flatnonzero(n * ordered <= self.good_among_rejected * np.arange(1, n + 1))
        return np.asarray(chance > (ordered[excess[-1]] if excess.size else -1.0))


def _beyond(values: Array) -> Array:
    """Chance (n,) of k unit normal coordinates to be further out than each of values (n, k)."""
    return np.asarray(gammaincc(values.shape[1] / 2.0, 0.5 * np.sum(values**2, axis=1)))


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[SauterPoon]]:
    """Bring the test of distances."""
    return [SauterPoon]

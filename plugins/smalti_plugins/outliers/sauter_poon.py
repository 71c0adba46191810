"""Distances against the law that they should follow: reject the tail that the law cannot explain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammainccinv

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_plugins.outliers.spread import pooled_spread, shrunk_spread
from smalti_plugins.outliers.strata import LEAST_FOR_CENTRE, about_all, group, standardised

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
        own = standardised(residuals, sigmas, groups)
        spread = shrunk_spread(own, groups, self.borrowed)
        own /= np.repeat(spread, groups.counts, axis=0)
        kept = self._explained(own, groups.counts)
        lonely = np.repeat(groups.counts < LEAST_FOR_CENTRE, groups.counts)
        if lonely.any():
            # Too few for a centre of their own: judged among all.
            pooled = about_all(residuals, sigmas, groups)
            kept[lonely] = self._explained(pooled / pooled_spread(pooled), np.array([len(own)]))[lonely]
        result[groups.rows[kept]] = 1.0
        return result

    def _explained(self, values: Array, counts: Index) -> NDArray[np.bool_]:
        """Tell which of values (M, k), of strata one after the other, are kept; S counts."""
        k = values.shape[1]
        squares = np.einsum("nk,nk->n", values, values)
        # The rank is at most n: what has a larger chance than this stays whatever the others are.
        far = np.flatnonzero(squares >= 2.0 * gammainccinv(k / 2.0, self.good_among_rejected))
        stratum = np.repeat(np.arange(len(counts)), counts)[far]
        order = np.lexsort((-squares[far], stratum))
        far, stratum = far[order], stratum[order]
        rank = np.arange(1, far.size + 1) - np.searchsorted(stratum, stratum)
        # n times the chance is how many good spots the law expects beyond; the rank, how many there are.
        expected = counts[stratum] * gammaincc(k / 2.0, 0.5 * squares[far])
        excess = expected <= self.good_among_rejected * rank
        last = np.zeros(len(counts), dtype=np.intp)
        np.maximum.at(last, stratum[excess], rank[excess])
        kept = np.ones(len(values), dtype=bool)
        kept[far[rank <= last[stratum]]] = False
        return kept


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[SauterPoon]]:
    """Bring the test of distances."""
    return [SauterPoon]

"""The marginal likelihood of what was fitted, for the choice between models."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.arrows import pieces_of
from smalti.steps.refining.problem.eliminating import eliminate
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["twice_log_evidence"]

Array = NDArray[np.float64]


def twice_log_evidence(fit: Fit, chi_squared: float, n: int) -> float:
    """Twice the logarithm of the marginal likelihood by Laplace's method, but for what all have in common.

    What a parameter may do without being asked to is charged by how much narrower the data make it than its
    prior: freedoms that their tolerances hold cost nothing, and to forbid them would only hide what
    is not known. A parameter without a prior gets one that is worth a single reflection, which makes this
    the criterion of Schwarz [Kass & Raftery 1995, J. Am. Stat. Assoc. 90, 773].

    Parameters
    ----------
    fit : Fit
    chi_squared : float
        Of the n reflections that are compared.
    n : int
    """
    prior = fit.source.prior
    away = float(np.sum(prior.precision * (fit.p - prior.mean) ** 2))
    log_ratio = _with_crystals(fit, n) if fit.partition.eliminates else _joint(fit, n)
    return -chi_squared - away - log_ratio


def _joint(fit: Fit, n: int) -> float:
    """Logarithm of the determinant of the posterior precision over that of the prior."""
    prior = fit.source.prior
    data = fit.rounds[-1].equations.matrix - np.diag(prior.precision)
    return _log_ratio(data, prior.precision, n)


def _log_ratio(data: Array, precision: Array, n: int, own: Array | None = None) -> float:
    precision = np.maximum(precision, (np.diag(data) if own is None else own) / max(n, 1))
    seen = precision > 0.0
    scale = precision[seen] ** -0.5
    _, log_ratio = np.linalg.slogdet(
        np.eye(int(seen.sum())) + data[np.ix_(seen, seen)] * np.outer(scale, scale)
    )
    return float(log_ratio)


def _with_crystals(fit: Fit, n: int) -> float:
    """The same of an arrow: that of each crystal's own block, and that of what is left of shared ones."""
    partition, prior = fit.partition, fit.source.prior
    of_crystals = partition.of_crystals(prior.precision)
    g, m = len(partition.shared), partition.own.shape[1]
    left, diagonal, total = np.zeros((g, g)), np.zeros(g), 0.0
    for piece in pieces_of(fit.source, partition, fit.p):
        own = piece.arrow.own.copy()
        precision = np.maximum(of_crystals[piece.crystals], np.einsum("kii->ki", own) / max(n, 1))
        own[:, np.arange(m), np.arange(m)] += np.where(precision > 0.0, precision, 1.0)
        total += float(np.linalg.slogdet(own)[1].sum() - np.log(precision[precision > 0.0]).sum())
        diagonal += np.diag(piece.arrow.shared)
        left += eliminate(piece.arrow.with_own(own)).matrix
    return total + _log_ratio(left, prior.precision[partition.shared], n, diagonal)

"""Two refinements of one half of the reflections each: their difference is an error that can be seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.solution import Prior
from smalti.steps.refining.certainty.certainty import Certainty
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.arrows import held_arrow, pieces_of
from smalti.steps.refining.problem.eliminating import eliminate
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.substituting import scatter_of_shared
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["Halves", "first_half", "refine_halves"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST = 400
"""With fewer reflections than this the halves are not refined."""

_PER_PARAMETER = 2.0
"""Each half has at least so many residuals for every parameter that the data determine."""

_FELT = 0.04
"""Directions of which the data know so small a part beside the priors are not counted."""

_RIDGE = 1e-10


@dataclass(frozen=True)
class Halves:
    """The difference of two refinements.

    Attributes
    ----------
    split : str
        How the reflections were divided.
    n : tuple of int
        Number of reflections of each half.
    difference : (g,)
        Shared parameters of the first half less those of the second.
    covariance : (g, g)
        Of the difference: C_first + C_second, from the errors of the centroids. What the priors know is
        the same in both and cancels.
    chi_squared, freedom : float
        Of the difference, and the number of directions that it has.
    """

    split: str
    n: tuple[int, int]
    difference: Array
    covariance: Array
    chi_squared: float
    freedom: float


def refine_halves(fit: Fit, certainty: Certainty, options: RefineOptions) -> Halves | None:
    """Refine two halves of the reflections, from the minimum of all and with the same weights.

    Each half has half of the weight of every prior and restraint too, so that its data count against them
    as those of the whole do. At the common minimum one Gauss-Newton step is all there is to do: the
    halves are a few ESDs apart, a distance at which the problem is linear.

    With the normal equations N, g of the reflections of a half and H = a N + K/2, where K is what the priors
    add: d = -H^-1 (g + k/2), with the covariance H^-1 m N H^-1 that centroids of the assumed variance give.
    The factors a and m are what weights that depend on residuals make of curvature and scatter
    (:mod:`smalti.steps.refining.certainty.sandwich`), here of x, y and phi together.

    Parameters
    ----------
    fit : Fit
    certainty : Certainty
        Of the parameters of all reflections.

    Returns
    -------
    Halves or None
        None where it is switched off, or reflections are too few.
    """
    n_used = int(fit.working.sum())
    few = n_used < LEAST or 1.5 * n_used < _PER_PARAMETER * certainty.uncertainty.effective
    if options.halves == "off" or few or fit.source.n_parameters == 0:
        return None
    split = _split(fit, options)
    first = first_half(fit.source.observations, fit.working, replace(options, halves=split))
    counts = int(first.sum()), n_used - int(first.sum())
    if min(counts) < 0.25 * n_used:
        return None
    factors = _of_all(certainty.factors, "curvature"), _of_all(certainty.factors, "scatter")
    system_of = _eliminated if fit.partition.eliminates else _joint
    W = _whitening(fit.rounds[-1].equations.matrix)
    difference, covariance = np.zeros(len(W)), np.zeros_like(W)
    for mask, sign in ((first, 1.0), (fit.working & ~first, -1.0)):
        half = system_of(fit, mask, *factors)
        answer = linalg.inv(W.T @ half.matrix @ W + _RIDGE * np.eye(len(W)))
        difference -= sign * answer @ (W.T @ half.slope)
        covariance += answer @ (W.T @ half.scatter @ W) @ answer.T
    chi_squared, freedom = _chi_squared(difference, covariance)
    return Halves(split, counts, W @ difference, W @ covariance @ W.T, chi_squared, freedom)


@dataclass(frozen=True)
class _Half:
    """What one half of the reflections and half of the priors say of the shared parameters.

    Attributes
    ----------
    matrix : (g, g)
        a N + K/2.
    scatter : (g, g)
        m N: the covariance of the gradient.
    slope : (g,)
        The gradient at the common minimum.
    """

    matrix: Array
    scatter: Array
    slope: Array


def _joint(fit: Fit, mask: Mask, curvature: float, scatter: float) -> _Half:
    found, held = (
        replace(fit.source, weights=fit.source.weights * mask[:, None], prior=_none(fit), restraints=()),
        replace(fit.source, weights=np.zeros_like(fit.source.weights)),
    )
    data, priors = found.normal_equations(fit.p), held.normal_equations(fit.p)
    matrix = curvature * data.matrix + 0.5 * priors.matrix
    return _Half(matrix, scatter * data.matrix, data.gradient + 0.5 * priors.gradient)


def _eliminated(fit: Fit, mask: Mask, curvature: float, scatter: float) -> _Half:
    """The same with crystals that follow, some of them at a time."""
    source, partition = fit.source, fit.partition
    held, _, _ = held_arrow(source, partition, fit.p)
    out = _Half(0.5 * held.shared, np.zeros_like(held.shared), 0.5 * held.slope)
    for piece in pieces_of(source, partition, fit.p, weights=source.weights * mask[:, None]):
        data, K = piece.arrow, held.of(piece.crystals).times(0.5)
        # The factor is that of the curvature; the gradient is what it is.
        steep = replace(data.times(curvature), slope=data.slope, own_slope=data.own_slope).plus(K)
        left, (_, Q) = eliminate(steep), scatter_of_shared(steep, data.times(scatter))
        out = _Half(out.matrix + left.matrix, out.scatter + Q, out.slope + left.slope)
    return out


def first_half(data: Observations, working: Mask, options: RefineOptions) -> Mask:
    """Choose the first of two halves of the reflections that were fitted, (N,).

    ``reflections`` (and ``auto``): every other one of a panel, in the order of the angle; ``crystals``: those
    of every other experiment; ``wedges``: those in every other block of rotation; ``scan``: those of the
    first half of each experiment. Stills have no angle: of them every other is taken for both of the latter.
    """
    spots, chosen = data.spots, np.flatnonzero(working)
    angle, experiment = spots.angle[chosen], spots.experiment[chosen]
    first = np.zeros(data.n, dtype=bool)
    if options.halves in ("auto", "reflections"):
        first[chosen[::2]] = True  # observations are sorted by panel and angle
        return first
    still = data.traits.still[chosen] | (options.halves == "crystals")
    first[chosen[still]] = np.unique(experiment[still], return_inverse=True)[1] % 2 == 0
    if options.halves == "wedges":
        turning = np.floor(angle[~still] / np.radians(options.phi_block)).astype(np.int64)
        first[chosen[~still]] = turning % 2 == 0
        return first
    for number in np.unique(experiment[~still]):
        mine = experiment == number
        first[chosen[mine]] = angle[mine] < 0.5 * (angle[mine].min() + angle[mine].max())
    return first


def _split(fit: Fit, options: RefineOptions) -> Literal["reflections", "crystals", "wedges", "scan", "off"]:
    """How to divide the reflections.

    Between crystals, where there are many, is more than noise: their mosaic blocks, their centring and what
    was indexed wrongly differ, too. It takes that they are eliminated: a half knows nothing of those of the
    other.
    """
    if options.halves == "auto" or options.halves == "crystals":
        return "crystals" if fit.partition.eliminates else "reflections"
    return options.halves


def _none(fit: Fit) -> Prior:
    n = fit.source.n_parameters
    return Prior(np.zeros(n), np.zeros(n))


def _of_all(factors: Mapping[str, float], name: str) -> float:
    """A factor of x, y and phi together."""
    return (2.0 * factors[f"{name}_xy"] + factors[f"{name}_phi"]) / 3.0


def _whitening(matrix: Array) -> Array:
    """A basis W (n, n) of the parameters in which a normal matrix is the unit matrix."""
    diagonal = np.diag(matrix)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0))
    unit = matrix * np.outer(scale, scale)
    # A direction that nothing determines must not stop the comparison of the others.
    smallest = float(linalg.eigvalsh(unit, subset_by_index=(0, 0))[0])
    ridge = max(_RIDGE - smallest, 0.0) + _RIDGE
    half = linalg.cholesky(unit + ridge * np.eye(len(unit)), lower=True)
    return np.asarray(scale[:, None] * linalg.solve_triangular(half, np.eye(len(unit)), lower=True).T)


def _chi_squared(difference: Array, covariance: Array) -> tuple[float, float]:
    """Chi-squared of a difference in the whitened basis, and its expectation.

    There a covariance of 4 is all data and 0 all prior; directions well below ``_FELT`` are not counted.
    """
    damped = linalg.inv(covariance + _FELT * np.eye(len(covariance)))
    return float(difference @ damped @ difference), float(np.sum(damped * covariance))

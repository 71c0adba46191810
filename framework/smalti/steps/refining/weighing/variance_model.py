"""How the variance of a centroid depends on what is known of its spot: fitted to deviations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.observations import Traits
from smalti.steps.refining.weighing.nonnegative import nonnegative

__all__ = [
    "CORE",
    "ENOUGH",
    "SETTLE",
    "UNSEEN_VARIANCE",
    "WIDE",
    "Terms",
    "described",
    "fit",
    "robust_variance",
    "terms",
    "winsorised_second_moment",
]

Array = NDArray[np.float64]

UNSEEN_VARIANCE = 1.0 / 12.0
"""Of the middle of a cut spot, in squared widths: the middle of a spot of width W of which only e is seen is
(W - e) / 2 away from the middle of e, and e may be anything."""

CORE = 1.0
"""Squared deviations count for no more than so many variances, where nothing is judged yet."""
WIDE = 6.25
"""The same where outliers are set aside: 2.5 sigma."""

_LEAST = 1e-6
_CONSTANT = ("constant", "mosaicity")
_LEAST_SINE = 1e-3
_LEAST_ZETA = 0.01
"""Nearer to the spindle the time spent in reflecting position no longer grows as 1/zeta."""
SETTLE = 10_000
"""So many deviations settle the coefficients ..."""
ENOUGH = 100_000
"""... and so many improve them once more; more would tell nothing new."""
_ITERATIONS = 60
_SETTLED = 1e-3
"""Mean relative change at which variances have settled: a tenth of what 10,000 deviates can tell."""


@dataclass(frozen=True)
class Terms:
    """A variance as a sum of terms with coefficients that are not negative.

    Attributes
    ----------
    names : tuple of str
    columns : (N, m)
        What each coefficient is multiplied with.
    known : (N,) px^2 or image^2
        What is added whatever the coefficients are.
    """

    names: tuple[str, ...]
    columns: Array
    known: Array

    def variance(self, coefficients: Array) -> Array:
        """Give the variances (N,)."""
        return np.asarray(np.maximum(self.known + self.columns @ coefficients, _LEAST))

    def begin(self, squares: Array) -> Array:
        """Give coefficients (m,) to begin with: the robust mean square of what has a constant term."""
        out = np.zeros(len(self.names))
        for k, name in enumerate(self.names):
            if name in _CONSTANT:
                out[k] = robust_variance(squares[self.columns[:, k] > 0.0])
        return out

    def take(self, rows: NDArray[np.intp]) -> Terms:
        """Give those of some rows."""
        return Terms(self.names, self.columns[rows], self.known[rows])


def terms(traits: Traits, table: Array) -> tuple[Terms, Terms, Terms]:
    """Choose the terms of x, y and phi.

    A centroid that is a mean over I photons has a variance in proportion to 1/I, with the size of the spot in
    the variance of the table, less what is the same for all there (the floor of 1/12 that programs add);
    background below the spot adds one in proportion to 1/I^2; pixels and models one that is constant.
    In phi, spots close to the spindle are 1/zeta times as wide; one that is on a single image may be anywhere
    in it; the middle of a cut spot is anywhere in the width that is unseen. What the models have wrong of
    the crystal also moves predictions along x and y in proportion to 1/zeta: phi moves, and the spot
    runs with it.

    DeltaPsi of stills is no measurement: it is 0 within the width in which a reflection can be seen at all.
    This is the spread of the mosaic blocks, the same for all; what the size of the blocks adds, in
    proportion to d; and what the spread of the wavelength adds, to tan(theta) (Sauter et al. 2014, Acta
    Cryst. D70, 3299). Spots that are far from the sphere are seen in part, and weaker: 1/I. The unit is the
    milliradian.

    Parameters
    ----------
    traits : Traits
    table : (N, 3) px^2, px^2, image^2
        The variances of the table.
    """
    counting, background = _photons(traits.intensity)
    turning = ~traits.still
    poisson = table - table.min(axis=0, initial=np.inf)
    # Of the angle of a cut spot the table tells nothing, or allows for what is missing: which is done here.
    whole = turning & (traits.unseen == 0.0)
    poisson[:, 2] = np.where(whole, table[:, 2] - table[whole, 2].min(initial=np.inf), 0.0)
    slowness = 1.0 / np.maximum(traits.zeta, _LEAST_ZETA) ** 2 - 1.0
    none = np.zeros(len(table))
    choices = []
    for k in range(3):
        columns = {"constant": none + 1.0, "table": poisson[:, k]}
        # The table's variance in phi is nothing for spots on a single image, which the weakest are.
        columns |= {"1/I": counting} if k == 2 or not poisson[:, k].any() else {}
        columns |= {"1/I^2": background, "1/zeta^2": slowness}
        if k == 2:
            columns |= {"1/I zeta^2": counting * slowness}
            columns |= {"single": none + traits.single, "unseen": traits.unseen**2}
            columns = {name: column * turning for name, column in columns.items()} | _widths(traits, counting)
        used = {name: column for name, column in columns.items() if column.any()}
        known = UNSEEN_VARIANCE * traits.unseen**2 if k == 2 else none
        choices.append(Terms(tuple(used), np.column_stack(list(used.values())), known))
    return choices[0], choices[1], choices[2]


def _widths(traits: Traits, counting: Array) -> dict[str, Array]:
    """What DeltaPsi of stills may be in proportion to, squared and relative to the median, (N,) each."""
    sine, tangent = np.sin(traits.theta), np.tan(traits.theta)
    typical = float(np.median(traits.theta[traits.still])) if traits.still.any() else 1.0
    return {
        "mosaicity": np.where(traits.still, 1.0, 0.0),
        "size of blocks": np.where(traits.still, (np.sin(typical) / np.maximum(sine, _LEAST_SINE)) ** 2, 0.0),
        "bandwidth": np.where(traits.still, (tangent / np.tan(typical)) ** 2, 0.0),
        "partiality": np.where(traits.still, counting, 0.0),
    }


def _photons(intensity: Array) -> tuple[Array, Array]:
    """1/I and its square relative to the median I, (N,) each; zeros where it is not known."""
    positive = intensity[np.isfinite(intensity) & (intensity > 0.0)]
    if positive.size == 0:
        return np.zeros(len(intensity)), np.zeros(len(intensity))
    # A sum over few pixels less background may be nearly nothing: those are like the weakest per cent.
    weakest, typical = np.quantile(positive, (0.01, 0.5))
    known = np.where(np.isfinite(intensity), np.maximum(intensity, weakest), typical)
    return np.asarray(typical / known), np.asarray((typical / known) ** 2)


def fit(
    squares: Array,
    model: Terms,
    start: Array,
    weights: Array | None = None,
    clip: float = CORE,
    expected: float | None = None,
) -> Array:
    """Fit the coefficients (m,) to squared deviations by iterated, winsorised least squares.

    Each square is compared with the variance of the model in units of that variance (the estimating
    equation of the scale of normal deviates), and counts for no more than ``clip`` of it: outliers cannot
    widen it by much, and not without limit until they are half of all (proposal 2 of Huber 1964, Ann.
    Math. Stat. 35, 73).

    Parameters
    ----------
    squares : (N,)
    model : Terms
    start : (m,)
        Where the iteration begins.
    weights : (N,), optional
        How much each counts; by default all the same.
    clip : float
        Variances.
    expected : float, optional
        Weighted mean of the winsorised squares of unit normal deviates; by default that of all of them.
    """
    weights = np.ones(len(squares)) if weights is None else weights
    expected = winsorised_second_moment(math.sqrt(clip)) if expected is None else expected
    size = np.maximum(np.sqrt(np.mean(model.columns**2, axis=0)), 1e-300)
    coefficients = np.asarray(start, dtype=float)
    for most, iterations in ((SETTLE, _ITERATIONS), (ENOUGH, 2)):
        rows = np.arange(0, len(squares), max(1, -(-len(squares) // most)))
        part, seen, count = model.take(rows), squares[rows], weights[rows]
        variance = part.variance(coefficients)
        for _ in range(iterations):
            target = np.minimum(seen, clip * variance) / expected - part.known
            coefficients = _least_squares(part.columns / size, target, np.sqrt(count) / variance) / size
            before, variance = variance, part.variance(coefficients)
            if np.abs(variance / before - 1.0).mean() < _SETTLED:
                break
        if len(rows) == len(squares):
            break
    return coefficients


def _least_squares(columns: Array, target: Array, scale: Array) -> Array:
    """Coefficients (m,), none negative, with the least sum of (scale (columns c - target))^2."""
    system = columns * scale[:, None]
    matrix, slope = system.T @ system, system.T @ (target * scale)
    # Through the normal equations, which are small; columns have unit size, and these few are distinct.
    matrix[np.diag_indices_from(matrix)] *= 1.0 + 1e-9
    matrix[np.diag_indices_from(matrix)] += 1e-12 * np.trace(matrix)
    return nonnegative(matrix, slope)


def robust_variance(squares: Array) -> float:
    """Variance of normal deviates from the median of their squares."""
    return float(np.median(squares)) / 0.4549364 if squares.size else 1.0


def described(model: Terms, coefficients: Array) -> Mapping[str, float]:
    """Name the coefficients."""
    return {name: float(value) for name, value in zip(model.names, coefficients, strict=True)}


def winsorised_second_moment(k: float) -> float:
    """E min(z^2, k^2) of a standard normal deviate z."""
    inside = math.erf(k / math.sqrt(2.0))
    density = math.exp(-0.5 * k * k) / math.sqrt(2.0 * math.pi)
    return inside - 2.0 * k * density + k * k * (1.0 - inside)

"""How well the centroids are known: variances for the weights and for the judging of residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.weighing.judging import granted, levelled
from smalti.steps.refining.weighing.panel_scatter import Factors
from smalti.steps.refining.weighing.scatter import about_planes, about_strata, chi_squared, robust_scale
from smalti.steps.refining.weighing.twin import Expected, expected
from smalti.steps.refining.weighing.variance_model import (
    CORE,
    ENOUGH,
    SETTLE,
    UNSEEN_VARIANCE,
    WIDE,
    Terms,
    described,
    fit,
    robust_variance,
    terms,
)

__all__ = ["Noise", "NoiseModel"]

Array = NDArray[np.float64]

_HALF_TRUST = 100
"""With so many reflections the fitted variances and those of the table count alike; with ten times as many
the latter count for 1 %."""

_WIDEST = 1.0 / 4.0
"""Where nothing can be estimated the middle of a cut spot is off by half the unseen width."""

_KINDS = ("x", "y", "phi")
_SURE = 0.9999


@dataclass(frozen=True)
class Noise:
    """Variances of the centroids of one round.

    Attributes
    ----------
    variance : (N, 3) mm^2, mm^2, rad^2
        Of residuals against the models: what weights are made of.
    judging : (N, 3)
        Of residuals about the middle of their stratum: what outliers are judged by. Panels that are still
        out of place widen the former, not this.
    scale : float
        Reduced chi-squared of what is used, against the variances before they were scaled by it.
    terms : Mapping
        For x, y and phi (or DeltaPsi) the coefficients of the fitted variance, px^2, image^2 or mrad^2.
    panels : (P, 3)
        What the variances of each panel are multiplied with.
    crystals : (E, 3)
        The same of each still; 1 for sweeps.
    expected : Expected
        What the judge leaves of normal deviates.
    leverage : (N, 3)
        How much of each residual the fit has taken away.
    """

    variance: Array
    judging: Array
    scale: float
    terms: Mapping[str, Mapping[str, float]]
    panels: Array
    crystals: Array
    expected: Expected
    leverage: Array


@dataclass(frozen=True)
class _Fitted:
    """Variances (N, 3), and the factors and coefficients (none where they are the table's) they come from."""

    variance: Array
    factors: Factors
    coefficients: tuple[Array, ...]


@dataclass(frozen=True)
class NoiseModel:
    """What the noise of some observations may depend on, and how to estimate it.

    Attributes
    ----------
    data : Observations
    groups : (N,)
        Strata of the judge.
    estimate : bool
        Whether variances are estimated; otherwise they are those of the table, times one factor.
    seed : int
    delta_psi_sigma : float
        rad; what DeltaPsi of stills is weighed with, 0 for what is estimated.
    """

    data: Observations
    groups: NDArray[np.intp]
    estimate: bool = True
    seed: int = 0
    delta_psi_sigma: float = 0.0

    def first(self, residuals: Array, effective: float = 0.0) -> Noise:
        """Estimate it before anything is judged, when only the scatter within strata tells something.

        Parameters
        ----------
        residuals : (N, 3)
            nan for what has no part in it.
        effective : float
            Number of parameters that have already been fitted to the data.
        """
        n = int(np.isfinite(residuals).all(axis=1).sum())
        followed = min(3 * n / max(3 * n - effective, 1.0), 2.0)
        deviations = self._deviations(residuals) * np.sqrt(followed)
        scale = robust_scale(deviations / np.sqrt(self._telling))
        fitted = self._fitted(deviations, scale)
        left, leverage = Expected.of_all(), np.zeros((self.data.n, 3))
        return self._noise(
            fitted,
            self._told(fitted.variance),
            granted(fitted.variance, self.data.traits.still),
            scale,
            left,
            leverage,
        )

    def later(self, residuals: Array, weights: Array, leverage: Array, rejector: OutlierRejector) -> Noise:
        """Estimate it at a minimum.

        Parameters
        ----------
        residuals : (N, 3)
            nan for what has no part in it.
        weights : (N,)
            What the judge gave.
        leverage : (N, 3)
        rejector : OutlierRejector
            The judge.
        """
        deviations = self._deviations(residuals)
        scale = robust_scale(deviations / np.sqrt(self._telling))
        before = self._fitted(deviations, scale)
        judging = granted(before.variance, self.data.traits.still)
        left = expected(rejector, deviations / np.sqrt(judging), weights, self.groups, self.seed)
        own = np.where(weights[:, None] > 0.0, residuals, np.nan) / np.sqrt(1.0 - leverage)
        fitted = self._at_minimum(own, weights, left, scale, before) if self.estimate else before
        variance, excess = self._settled(own, fitted.variance if self.estimate else None, weights, left)
        return self._noise(fitted, self._told(variance), judging, excess, left, leverage)

    def _at_minimum(
        self, own: Array, weights: Array, left: Expected, scale: float, before: _Fitted
    ) -> _Fitted:
        """Fit variances, factors and terms to what a judge has left of the residuals (N, 3) at a minimum."""
        # Panels and crystals are told apart before the terms are fitted: outer panels may scatter more, and
        # their spots are weaker.
        data, by = self.data, before.factors.of(self.data)
        flat = about_planes(own, weights, data.cell, data.observed)
        scatter = self._coefficients(flat, _some(flat, SETTLE), by, before.coefficients, weights, left)
        coefficients = self._coefficients(own, _some(own, ENOUGH), by, scatter, weights, left)
        plain = self._drawn(self._variance(coefficients), scale, own)
        factors = Factors.between(data, flat**2 / self._variance(scatter), own**2 / plain, weights)
        return _Fitted(plain * factors.of(data), factors, coefficients)

    def _settled(
        self, own: Array, variance: Array | None, weights: Array, left: Expected
    ) -> tuple[Array, float]:
        """Scale variances (N, 3) so that reduced chi-squared is 1; those of the table by one factor.

        Of phi and DeltaPsi each by its own: they have nothing to do with one another, and of the latter the
        table says nothing.
        """
        data, found = self.data, list[float]()
        out = data.variance.copy() if variance is None else variance.copy()
        for mine, kinds in (
            (~data.traits.still, (slice(0, 3),)),
            (data.traits.still, (slice(0, 2), slice(2, 3))),
        ):
            if not mine.any():
                continue
            excess = chi_squared(own[mine], out[mine], weights[mine], left.square)
            found += excess.tolist()
            if variance is None:
                for kind in kinds:
                    excess[kind] = excess[kind].mean()
            out[mine] *= excess
        return out, float(np.mean(found))

    def _noise(
        self, fitted: _Fitted, variance: Array, judging: Array, scale: float, left: Expected, leverage: Array
    ) -> Noise:
        told = {
            kind: described(model, c)
            for kind, model, c in zip(_KINDS, self._terms, fitted.coefficients, strict=False)
        }
        factors = fitted.factors
        return Noise(variance, judging, scale, told, factors.panels, factors.crystals, left, leverage)

    def _told(self, variance: Array) -> Array:
        """Variances (N, 3) to weigh with: that of DeltaPsi is the user's, where there is one."""
        if self.delta_psi_sigma > 0.0:
            variance = variance.copy()
            variance[self.data.traits.still, 2] = self.delta_psi_sigma**2
        return variance

    def _deviations(self, residuals: Array) -> Array:
        return about_strata(levelled(residuals, self.data), self.groups, self._order)

    @cached_property
    def _terms(self) -> tuple[Terms, Terms, Terms]:
        return terms(self.data.traits, self.data.variance / self.data.traits.unit**2)

    @cached_property
    def _telling(self) -> Array:
        """Variances of the table (N, 3); nan for what it knows nothing of: angles of cut spots, DeltaPsi."""
        variance = self.data.variance.copy()
        if self.estimate:
            variance[self.data.traits.unseen > 0.0, 2] = np.nan
        variance[self.data.traits.still, 2] = np.nan
        return variance

    def _fitted(self, deviations: Array, scale: float) -> _Fitted:
        """Fit variances, factors and terms to deviations (N, 3), outliers among them; or take the table's."""
        data, alike = self.data, Factors.alike(self.data)
        if not self.estimate:
            variance, still = scale * data.variance, data.traits.still
            square = deviations[still, 2] ** 2 / data.variance[still, 2]
            variance[still, 2] = data.variance[still, 2] * robust_variance(square[np.isfinite(square)])
            return _Fitted(variance, alike, ())
        coefficients = self._coefficients(deviations, _some(deviations, SETTLE), alike.of(data))
        plain = self._drawn(self._variance(coefficients), scale, deviations)
        normal = deviations**2 / plain
        factors = Factors.between(data, normal, normal, None)
        return _Fitted(plain * factors.of(data), factors, coefficients)

    def _coefficients(
        self,
        deviations: Array,
        rows: NDArray[np.intp],
        factors: Array,
        start: tuple[Array, ...] | None = None,
        weights: Array | None = None,
        left: Expected | None = None,
    ) -> tuple[Array, ...]:
        """Fit the terms of x, y and phi to some rows of deviations (N, 3), beginning at ``start``.

        With weights, and what is expected of normal deviates that have them, they count up to 2.5 sigma.
        """
        scale = self.data.traits.unit[rows] ** 2 * factors[rows]
        squares, found = deviations[rows] ** 2 / scale, []
        for k, model in enumerate(self._terms):
            begin = model.take(rows).begin(squares[:, k]) if start is None else start[k]
            if rows.size and weights is not None and left is not None:
                begin = fit(
                    squares[:, k], model.take(rows), begin, weights[rows], WIDE, float(left.winsorised[k])
                )
            elif rows.size:
                begin = fit(squares[:, k], model.take(rows), begin, clip=CORE)
            found.append(begin)
        return tuple(found)

    def _variance(self, coefficients: tuple[Array, ...], rows: NDArray[np.intp] | None = None) -> Array:
        """Give what the terms make of all reflections or of some, (N, 3) mm^2, mm^2, rad^2."""
        models = self._terms if rows is None else [model.take(rows) for model in self._terms]
        unit = self.data.traits.unit if rows is None else self.data.traits.unit[rows]
        columns = [model.variance(c) for model, c in zip(models, coefficients, strict=True)]
        return np.asarray(np.column_stack(columns) * unit**2)

    def _drawn(self, variance: Array, scale: float, deviations: Array) -> Array:
        """Draw fitted variances (N, 3) to those of the table where there are few deviations."""
        n = int(np.isfinite(deviations[:, 0]).sum())
        share = n**2 / (n**2 + _HALF_TRUST**2)
        if share > _SURE:
            return variance
        fallback, still = scale * self.data.variance, self.data.traits.still
        fallback[still, 2] = variance[still, 2]  # of DeltaPsi the table knows nothing
        cut, unit = self.data.traits.unseen > 0.0, self.data.traits.unit[:, 2]
        fallback[cut, 2] = np.minimum(fallback[cut, 2], scale * unit[cut] ** 2 * UNSEEN_VARIANCE)
        fallback[:, 2] += _WIDEST * (self.data.traits.unseen * unit) ** 2
        return share * variance + (1.0 - share) * fallback

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.groups, kind="stable")


def _some(deviations: Array, most: int) -> NDArray[np.intp]:
    """Rows of finite deviations (N, 3), evenly picked where there are many more than ``most``."""
    good = np.flatnonzero(np.isfinite(deviations).all(axis=1))
    return good[:: max(1, -(-good.size // most))]

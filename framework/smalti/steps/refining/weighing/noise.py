"""How well the centroids are known: variances for the weights and for the judging of residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.roles import OutlierRejector
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.weighing.panel_scatter import panel_factors
from smalti.steps.refining.weighing.scatter import about_planes, about_strata, chi_squared, robust_scale
from smalti.steps.refining.weighing.twin import Expected, expected
from smalti.steps.refining.weighing.variance_model import (
    CORE,
    ENOUGH,
    SETTLE,
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
        For x, y and phi the coefficients of the fitted variance, px^2 or image^2.
    panels : (P, 3)
        What the variances of each panel are multiplied with.
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
    expected: Expected
    leverage: Array


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
    """

    data: Observations
    groups: NDArray[np.intp]
    estimate: bool = True
    seed: int = 0

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
        deviations = about_strata(residuals, self.groups, self._order) * np.sqrt(followed)
        scale = robust_scale(deviations / np.sqrt(self._telling))
        variance, panels = scale * self.data.variance, self._flat
        found: Mapping[str, Mapping[str, float]] = {}
        if self.estimate:
            variance, panels, coefficients = self._fitted(deviations, scale)
            found = self._described(coefficients)
        return Noise(variance, variance, scale, found, panels, Expected.of_all(), np.zeros((self.data.n, 3)))

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
        deviations = about_strata(residuals, self.groups, self._order)
        scale = robust_scale(deviations / np.sqrt(self._telling))
        judging, panels, start = self.data.variance * scale, self._flat, tuple[Array, ...]()
        if self.estimate:
            judging, panels, start = self._fitted(deviations, scale)
        left = expected(rejector, deviations / np.sqrt(judging), weights, self.groups, self.seed)
        own = np.where(weights[:, None] > 0.0, residuals, np.nan) / np.sqrt(1.0 - leverage)
        if not self.estimate:
            excess = chi_squared(own, self._telling, weights, left.square).mean()
            variance = self.data.variance * excess
            return Noise(variance, judging, float(excess), {}, panels, left, leverage)
        # Panels are told apart before the terms are fitted: outer ones may scatter more, and their spots
        # are weaker.
        panel = self.data.spots.panel
        flat = about_planes(own, weights, self.data.spots, self.data.observed)
        scatter = self._coefficients(flat, _some(flat, SETTLE), panels, start, weights, left)
        coefficients = self._coefficients(own, _some(own, ENOUGH), panels, scatter, weights, left)
        plain = self._drawn(self._variance(coefficients), scale, own)
        panels = panel_factors(flat**2 / self._variance(scatter), weights, panel, len(panels))
        variance = plain * panels[panel]
        excess = chi_squared(own, variance, weights, left.square)
        return Noise(
            variance * excess,
            judging,
            float(excess.mean()),
            self._described(coefficients),
            panels,
            left,
            leverage,
        )

    @cached_property
    def _flat(self) -> Array:
        """Factors of panels that are all alike, (P, 3)."""
        return np.ones((int(self.data.spots.panel.max(initial=0)) + 1, 3))

    @cached_property
    def _terms(self) -> tuple[Terms, Terms, Terms]:
        return terms(self.data.traits, self.data.variance / self.data.traits.unit**2)

    @cached_property
    def _telling(self) -> Array:
        """Variances of the table (N, 3); nan for angles of spots that were cut, of which it knows nothing."""
        variance = self.data.variance.copy()
        if self.estimate:
            variance[self.data.traits.unseen > 0.0, 2] = np.nan
        return variance

    def _fitted(self, deviations: Array, scale: float) -> tuple[Array, Array, tuple[Array, ...]]:
        """Fit variances (N, 3), factors of panels and terms to deviations (N, 3), outliers among them."""
        coefficients = self._coefficients(deviations, _some(deviations, SETTLE), self._flat)
        plain = self._drawn(self._variance(coefficients), scale, deviations)
        panel = self.data.spots.panel
        panels = panel_factors(deviations**2 / plain, None, panel, len(self._flat))
        return plain * panels[panel], panels, coefficients

    def _coefficients(
        self,
        deviations: Array,
        rows: NDArray[np.intp],
        panels: Array,
        start: tuple[Array, ...] | None = None,
        weights: Array | None = None,
        left: Expected | None = None,
    ) -> tuple[Array, ...]:
        """Fit the terms of x, y and phi to some rows of deviations (N, 3), beginning at ``start``.

        With weights, and what is expected of normal deviates that have them, they count up to 2.5 sigma.
        """
        scale = self.data.traits.unit[rows] ** 2 * panels[self.data.spots.panel[rows]]
        squares, found = deviations[rows] ** 2 / scale, []
        for k, model in enumerate(self._terms):
            begin = np.zeros(len(model.names))
            if start is None:
                begin[0] = robust_variance(squares[:, k])
            else:
                begin = start[k]
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
        fallback = scale * self.data.variance
        fallback[:, 2] += _WIDEST * (self.data.traits.unseen * self.data.traits.unit[:, 2]) ** 2
        return share * variance + (1.0 - share) * fallback

    def _described(self, coefficients: tuple[Array, ...]) -> Mapping[str, Mapping[str, float]]:
        return {
            kind: described(model, c)
            for kind, model, c in zip(_KINDS, self._terms, coefficients, strict=True)
        }

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.groups, kind="stable")


def _some(deviations: Array, most: int) -> NDArray[np.intp]:
    """Rows of finite deviations (N, 3), evenly picked where there are many more than ``most``."""
    good = np.flatnonzero(np.isfinite(deviations).all(axis=1))
    return good[:: max(1, -(-good.size // most))]

"""What sums tell of the detector: how sure its parameters are, how its panels moved, whether halves agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import PANEL
from smalti.models import Detector
from smalti.solution import NormalEquations, Prior
from smalti.steps.refining.problem.displacement import Displacements, displacements
from smalti.steps.refining.problem.uncertainty import (
    Uncertainty,
    assess,
    inverse_of,
    reduced_chi_squared,
    unit_scale,
)
from smalti.steps.streaming.common import Common, shared_restraints
from smalti.steps.streaming.source import equations_of
from smalti.steps.streaming.sums import HALVES, Sums

__all__ = ["Halves", "Known"]

Array = NDArray[np.float64]

_NULL = 1e-9
"""Eigenvalues of the scaled normal matrix of the data below this are directions that no data see."""

_NOTHING = 1e-6
"""A prior wider than a metre or a radian (1/mm^2, 1/mrad^2) holds nothing."""


@dataclass(frozen=True)
class Halves:
    """Two halves of the crystals, each solved by itself where all were linearised.

    Attributes
    ----------
    difference : (g,)
        Of the shared parameters.
    covariance : (g, g)
        Of this difference, priors having no part in it.
    reduced_chi_squared : float
    """

    difference: Array
    covariance: Array
    reduced_chi_squared: float


@dataclass(frozen=True)
class Known:
    """What is known of the shared parameters at p (g,), where the sums were made.

    Attributes
    ----------
    common : Common
    prior : Prior
    sums : Sums
    p : (g,)
    """

    common: Common
    prior: Prior
    sums: Sums
    p: Array

    @cached_property
    def scale(self) -> float:
        """Reduced chi-squared: what the variances of the centroids have to be multiplied with."""
        squares, n = 2.0 * float(self.sums.objective.sum()), 3 * self.sums.n_used
        return reduced_chi_squared(squares, n, float(self.sums.n_own.sum()) + len(self.p))

    @cached_property
    def equations(self) -> NormalEquations:
        """The normal equations with weights that make chi-squared one."""
        return equations_of(self.sums, self.common, self.prior, self.p, 1.0 / self.scale)

    @cached_property
    def data(self) -> Array:
        """What the data hold, (g, g)."""
        return np.asarray(self.sums.matrix.sum(axis=0) / self.scale)

    @cached_property
    def held(self) -> Array:
        """What priors and restraints hold, (g, g)."""
        _, by_p = shared_restraints(self.common, self.p)
        return np.asarray(np.diag(self.prior.precision) + (by_p.T @ by_p).toarray())

    @cached_property
    def uncertainty(self) -> Uncertainty:
        """Covariance of the parameters, and shares of the priors."""
        return assess(self.data, self.data, self.held)

    @property
    def detector(self) -> Detector:
        """The detector at p."""
        return self.common.refined(self.p)

    @cached_property
    def moved(self) -> Displacements:
        """How its panels moved."""
        whole, layout = self.common.whole(self.p), self.common.layout
        tangent = layout.tangent(whole)[: PANEL.stop * self.common.n_panels].toarray()
        return displacements(
            self.common.detector,
            self.detector,
            tangent[:, self.common.partition.shared],
            self.uncertainty.covariance.shared,
            self.sums.panel_used > 0.0,
        )

    @cached_property
    def eigenvalues(self) -> Array:
        """Of what the data hold, scaled to a unit diagonal, ascending."""
        scale = unit_scale(np.diag(self.data))
        return np.asarray(np.linalg.eigvalsh(self.data * np.outer(scale, scale)), dtype=float)

    @property
    def n_null(self) -> int:
        """Directions that neither data nor priors and restraints determine.

        Priors are asked in their own right: beside the curvature of many crystals they look like nothing,
        and where no data speak they are all there is.
        """
        scale = unit_scale(np.diag(self.data))
        values, vectors = np.linalg.eigh(self.data * np.outer(scale, scale))
        unseen, _ = np.linalg.qr(scale[:, None] * vectors[:, values < _NULL])
        held = unseen.T @ self.held @ unseen
        return int(np.sum(np.linalg.eigvalsh(held) < _NOTHING)) if held.size else 0

    @cached_property
    def halves(self) -> Halves | None:
        """Compare two halves of the crystals; None where one of them has nothing to say."""
        if self.sums.n_crystals < 2 * HALVES or not (self.sums.objective > 0.0).all():
            return None
        steps, spread = [], np.zeros_like(self.data)
        for k in range(HALVES):
            part = replace(
                self.sums,
                matrix=self.sums.matrix[k : k + 1],
                gradient=self.sums.gradient[k : k + 1],
                objective=self.sums.objective[k : k + 1],
            )
            own = equations_of(part, self.common, self.prior, self.p, 1.0 / self.scale)
            inverse = inverse_of(own.matrix)
            steps.append(-inverse @ own.gradient)
            spread += inverse @ (self.sums.matrix[k] / self.scale) @ inverse
        difference = steps[0] - steps[1]
        return Halves(difference, spread, _per_degree(difference, spread))


def _per_degree(difference: Array, covariance: Array) -> float:
    """Chi-squared of a difference for each direction in which it may be anything."""
    scale = unit_scale(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
    seen = values > _NULL * max(float(values[-1]), 1e-300)
    along = vectors[:, seen].T @ (scale * difference)
    return float(np.sum(along**2 / values[seen]) / max(int(seen.sum()), 1))

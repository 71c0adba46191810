"""The least-squares problem of a refinement, as minimisers see it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import RotationState
from smalti.solution import NormalEquations, Prior
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.passes import Pass, StaticPass
from smalti.steps.refining.problem.restraints import Restraint
from smalti.steps.refining.problem.varying_pass import VaryingPass
from smalti_ext import normal

__all__ = ["RotationSource"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RotationSource:
    """Residuals of rotation data and their normal equations in block form.

    Attributes
    ----------
    layout : Layout
    observations : Observations
    weights : (N, 3) 1/mm^2, 1/mm^2, 1/rad^2
        All three are 0 for what is rejected.
    prior : Prior
        Of the free parameters.
    n_threads : int
    restraints : tuple of Restraint
    """

    layout: Layout
    observations: Observations
    weights: Array
    prior: Prior
    n_threads: int = 1
    restraints: tuple[Restraint, ...] = ()

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.layout.n

    @cached_property
    def setting(self) -> bool:
        """Whether a setting rotation is refined; sums that nobody asks for take a quarter of the time."""
        return any(parameter.name.startswith("Goniometer") for parameter in self.layout.parameters)

    @cached_property
    def _pass(self) -> Pass:
        """What goes over the reflections."""
        kind = VaryingPass if self.layout.sample_offset else StaticPass
        return kind(self.layout, self.observations, self.n_threads)

    def states(self, p: Array) -> tuple[RotationState, Observations]:
        """Give the models at p as arrays, and the observations with the row of each in them as experiment.

        There is a row for each experiment or, where crystals vary, for each image.
        """
        state, spots = self._pass.states(p)
        return state, replace(self.observations, spots=spots)

    def calc_minus_obs(self, p: Array) -> Array:
        """Give the plain residuals calc - obs at p, (N, 3) mm, mm, rad; nan where nothing is predicted."""
        return np.asarray(self._pass.predict(p) - self.observations.observed)

    def objective(self, p: Array) -> float:
        """Give 1/2 sum w r^2 plus the priors at p (n,); infinite where a prediction is impossible."""
        try:
            residuals = self.calc_minus_obs(p)
        except np.linalg.LinAlgError:  # parameters that are no cell
            return np.inf
        used = self.weights[:, 0] > 0.0
        value = 0.5 * float(np.sum(self.weights[used] * residuals[used] ** 2)) + self._held_energy(p)
        return value if np.isfinite(value) else np.inf

    def normal_equations(self, p: Array) -> NormalEquations:
        """Linearise at p (n,), priors included."""
        sums, columns = self._pass.accumulate(p, self.weights)
        local, slope = self._gather(sums, columns)
        tangent = self.layout.tangent(p)
        n = int(sums.used.sum())
        objective = float(sums.objective.sum()) + self._held_energy(p)
        known, by_p = self.known(p)
        x, y, phi = np.sqrt(sums.squares.sum(axis=0) / max(n, 1))
        return NormalEquations(
            np.array(p, dtype=float),
            np.inf if sums.impossible.any() else objective,
            tangent.T @ slope + self.prior.precision * (p - self.prior.mean) + by_p.T @ known,
            (tangent.T @ local @ tangent).toarray()
            + np.diag(self.prior.precision)
            + (by_p.T @ by_p).toarray(),
            (float(x), float(y), float(phi)),
            n,
        )

    def residuals(self, p: Array) -> Array:
        """Give sqrt(w) r of reflections, one after the other, of priors and restraints: (3 N + n + m,)."""
        used = self.weights[:, :1] > 0.0
        weighted = np.sqrt(self.weights) * np.where(used, self.calc_minus_obs(p), 0.0)
        held = np.sqrt(self.prior.precision) * (p - self.prior.mean)
        return np.concatenate([weighted.ravel(), held, self.known(p)[0]])

    def jacobian(self, p: Array) -> sparse.csr_array:
        """Give d(residuals)/dp as a sparse matrix (3 N + n + m, n)."""
        derivatives, columns = self._pass.rows(p)
        rows = np.sqrt(self.weights)[:, :, None] * derivatives
        rows[self.weights[:, 0] <= 0.0] = 0.0  # what is rejected may be impossible to predict
        n = 3 * len(rows)
        places = np.repeat(np.arange(n), rows.shape[2]), np.repeat(columns, 3, axis=0).ravel()
        local = sparse.csr_array((rows.ravel(), places), shape=(n, self.layout.n_local))
        held = sparse.diags_array(np.sqrt(self.prior.precision))
        return sparse.csr_array(sparse.vstack([local @ self.layout.tangent(p), held, self.known(p)[1]]))

    def _gather(self, sums: normal.Sums, columns: NDArray[np.intp]) -> tuple[sparse.csr_array, Array]:
        """Put the blocks of all chunks in their places: sparse (L, L) matrix and (L,) gradient."""
        size = self.layout.n_local
        rows, across = np.broadcast_arrays(columns[:, :, None], columns[:, None, :])
        matrix = sparse.csr_array((sums.matrix.ravel(), (rows.ravel(), across.ravel())), shape=(size, size))
        gradient = np.zeros(size)
        np.add.at(gradient, columns, sums.gradient)
        return matrix, gradient

    def known(self, p: Array) -> tuple[Array, sparse.csr_array]:
        """Give residuals (m,) of the restraints over their sigmas, and derivatives (m, n)."""
        rows = [restraint.rows(self.layout, p) for restraint in self.restraints]
        residuals = [np.zeros(0), *(values for values, _ in rows)]
        none = sparse.csr_array((0, self.layout.n))
        return np.concatenate(residuals), sparse.csr_array(sparse.vstack([none, *(by for _, by in rows)]))

    def _held_energy(self, p: Array) -> float:
        known, _ = self.known(p)
        return 0.5 * float(np.sum(self.prior.precision * (p - self.prior.mean) ** 2) + known @ known)

"""A source whose crystals find their own best: what minimisers see where crystals are eliminated."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg

from smalti.errors import DataError
from smalti.roles import Minimiser
from smalti.solution import NormalEquations, Solution
from smalti.steps.answers import solution_of
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.arrows import held_arrow
from smalti.steps.refining.problem.partition import MANY, Partition, partition_of
from smalti.steps.refining.problem.reducing import Reduction, reduce_crystals
from smalti.steps.refining.problem.remembering import Remembering
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.substituting import own_inverses
from smalti.steps.refining.problem.uncertainty import determined, inverse_of

__all__ = ["Minimum", "Projected", "determined_by", "minimise", "partition_for", "started"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Minimum:
    """Where a minimiser ended.

    Attributes
    ----------
    p : (n,)
        All parameters.
    solution : Solution
        Of the shared ones; they are all where no crystal is eliminated.
    equations : NormalEquations
        Of the shared ones, there.
    """

    p: Array
    solution: Solution
    equations: NormalEquations


def partition_for(source: RotationSource, options: RefineOptions) -> Partition:
    """Tell which crystals are eliminated, as the options say."""
    layout = source.layout
    crystals = len({use["crystal"] for use in layout.uses})
    many = crystals >= MANY or options.halves == "crystals"
    wanted = options.eliminate_crystals == "always" or (options.eliminate_crystals == "auto" and many)
    if not wanted:
        return Partition.joint(layout.n, len(layout.uses))
    coupling = [restraint.rows(layout, np.zeros(layout.n))[1] for restraint in source.restraints]
    return partition_of(layout, coupling, eliminate=True)


def minimise(source: RotationSource, partition: Partition, minimiser: Minimiser, p: Array) -> Minimum:
    """Minimise from p (n,), all parameters together or with crystals eliminated."""
    if not partition.eliminates:
        remembering = Remembering(source)
        started(remembering, p)
        solution = solution_of(minimiser, remembering, p)
        return Minimum(solution.parameters, solution, remembering.normal_equations(solution.parameters))
    projected = Projected(source, partition, p)
    remembering = Remembering(projected)
    started(remembering, p[partition.shared])
    solution = solution_of(minimiser, remembering, p[partition.shared])
    equations = remembering.normal_equations(solution.parameters)
    return Minimum(projected.whole(solution.parameters), solution, equations)


def started(source: Remembering, p: Array) -> None:
    """See that there is a problem to solve where a minimiser begins; it is linearised there anyway.

    Raises
    ------
    DataError
        Numbers overflow: the models have run away from data that they do not describe.
    """
    now = source.normal_equations(p)
    if not (
        np.isfinite(now.matrix).all() and np.isfinite(now.gradient).all() and not np.isnan(now.objective)
    ):
        raise DataError(
            "The refinement ran away from its data.",
            "Where it is now predicted spots lie so far off that numbers overflow: the indices, the hand or "
            "the rotation axis do not belong to these spots.",
            "Look at the indexing (smalti view EXPT REFL), or index again.",
        )


def determined_by(source: RotationSource, partition: Partition, found: Minimum) -> Array:
    """How far the data determine each parameter at a minimum, (n,): 1 less the share of its prior."""
    shared = determined(found.equations, partition.prior_of_shared(source.prior))
    if not partition.eliminates:
        return shared
    inverse = inverse_of(found.equations.matrix)
    own = own_inverses(source, partition, found.p, inverse)
    precision = partition.of_crystals(source.prior.precision)
    share = np.clip(np.einsum("kii->ki", own) * precision, 0.0, 1.0)
    return partition.with_crystals(partition.with_shared(np.zeros(partition.n), shared), 1.0 - share)


@dataclass
class Projected:
    """The problem in the g shared parameters alone: for any of them crystals are at their best.

    Attributes
    ----------
    source : RotationSource
    partition : Partition
    p : (n,)
        Where the search of crystals begins: at the lowest point that was met.
    """

    source: RotationSource
    partition: Partition
    p: Array
    _lowest: float = field(default=np.inf, init=False)
    _last: tuple[Array, Reduction] | None = field(default=None, init=False)

    @property
    def n_parameters(self) -> int:
        """Number of shared parameters."""
        return len(self.partition.shared)

    def objective(self, p: Array) -> float:
        """Give the least that crystals reach at shared parameters p (g,)."""
        return self.normal_equations(p).objective

    def normal_equations(self, p: Array) -> NormalEquations:
        """Linearise at p (g,), priors included."""
        found = self._at(p)
        held, energy, _ = held_arrow(self.source, self.partition, found.p)
        objective = found.objective + energy
        if objective < self._lowest:
            self._lowest, self.p = objective, found.p
        return NormalEquations(
            np.array(p, dtype=float),
            objective,
            found.gradient + held.slope,
            found.matrix + held.shared,
            found.rmsd,
            found.n_reflections,
        )

    def whole(self, p: Array) -> Array:
        """Give all parameters (n,) that go with shared ones (g,)."""
        return self._at(p).p

    def residuals(self, p: Array) -> Array:
        """Give those of the source at the best of the crystals."""
        return self.source.residuals(self.whole(p))

    def jacobian(self, p: Array) -> sparse.csr_array:
        """Give their derivatives (m, g) with crystals following [Kaufman 1975, BIT 15, 49].

        J_s - J_k (J_k^T J_k)^-1 J_k^T J_s: what is left of a change of shared parameters once each crystal
        has made up for it as well as it can.
        """
        J = sparse.csc_array(self.source.jacobian(self.whole(p)))
        shared, mine = J[:, self.partition.shared], np.flatnonzero(self.partition.owner >= 0)
        own = J[:, mine]
        ridge = 1e-14 * (own.multiply(own)).sum(axis=0)
        normal = own.T @ own + sparse.diags_array(np.where(ridge > 0.0, ridge, 1.0))
        follow = sparse_linalg.splu(sparse.csc_array(normal)).solve((own.T @ shared).toarray())
        return sparse.csr_array(shared - sparse.csr_array(own @ follow))

    def _at(self, p: Array) -> Reduction:
        if self._last is None or not np.array_equal(self._last[0], p):
            begin = self.partition.with_shared(self.p, p)
            self._last = np.array(p, dtype=float), reduce_crystals(self.source, self.partition, begin)
        return self._last[1]

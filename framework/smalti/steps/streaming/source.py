"""A stream as the problem that minimisers solve: its normal equations, one pass over the files each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.solution import NormalEquations, Prior
from smalti.steps.streaming.common import Common, shared_restraints
from smalti.steps.streaming.sums import Sums

__all__ = ["StreamSource", "equations_of"]

Array = NDArray[np.float64]


def equations_of(sums: Sums, common: Common, prior: Prior, p: Array, factor: float = 1.0) -> NormalEquations:
    """Give the normal equations of sums at p (g,), with priors and restraints of shared parameters.

    Parameters
    ----------
    factor : float
        What the sums are multiplied with: one over the reduced chi-squared, once it is known.
    """
    away = p - prior.mean
    known, by_p = shared_restraints(common, p)
    objective = factor * float(sums.objective.sum())
    return NormalEquations(
        np.array(p, dtype=float),
        objective + 0.5 * float(np.sum(prior.precision * away**2) + known @ known),
        factor * sums.gradient.sum(axis=0) + prior.precision * away + by_p.T @ known,
        factor * sums.matrix.sum(axis=0) + np.diag(prior.precision) + (by_p.T @ by_p).toarray(),
        sums.rmsd,
        sums.n_used,
    )


@dataclass
class StreamSource:
    """The shared parameters of a stream; crystals are at their best for any of them.

    Attributes
    ----------
    common : Common
    prior : Prior
        Of the shared parameters.
    run : Callable
        Makes one pass over the files at a point (g,).
    sums : Sums or None
        Of the last pass, and ``at`` its point.
    """

    common: Common
    prior: Prior
    run: Callable[[Array], Sums]
    sums: Sums | None = field(default=None, init=False)
    at: Array | None = field(default=None, init=False)

    @property
    def n_parameters(self) -> int:
        """Number g of shared parameters."""
        return len(self.common.parameters)

    def sums_at(self, p: Array) -> Sums:
        """Give the sums at p (g,), from a pass unless the last one was there."""
        if self.sums is None or self.at is None or not np.array_equal(self.at, p):
            self.sums, self.at = self.run(p), np.array(p, dtype=float)
        return self.sums

    def objective(self, p: Array) -> float:
        """Give 1/2 sum w r^2 plus the priors at p (g,)."""
        return self.normal_equations(p).objective

    def normal_equations(self, p: Array) -> NormalEquations:
        """Linearise at p (g,), crystals eliminated."""
        return equations_of(self.sums_at(p), self.common, self.prior, p)

    def residuals(self, p: Array) -> NoReturn:
        """Refuse: nobody has the residuals of all crystals."""
        raise _refusal()

    def jacobian(self, p: Array) -> Any:
        """Refuse, likewise."""
        raise _refusal()


def _refusal() -> UsageError:
    return UsageError(
        "This minimiser cannot refine a stream.",
        "It asks for the residuals of all reflections at once, which are never all in memory.",
        "Choose one that works with normal equations: --minimiser levenberg_marquardt.",
    )

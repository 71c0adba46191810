"""What a minimiser promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.roles import Minimiser
from smalti.solution import Ended, NormalEquations, Solution
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LeastSquares:
    """A small least-squares problem as a minimiser meets it, with unit weights.

    Attributes
    ----------
    function : Callable
        p (n,) to residuals (m,) and their derivatives (m, n).
    n_parameters : int
    """

    function: Callable[[Array], tuple[Array, Array]]
    n_parameters: int

    def objective(self, p: Array) -> float:
        """Half the sum of squares."""
        r = self.residuals(p)
        return 0.5 * float(r @ r)

    def residuals(self, p: Array) -> Array:
        """Residuals, (m,)."""
        return self.function(np.asarray(p, dtype=float))[0]

    def jacobian(self, p: Array) -> Any:
        """Derivatives of the residuals, sparse (m, n)."""
        return sparse.csr_matrix(self.function(np.asarray(p, dtype=float))[1])

    def normal_equations(self, p: Array) -> NormalEquations:
        """The linearised problem."""
        r, J = self.function(np.asarray(p, dtype=float))
        rms = float(np.sqrt(np.mean(r**2)))
        return NormalEquations(
            np.array(p, dtype=float), 0.5 * float(r @ r), J.T @ r, J.T @ J, (rms, rms, rms), len(r)
        )


def linear() -> LeastSquares:
    """A straight problem of three parameters with badly matched scales."""
    rng = np.random.default_rng(11)
    J = rng.normal(size=(60, 3)) * (1.0, 30.0, 0.1)
    y = J @ np.array([1.0, -0.2, 5.0]) + rng.normal(size=60)
    return LeastSquares(lambda p: (J @ p - y, J), 3)


def curved() -> LeastSquares:
    """Amplitude, decay and background of an exponential."""
    t = np.linspace(0.0, 4.0, 80)
    y = 50.0 * np.exp(-0.8 * t) + 10.0 + np.random.default_rng(13).normal(size=80)

    def function(p: Array) -> tuple[Array, Array]:
        decay = np.exp(-p[1] * t)
        return p[0] * decay + p[2] - y, np.column_stack([decay, -p[0] * t * decay, np.ones(80)])

    return LeastSquares(function, 3)


def _minimise(minimiser: Minimiser, source: LeastSquares, start: Array) -> Solution:
    kept = start.copy()
    solution = minimiser.minimise(source, start)
    require(np.array_equal(kept, start), "it changes the start it was given")
    n = source.n_parameters
    require(
        solution.parameters.shape == (n,), f"parameters has shape {solution.parameters.shape}, not ({n},)"
    )
    require(isinstance(solution.ended, Ended), "it does not say why it ended")
    require(len(solution.steps) > 0, "it reports no steps")
    require(solution.steps[0].number == 0, "the first step reported is not number 0, the start")
    initial = source.objective(start)
    error = abs(solution.steps[0].objective - initial)
    require(error <= 1e-6 * max(initial, 1.0), "step 0 does not hold the objective of the start")
    reached = source.objective(solution.parameters)
    require(reached <= initial * (1 + 1e-9), "it ended above its start")
    require(
        abs(solution.objective - reached) <= 1e-6 * max(reached, 1.0), "its objective is not that of its end"
    )
    return solution


def _require_minimum(source: LeastSquares, solution: Solution) -> None:
    """The distance to the minimum, by one more Newton step, is a small part of the uncertainty."""
    last = source.normal_equations(solution.parameters)
    step = np.linalg.solve(last.matrix, last.gradient)
    sigmas = float(np.sqrt(step @ last.matrix @ step))
    require(sigmas < 0.1, f"it ended {sigmas:.2g} standard deviations away from the minimum")
    require(solution.ended.converged, f"it reached the minimum, but says: {solution.ended.value}")


def reaches_the_minimum_of_a_straight_problem(minimiser: Minimiser) -> None:
    """Three linear parameters, scales a factor of 300 apart."""
    source = linear()
    _require_minimum(source, _minimise(minimiser, source, np.zeros(3)))


def reaches_the_minimum_of_a_curved_problem(minimiser: Minimiser) -> None:
    """Amplitude, decay and background of an exponential."""
    source = curved()
    _require_minimum(source, _minimise(minimiser, source, np.array([40.0, 0.6, 5.0])))


def gives_the_covariance_or_none(minimiser: Minimiser) -> None:
    """A covariance is the inverse of the undamped normal matrix at the end."""
    source = linear()
    solution = _minimise(minimiser, source, np.zeros(3))
    if solution.covariance is not None:
        expected = np.linalg.inv(source.normal_equations(solution.parameters).matrix)
        close = np.allclose(solution.covariance, expected, rtol=1e-3, atol=1e-9)
        require(close, "the covariance is not the inverse of the normal matrix")


def stays_at_a_minimum(minimiser: Minimiser) -> None:
    """Started at the minimum it ends there."""
    source = linear()
    last = source.normal_equations(np.zeros(3))
    best = np.asarray(-np.linalg.solve(last.matrix, last.gradient), dtype=np.float64)
    _require_minimum(source, _minimise(minimiser, source, best))


def gives_the_same_twice(minimiser: Minimiser) -> None:
    """It keeps no state from one problem to the next."""
    first = minimiser.minimise(curved(), np.array([40.0, 0.6, 5.0]))
    second = minimiser.minimise(curved(), np.array([40.0, 0.6, 5.0]))
    require(np.array_equal(first.parameters, second.parameters), "a second call ends elsewhere")


CHECKS = (
    reaches_the_minimum_of_a_straight_problem,
    reaches_the_minimum_of_a_curved_problem,
    gives_the_covariance_or_none,
    stays_at_a_minimum,
    gives_the_same_twice,
)

"""Each minimiser on small problems whose answers are known."""

import numpy as np
import pytest
from scipy import sparse

from smalti.solution import Ended, NormalEquations
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.minimisers.stopping import solve

ALL = [
    GaussNewton(),
    LevenbergMarquardt(),
    ScipyLeastSquares(),
    ScipyLeastSquares(method="dogbox"),
    ScipyLeastSquares(method="lm"),
]
NAMES = [f"{item.name}-{getattr(item, 'method', '')}" for item in ALL]


class Decay:
    """y = a exp(-b t) + c with parameters of very different size."""

    def __init__(self, noise=0.01, n=60):
        self.t = np.linspace(0.0, 4.0, n)
        self.truth = np.array([2.0, 1.5e3, 1e-3])
        self.y = self.model(self.truth) + noise * np.random.default_rng(3).normal(size=n)
        self.calls = 0

    def model(self, p):
        return p[0] * np.exp(-1e-3 * p[1] * self.t) + 1e3 * p[2]

    @property
    def n_parameters(self):
        return 3

    def residuals(self, p):
        return (self.model(p) - self.y) / 0.01

    def jacobian(self, p):
        decay = np.exp(-1e-3 * p[1] * self.t)
        columns = [decay, -1e-3 * p[0] * self.t * decay, np.full(len(self.t), 1e3)]
        return sparse.csr_array(np.column_stack(columns) / 0.01)

    def objective(self, p):
        return 0.5 * float(self.residuals(p) @ self.residuals(p))

    def normal_equations(self, p):
        self.calls += 1
        r, J = self.residuals(p), self.jacobian(p).toarray()
        rmsd = float(np.sqrt(np.mean(r**2)))
        return NormalEquations(p, self.objective(p), J.T @ r, J.T @ J, (rmsd, rmsd, rmsd), len(r))


class Nothing(Decay):
    """No free parameter is left."""

    n_parameters = 0

    def normal_equations(self, p):
        return NormalEquations(p, 1.0, np.zeros(0), np.zeros((0, 0)), (1.0, 1.0, 1.0), 5)


class Wall(Decay):
    """Impossible beyond a wall; a full first step from (1, 1000, 0) ends at 1809, behind it."""

    def objective(self, p):
        return super().objective(p) if p[1] < 1.6e3 else np.inf

    def residuals(self, p):
        return super().residuals(p) if p[1] < 1.6e3 else np.full(len(self.t), 1e6)


@pytest.mark.parametrize("minimiser", ALL, ids=NAMES)
def test_the_minimum_is_found(minimiser):
    source = Decay()
    solution = minimiser.minimise(source, np.array([1.0, 1.0e3, 0.0]))
    assert solution.ended.converged
    at = source.normal_equations(solution.parameters)
    esd = np.sqrt(np.diag(np.linalg.inv(at.matrix)))
    assert np.abs(solution.parameters - source.truth).max() < 5 * esd.max()
    left = np.linalg.solve(at.matrix, at.gradient)
    assert (np.abs(left) < 0.02 * esd).all()
    assert solution.objective == pytest.approx(source.objective(solution.parameters))


@pytest.mark.parametrize("minimiser", ALL, ids=NAMES)
def test_steps_tell_the_way(minimiser):
    solution = minimiser.minimise(Decay(), np.array([1.0, 1.0e3, 0.0]))
    assert [step.number for step in solution.steps] == list(range(len(solution.steps)))
    values = [step.objective for step in solution.steps]
    assert values[0] > 100 * values[-1]
    assert all(b <= a * (1 + 1e-9) for a, b in zip(values[:-1], values[1:], strict=True))


@pytest.mark.parametrize("minimiser", ALL, ids=NAMES)
def test_nothing_to_refine(minimiser):
    solution = minimiser.minimise(Nothing(), np.zeros(0))
    assert solution.ended is Ended.NOTHING_TO_REFINE


@pytest.mark.parametrize("minimiser", ALL, ids=NAMES)
def test_an_impossible_region_is_not_entered(minimiser):
    solution = minimiser.minimise(Wall(), np.array([1.0, 1.0e3, 0.0]))
    assert np.isfinite(solution.objective)
    assert solution.parameters[1] == pytest.approx(1.5e3, rel=0.05)


@pytest.mark.parametrize("cls", [GaussNewton, LevenbergMarquardt])
def test_the_limit_of_steps_is_kept_and_told(cls):
    solution = cls(max_steps=1).minimise(Decay(), np.array([1.0, 1.0e3, 0.0]))
    assert len(solution.steps) <= 2
    assert solution.ended is Ended.MAX_STEPS and not solution.ended.converged


def test_a_start_at_the_minimum_costs_one_linearisation():
    source = Decay(noise=0.0)
    solution = GaussNewton().minimise(source, source.truth)
    assert source.calls == 1 and solution.ended is Ended.STEP_TOO_SMALL


def test_solve_is_indifferent_to_units(rng):
    J = rng.normal(size=(30, 4))
    units = np.array([1.0, 1e-6, 1e6, 1e3])
    x = solve(J.T @ J, np.ones(4))
    scaled = solve((J * units).T @ (J * units), units)
    np.testing.assert_allclose(scaled * units, x, rtol=1e-9)


def test_directions_that_nothing_determines_get_no_step(rng):
    J = rng.normal(size=(30, 3))
    J = np.column_stack([J, J[:, 0] - 2.0 * J[:, 1]])
    N, b = J.T @ J, J.T @ rng.normal(size=30)
    x = solve(N, b)
    np.testing.assert_allclose(N @ x, b, atol=1e-8)
    assert np.abs(x).max() < 10.0

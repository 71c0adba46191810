"""Each minimiser on small problems whose answers are known."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import least_squares

from smalti.solution import Ended, NormalEquations
from smalti_plugins.minimisers.dogleg import Dogleg, _Path
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.lbfgs import LimitedMemoryBFGS, _direction
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.minimisers.stopping import solve, target_reached

ALL = [
    GaussNewton(),
    LevenbergMarquardt(),
    Dogleg(),
    Dogleg(radius=1.0),
    LimitedMemoryBFGS(),
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


@pytest.mark.parametrize(
    "cls", [GaussNewton, LevenbergMarquardt, Dogleg, LimitedMemoryBFGS, ScipyLeastSquares]
)
def test_the_limit_of_steps_is_kept_and_told(cls):
    solution = cls(max_steps=1).minimise(Decay(), np.array([1.0, 1.0e3, 0.0]))
    assert len(solution.steps) <= 2
    assert solution.ended is Ended.MAX_STEPS and not solution.ended.converged


@pytest.mark.parametrize(
    "cls", [GaussNewton, LevenbergMarquardt, Dogleg, LimitedMemoryBFGS, ScipyLeastSquares]
)
def test_a_target_of_rmsd_ends_it_early(cls):
    start = np.array([1.0, 1.0e3, 0.0])
    whole = cls().minimise(Decay(), start)
    target = 1.5 * whole.steps[-1].rmsd[0]
    assert len(whole.steps) > 3
    solution = cls(rmsd_target=(target, target)).minimise(Decay(), start)
    assert solution.ended is Ended.RMSD_TARGET
    assert len(solution.steps) < len(whole.steps)
    assert solution.steps[-1].rmsd[0] <= target < solution.steps[-2].rmsd[0]


@pytest.mark.parametrize("method", ["trf", "dogbox", "lm"])
def test_scipy_takes_the_same_steps_as_on_all_residuals(method):
    source, start = Decay(), np.array([1.0, 1.0e3, 0.0])
    visited = []

    def jacobian(p):
        visited.append(p.copy())
        return source.jacobian(p).toarray()

    least_squares(source.residuals, start, jac=jacobian, method=method, x_scale="jac", gtol=1e-10)
    ours = ScipyLeastSquares(method=method).minimise(source, start)
    assert len(ours.steps) >= 5
    for step, p in zip(ours.steps, visited, strict=False):
        assert step.objective == pytest.approx(source.objective(p), rel=1e-9)


def test_scipy_goes_around_directions_that_nothing_determines():
    class Twice(Decay):
        n_parameters = 4

        def residuals(self, p):
            return super().residuals(np.array([p[0], p[1], p[2] + p[3]]))

        def jacobian(self, p):
            rows = super().jacobian(np.array([p[0], p[1], p[2] + p[3]])).toarray()
            return sparse.csr_array(np.column_stack([rows, rows[:, 2]]))

        def objective(self, p):
            return 0.5 * float(self.residuals(p) @ self.residuals(p))

    source = Twice()
    for method in ("trf", "lm"):
        solution = ScipyLeastSquares(method=method).minimise(source, np.array([1.0, 1.0e3, 0.0, 0.0]))
        assert solution.ended.converged
        assert solution.objective == pytest.approx(
            GaussNewton().minimise(Decay(), np.array([1.0, 1e3, 0.0])).objective
        )


def test_targets_are_in_millimetres_and_degrees():
    assert target_reached((0.1, 0.1, np.radians(0.2)), (0.1, 0.1, 0.21))
    assert not target_reached((0.1, 0.1, np.radians(0.2)), (0.1, 0.1, 0.19))
    assert target_reached((0.1, 0.1, 9.0), (0.2, 0.2)) and not target_reached((0.0, 0.0, 0.0), ())


class Precipice(Decay):
    """No models exist beyond a place that a full first step goes to."""

    def normal_equations(self, p):
        if p[1] >= 1.6e3:
            raise np.linalg.LinAlgError("no cell")
        return super().normal_equations(p)


@pytest.mark.parametrize("cls", [GaussNewton, LevenbergMarquardt])
def test_parameters_that_make_no_models_are_not_gone_to(cls):
    solution = cls().minimise(Precipice(), np.array([1.0, 1.0e3, 0.0]))
    assert solution.ended.converged and solution.parameters[1] == pytest.approx(1.5e3, rel=0.05)


class Valley(Decay):
    """Rosenbrock's valley as two residuals: a full Gauss-Newton step from (-1.2, 1) climbs its wall."""

    n_parameters = 2
    t = np.zeros(2)

    def residuals(self, p):
        return np.array([10.0 * (p[1] - p[0] ** 2), 1.0 - p[0]])

    def jacobian(self, p):
        return sparse.csr_array([[-20.0 * p[0], 10.0], [-1.0, 0.0]])


@pytest.mark.parametrize(
    "minimiser", [Dogleg(), Dogleg(radius=0.1), LimitedMemoryBFGS(), LevenbergMarquardt()]
)
def test_a_curved_valley_is_followed_without_ever_climbing(minimiser):
    solution = minimiser.minimise(Valley(), np.array([-1.2, 1.0]))
    np.testing.assert_allclose(solution.parameters, 1.0, atol=1e-2)
    values = [step.objective for step in solution.steps]
    assert all(b <= a for a, b in zip(values[:-1], values[1:], strict=True))


@pytest.mark.parametrize("minimiser", [Dogleg(radius=2.0), LimitedMemoryBFGS()])
def test_units_of_the_parameters_do_not_matter(minimiser):
    class Other(Decay):
        units = np.array([1e-3, 1e4, 10.0])

        def residuals(self, p):
            return super().residuals(p * self.units)

        def jacobian(self, p):
            return super().jacobian(p * self.units) * self.units

    start = np.array([1.0, 1.0e3, 0.0])
    one = minimiser.minimise(Decay(), start)
    two = minimiser.minimise(Other(), start / Other.units)
    assert len(one.steps) == len(two.steps)
    np.testing.assert_allclose(two.parameters * Other.units, one.parameters, rtol=1e-5)


def test_the_two_loop_recursion_inverts_a_quadratic(rng):
    # With exact line searches BFGS ends on a quadratic in n steps, its memory then the inverse Hessian.
    J = rng.normal(size=(12, 4))
    H, memory, gradient = J.T @ J, [], rng.normal(size=4)
    for _ in range(4):
        direction = _direction(gradient, memory)
        step = direction * -(gradient @ direction) / (direction @ H @ direction)
        memory.append((step, H @ step))
        gradient = gradient + H @ step
    assert np.linalg.norm(gradient) < 1e-9
    g = rng.normal(size=4)
    np.testing.assert_allclose(_direction(g, memory), -np.linalg.solve(H, g), rtol=1e-6)


def test_the_dogleg_stays_on_its_path_within_the_radius(rng):
    J = rng.normal(size=(12, 3)) * (1.0, 100.0, 0.01)
    now = NormalEquations(np.zeros(3), 10.0, J.T @ rng.normal(size=12), J.T @ J, (1.0, 1.0, 1.0), 12)
    path = _Path.at(now)
    far, near = np.linalg.norm(path.newton), np.linalg.norm(path.cauchy)
    assert near < far
    for radius in (0.5 * near, near, 0.5 * (near + far), 0.99 * far):
        assert np.linalg.norm(path.within(radius)) == pytest.approx(radius)
    np.testing.assert_allclose(path.within(2.0 * far) * path.unit, -np.linalg.solve(now.matrix, now.gradient))
    promised = [now.gradient @ s + 0.5 * s @ now.matrix @ s
                for s in (path.unit * path.within(r * far) for r in (0.1, 0.3, 0.6, 1.0))]  # fmt: skip
    assert all(b < a < 0.0 for a, b in zip(promised[:-1], promised[1:], strict=True))


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

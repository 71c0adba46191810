import numpy as np
import pytest

from smalti.solution import NormalEquations, Prior
from smalti.steps.refining.problem.uncertainty import assess, effective_parameters, reduced_chi_squared


def known(J):
    """Curvature and scatter of a linear problem with unit noise, and no priors."""
    return J.T @ J, J.T @ J, np.zeros((J.shape[1],) * 2)


def test_covariance_is_the_inverse_whatever_the_units(rng):
    J = rng.normal(size=(50, 4)) * (1.0, 1e-5, 1e4, 3.0)
    found = assess(*known(J))
    expected = np.linalg.inv(J.T @ J)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(found.covariance.shared - expected) < 1e-9 * size).all()
    np.testing.assert_allclose(found.esd, np.sqrt(np.diag(expected)))
    assert found.effective == pytest.approx(4.0)


def test_share_of_the_prior_goes_from_none_to_all(rng):
    J = rng.normal(size=(1000, 3))
    J[:, 1] *= 1e-4  # hardly seen
    J[:, 2] = 0.0  # not seen at all
    prior = Prior(np.zeros(3), np.array([1e-3, 1.0, 4.0]))
    held = np.diag(prior.precision)
    found = assess(J.T @ J, J.T @ J, held)
    assert found.prior_share[0] < 1e-5
    assert found.prior_share[1] == pytest.approx(1.0, abs=1e-4)
    assert found.prior_share[2] == 1.0
    assert found.esd[2] == pytest.approx(0.5)
    assert found.effective == pytest.approx(1.0, abs=1e-3)
    equations = NormalEquations(np.zeros(3), 0.0, np.zeros(3), J.T @ J + held, (0.0, 0.0, 0.0), len(J))
    assert effective_parameters(equations, prior) == pytest.approx(found.effective)


def test_what_no_data_see_is_not_known_and_spoils_nothing_else(rng):
    J = rng.normal(size=(60, 3))
    J = np.column_stack([J, 2.0 * J[:, 0] - J[:, 2]])
    curvature, scatter, held = known(J)
    found = assess(curvature, 1.3 * scatter, held)
    alone = np.linalg.inv(J[:, :3].T @ J[:, :3])
    assert found.esd[1] == pytest.approx(np.sqrt(1.3 * alone[1, 1]), rel=1e-6) and found.esd[3] > 1e4


def test_scatter_and_priors_add_up_as_the_errors_of_many_fits_do(rng):
    """Truths drawn from the prior, data with twice the variance that the weights assume."""
    J = rng.normal(size=(12, 3)) * (3.0, 0.5, 0.1)
    A, K = J.T @ J, np.diag([0.5, 1.0, 4.0])
    found = assess(A, 2.0 * A, K)
    truth = rng.normal(size=(20_000, 3)) / np.sqrt(np.diag(K))
    data = truth @ J.T + np.sqrt(2.0) * rng.normal(size=(20_000, 12))
    errors = np.linalg.solve(A + K, J.T @ data.T).T - truth
    size = np.sqrt(np.outer(np.diag(found.covariance.shared), np.diag(found.covariance.shared)))
    assert (np.abs(np.cov(errors.T) - found.covariance.shared) < 0.04 * size).all()
    naive = np.linalg.inv(A + K)
    assert np.abs(np.cov(errors.T) - naive)[0, 0] > 0.5 * naive[0, 0]


def test_no_parameter_has_no_uncertainty():
    found = assess(*np.zeros((3, 0, 0)))
    assert found.covariance.shared.shape == (0, 0) and found.effective == 0.0


def test_chi_squared_of_few_is_drawn_to_one():
    assert reduced_chi_squared(250_000.0, 100_000, 100) == pytest.approx(2.5, rel=0.01)
    assert 0.5 < reduced_chi_squared(0.01, 27, 25) < 1.0
    assert reduced_chi_squared(3.0, 9, 25) == pytest.approx(1.3)

import numpy as np
import pytest

from smalti.solution import NormalEquations, Prior
from smalti.steps.refining.uncertainty import assess, effective_parameters, reduced_chi_squared


def equations(J, prior):
    n = J.shape[1]
    N = J.T @ J + np.diag(prior.precision)
    return NormalEquations(np.zeros(n), 0.0, np.zeros(n), N, (0.0, 0.0, 0.0), len(J))


def test_covariance_is_the_inverse_whatever_the_units(rng):
    J = rng.normal(size=(50, 4)) * (1.0, 1e-5, 1e4, 3.0)
    prior = Prior(np.zeros(4), np.zeros(4))
    found = assess(equations(J, prior), prior)
    expected = np.linalg.inv(J.T @ J)
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(found.covariance - expected) < 1e-9 * size).all()
    np.testing.assert_allclose(found.esd, np.sqrt(np.diag(expected)))
    assert found.effective == pytest.approx(4.0) and not len(found.null_directions)


def test_share_of_the_prior_goes_from_none_to_all(rng):
    J = rng.normal(size=(1000, 3))
    J[:, 1] *= 1e-4  # hardly seen
    J[:, 2] = 0.0  # not seen at all
    prior = Prior(np.zeros(3), np.array([1e-3, 1.0, 4.0]))
    found = assess(equations(J, prior), prior)
    assert found.prior_share[0] < 1e-5
    assert found.prior_share[1] == pytest.approx(1.0, abs=1e-4)
    assert found.prior_share[2] == 1.0
    assert found.esd[2] == pytest.approx(0.5)
    assert found.effective == pytest.approx(1.0, abs=1e-3)
    assert effective_parameters(equations(J, prior), prior) == pytest.approx(found.effective)


def test_null_directions_are_those_that_the_data_do_not_see(rng):
    J = rng.normal(size=(60, 3))
    J = np.column_stack([J, 2.0 * J[:, 0] - J[:, 2]])
    prior = Prior(np.zeros(4), np.zeros(4))
    found = assess(equations(J, prior), prior)
    assert abs(found.smallest) < 1e-12
    assert len(found.null_directions) == 1
    assert np.abs(J @ found.null_directions[0]).max() < 1e-6
    assert found.esd[1] < 1.0 < 1e4 < found.esd[3]


def test_no_parameter_has_no_uncertainty():
    prior = Prior(np.zeros(0), np.zeros(0))
    found = assess(equations(np.zeros((5, 0)), prior), prior)
    assert found.covariance.shape == (0, 0) and found.effective == 0.0


def test_chi_squared_of_few_is_drawn_to_one():
    assert reduced_chi_squared(250_000.0, 100_000, 100) == pytest.approx(2.5, rel=0.01)
    assert 0.5 < reduced_chi_squared(0.01, 27, 25) < 1.0
    assert reduced_chi_squared(3.0, 9, 25) == pytest.approx(1.3)

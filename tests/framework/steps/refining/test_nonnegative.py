"""Least squares with coefficients that must not be negative, against SciPy's."""

import numpy as np
import pytest
from scipy.optimize import nnls

from smalti.steps.refining.weighing.nonnegative import nonnegative


@pytest.mark.parametrize("m", [1, 2, 4, 8])
def test_the_same_as_scipy(m, rng):
    held = 0
    for _ in range(100):
        A, y = rng.normal(size=(30, m)) * 10.0 ** rng.uniform(-2, 2, m), rng.normal(size=30)
        found, (expected, _) = nonnegative(A.T @ A, A.T @ y), nnls(A, y)
        assert (found >= 0.0).all()
        np.testing.assert_allclose(A @ found, A @ expected, atol=1e-9)
        held += int((expected == 0.0).sum())
    assert 0 < held < 100 * m


def test_what_only_negative_coefficients_could_explain_is_nothing():
    assert nonnegative(np.eye(3), -np.ones(3)).tolist() == [0.0, 0.0, 0.0]
    assert nonnegative(np.eye(2), np.array([2.0, -1.0])).tolist() == [2.0, 0.0]


def test_columns_that_are_nearly_the_same():
    A = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0 + 1e-7]])
    found = nonnegative(A.T @ A + 1e-9 * np.eye(2), A.T @ np.ones(3))
    assert (found >= 0.0).all() and found.sum() == pytest.approx(1.0, rel=1e-6)

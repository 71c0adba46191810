"""The minimum covariance determinant of many strata against its NumPy twin."""

import numpy as np
import pytest

from smalti_ext import mcd, threads
from smalti_plugins.outliers.covariance import near, robust_covariances

from . import oracle_mcd as oracle


def sample(rng, n, k):
    """Correlated normal values, up to 40 % of them elsewhere."""
    values = rng.normal(size=(n, k)) @ rng.normal(size=(k, k))
    values[rng.random(n) < rng.uniform(0.0, 0.4)] += 10.0 * rng.normal(size=k)
    return values


@pytest.mark.parametrize("k", [1, 2, 3, 6])
@pytest.mark.parametrize("support", [0.5, 0.8])
def test_every_stratum_equals_the_twin(k, support, rng):
    parts = [sample(rng, n, k) for n in rng.integers(10, 300, 25)]
    bounds = np.cumsum([0, *map(len, parts)])
    centre, covariance = robust_covariances(np.concatenate(parts), bounds, support)
    kept = near(np.concatenate(parts), bounds, centre, covariance, 9.0)
    for s, part in enumerate(parts):
        expected = oracle.robust_covariance(part, support)
        scale = np.sqrt(np.diag(expected[1]))
        np.testing.assert_allclose(centre[s] / scale, expected[0] / scale, atol=1e-9)
        np.testing.assert_allclose(
            covariance[s] / np.outer(scale, scale), expected[1] / np.outer(scale, scale), atol=1e-9
        )
        assert (kept[bounds[s] : bounds[s + 1]] == (oracle.squared_distances(part, *expected) <= 9.0)).all()


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((12, 3)),
        np.tile([1e6, -1e6, 3.0], (12, 1)),
        np.repeat([[0.0, 0.0], [5.0, 5.0]], (8, 4), axis=0),
        np.arange(9.0)[:, None],
        np.array([[1.0, 2.0]]),
    ],
    ids=["zeros", "all equal and far", "two points", "evenly spaced", "one row"],
)
def test_degenerate_values_have_a_centre_and_a_metric(values):
    centre, covariance = robust_covariances(values, np.array([0, len(values)]))
    expected = oracle.robust_covariance(values)
    np.testing.assert_allclose(centre[0], expected[0], rtol=1e-9, atol=1e-9)
    assert np.linalg.eigvalsh(covariance[0]).min() > 0.0
    np.testing.assert_allclose(covariance[0], expected[1], rtol=1e-3, atol=1e-6)


def test_the_number_of_threads_does_not_change_a_bit(rng, monkeypatch):
    monkeypatch.setattr(threads, "_ROWS", 1)  # as if there were many more rows
    values, bounds = sample(rng, 5000, 3), np.linspace(0, 5000, 41).astype(np.int64)
    one = robust_covariances(values, bounds)
    with threads.allow(4):
        assert threads.allowed() == 4
        more = robust_covariances(values, bounds)
    assert threads.allowed() == 1
    assert all((a == b).all() for a, b in zip(one, more, strict=True))


def test_only_threads_that_have_something_to_do_are_started():
    assert threads.worthwhile(8, 100_000, 60) == 8
    assert threads.worthwhile(8, 100_000, 3) == 3
    assert threads.worthwhile(8, 2_500, 60) == 2
    assert threads.worthwhile(8, 10, 60) == threads.worthwhile(0, 100_000, 60) == 1


def test_wrong_types_shapes_and_numbers_are_errors():
    values, bounds, ones = np.zeros((8, 2)), np.array([0, 5, 8]), np.ones(2, dtype=np.int64)
    good = [values, bounds, ones, np.ones(2), 1.0, 1.0]
    mcd.robust_scatter(*good)
    for place, bad in (
        (0, values.astype(np.float32)),
        (0, np.zeros((8, 7))),
        (0, np.asfortranarray(values)),
        (1, bounds.astype(np.int32)),
        (2, ones[:1]),
        (3, ones),
    ):
        with pytest.raises(TypeError, match="must be"):
            mcd.robust_scatter(*good[:place], bad, *good[place + 1 :])
    for place, bad in ((1, bounds - 1), (1, np.array([0, 8, 8])), (2, ones * 4), (2, ones * 0)):
        with pytest.raises(ValueError, match="must"):
            mcd.robust_scatter(*good[:place], bad, *good[place + 1 :])
    with pytest.raises(TypeError, match="covariance must be"):
        mcd.squared_distances(values, bounds, np.zeros((2, 2)), np.zeros((2, 3, 3)))

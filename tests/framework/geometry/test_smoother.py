"""The Gaussian smoother of values that vary over a scan."""

import numpy as np
import pytest

from smalti.geometry.smoother import Smoother

# What dials 3.12 gives (GaussianSmoother over 10 to 10 + 2 n with the samples 0, 1, 4, 9, ...).
DIALS = {
    1: {10.3: 0.16019138987074485, 11.01: 0.5059168835438393, 11.99: 0.9123918291000861},
    2: {10.3: 0.1962960162045942, 11.99: 1.1978671318527536, 13.8: 3.5077069251847104},
    3: {10.3: 0.7147821937180829, 12.01: 2.5712476290858435, 15.8: 11.678377842077497},
    5: {10.3: 0.7147821937180829, 13.1: 4.378470432612755, 19.8: 29.19171337870936},
}


@pytest.mark.parametrize("n", DIALS)
def test_values_are_those_of_dials(n):
    smoother = Smoother(10.0, 10.0 + 2.0 * n, n)
    found = smoother.values(list(DIALS[n]), np.arange(smoother.n_samples) ** 2.0)
    np.testing.assert_allclose(found, list(DIALS[n].values()), rtol=1e-12)


@pytest.mark.parametrize(("n", "m", "first"), [(1, 2, 10.0), (2, 3, 10.0), (3, 5, 9.0), (7, 9, 9.0)])
def test_samples_are_where_dials_has_them(n, m, first):
    smoother = Smoother(10.0, 10.0 + 2.0 * n, n)
    assert smoother.n_samples == m
    np.testing.assert_allclose(smoother.positions, first + 2.0 * np.arange(m))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 11])
def test_what_is_constant_stays_constant(n):
    smoother = Smoother(-0.3, 2.1, n)
    x = np.linspace(-0.5, 2.5, 401)
    first, weights = smoother.blend(x)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-14)
    assert (weights >= 0.0).all() and first.min() >= 0
    assert (weights[:, smoother.n_samples :] == 0.0).all()
    assert (first + min(3, smoother.n_samples) <= smoother.n_samples).all()
    np.testing.assert_allclose(smoother.values(x, np.full(smoother.n_samples, 4.2)), 4.2, rtol=1e-14)


def test_samples_that_rise_evenly_give_their_own_value_in_the_middle_of_an_interval():
    smoother = Smoother(0.0, 6.0, 6)
    middles = np.arange(6) + 0.5
    np.testing.assert_allclose(smoother.values(middles, smoother.positions), middles, rtol=1e-14)


def test_the_derivatives_by_the_samples_are_the_weights(rng):
    smoother = Smoother(0.0, 5.0, 4)
    x, samples = rng.uniform(0.0, 5.0, 50), rng.normal(size=smoother.n_samples)
    first, weights = smoother.blend(x)
    for k in range(smoother.n_samples):
        step = np.eye(smoother.n_samples)[k]
        slope = smoother.values(x, samples + step) - smoother.values(x, samples)
        place = k - first
        inside = (place >= 0) & (place < 3)
        expected = np.where(inside, weights[np.arange(50), np.clip(place, 0, 2)], 0.0)
        np.testing.assert_allclose(slope, expected, atol=1e-14)


def test_a_scan_that_runs_backwards_is_the_mirror_image():
    forwards, backwards = Smoother(0.0, 4.0, 4), Smoother(4.0, 0.0, 4)
    x, samples = np.linspace(0.1, 3.9, 20), np.arange(6.0) ** 2
    np.testing.assert_allclose(forwards.values(x, samples), backwards.values(x, samples[::-1]), rtol=1e-12)


def test_samples_of_several_values_are_blended_alike(rng):
    smoother = Smoother(0.0, 3.0, 3)
    samples, x = rng.normal(size=(5, 2, 3)), rng.uniform(0.0, 3.0, 7)
    found = smoother.values(x, samples)
    assert found.shape == (7, 2, 3)
    np.testing.assert_allclose(found[:, 1, 2], smoother.values(x, samples[:, 1, 2]))


@pytest.mark.parametrize(("width", "n"), [(360.0, 10), (90.0, 2), (71.9, 1), (5.0, 1), (-108.0, 3)])
def test_intervals_are_at_least_as_wide_as_asked(width, n):
    assert Smoother.of(3.0, 3.0 + width, 36.0).n_intervals == n

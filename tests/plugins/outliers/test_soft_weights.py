"""Soft weights and the test of distances: efficiency, bias and what small strata get."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2, norm

from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.sauter_poon import SauterPoon
from smalti_plugins.outliers.soft import efficiency, tune
from smalti_plugins.outliers.spread import shrunk_spread
from smalti_plugins.outliers.strata import group
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare

SIGMA = np.array([0.02, 0.02, 1e-3])
SOFT = [StudentT(), TukeyBisquare()]
ALL = [*SOFT, SauterPoon()]

soft = pytest.mark.parametrize("rejector", SOFT, ids=lambda r: r.name)
every = pytest.mark.parametrize("rejector", ALL, ids=lambda r: r.name)


def strata_of(rng, n_strata, n, offset=20.0):
    """Good residuals of many strata, each with its own offset (S, 3): residuals, sigmas, strata, offsets."""
    offsets = rng.normal(size=(n_strata, 3)) * offset * SIGMA
    sigmas = np.exp(0.5 * rng.normal(size=(n_strata * n, 1))) * SIGMA
    residuals = np.repeat(offsets, n, axis=0) + rng.normal(size=sigmas.shape) * sigmas
    return residuals, sigmas, np.repeat(np.arange(n_strata), n), offsets


def locations(residuals, sigmas, strata, weights):
    """Weighted mean of each stratum and its ESD with all weights 1, each (S, 3)."""
    precision = weights[:, None] / sigmas**2
    sums = [np.stack([np.bincount(strata, column) for column in table.T], axis=1) for table in (
        precision, precision * residuals, 1.0 / sigmas**2)]  # fmt: skip
    return sums[1] / sums[0], 1.0 / np.sqrt(sums[2])


@every
def test_clean_data_keep_95_percent_of_their_efficiency(rejector, rng):
    residuals, sigmas, strata, offsets = strata_of(rng, 3000, 60)
    weights = rejector.weights(residuals, sigmas, strata)
    found, esd = locations(residuals, sigmas, strata, weights)
    best, _ = locations(residuals, sigmas, strata, np.ones(len(strata)))
    variance = np.mean(((found - offsets) / esd) ** 2)
    # Against the mean of the same data, whose variance is 1 but for chance: chance cancels in the ratio.
    assert np.mean(((best - offsets) / esd) ** 2) / variance >= 0.95
    assert variance < 1.08


@every
@pytest.mark.parametrize("one_sided", [False, True])
def test_ten_percent_of_gross_outliers_bias_by_less_than_a_fifth_of_an_esd(rejector, one_sided, rng):
    residuals, sigmas, strata, offsets = strata_of(rng, 400, 300)
    bad = np.flatnonzero(rng.random(len(strata)) < 0.1)
    size = rng.uniform(15.0, 100.0, size=(len(bad), 3))
    residuals[bad] += size * sigmas[bad] * (1.0 if one_sided else rng.choice([-1.0, 1.0], size=size.shape))
    weights = rejector.weights(residuals, sigmas, strata)
    found, esd = locations(residuals, sigmas, strata, weights)
    pull = (found - offsets) / esd
    assert np.abs(pull.mean(axis=0)).max() < 0.2
    assert np.abs(pull).max() < 6.0
    plain, _ = locations(residuals, sigmas, strata, np.ones(len(strata)))
    if one_sided:
        assert ((plain - offsets) / esd).mean() > 50.0


@every
def test_displaced_strata_keep_their_spots(rejector, rng):
    residuals, sigmas, strata, _ = strata_of(rng, 30, 200, offset=100.0)
    weights = rejector.weights(residuals, sigmas, strata)
    means = np.bincount(strata, weights) / 200
    assert means.min() > 0.95 * means.max() - 0.05


@every
def test_a_sparse_stratum_borrows_spread_and_keeps_its_centre(rejector, rng):
    residuals, sigmas, strata, _ = strata_of(rng, 4, 500)
    few = 30.0 * SIGMA + rng.normal(size=(8, 3)) * SIGMA
    few[3] += 60 * SIGMA
    weights = rejector.weights(
        np.concatenate([residuals, few]), np.concatenate([sigmas, np.tile(SIGMA, (8, 1))]),
        np.concatenate([strata, np.full(8, 9)]),
    )  # fmt: skip
    assert weights[2003] == 0.0
    assert (np.delete(weights[2000:], 3) > 0.3).sum() >= 6


@every
def test_a_stratum_of_two_is_judged_by_all(rejector, rng):
    residuals, sigmas = rng.normal(size=(1000, 3)) * SIGMA, np.tile(SIGMA, (1003, 1))
    extra = np.array([[0.5, 0.5, 0.5], [50.0, 0.0, 0.0], [0.2, -0.3, 0.1]]) * SIGMA
    weights = rejector.weights(
        np.concatenate([residuals, extra]), sigmas, np.r_[np.zeros(1000, int), 5, 5, 7]
    )
    assert weights[1001] == 0.0 and weights[[1000, 1002]].min() > 0.8


@every
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_rounding_errors_are_no_outliers(rejector, value, rng):
    residuals = np.full((200, 3), value) + rng.standard_cauchy(size=(200, 3)) * 1e-12
    weights = rejector.weights(residuals, np.tile(SIGMA, (200, 1)), np.repeat([0, 1], 100))
    assert weights.min() > 1.0 - 1e-6


@every
def test_what_is_not_finite_gets_nothing_and_harms_no_other(rejector, rng):
    residuals, sigmas, strata, _ = strata_of(rng, 2, 200)
    expected = rejector.weights(residuals[2:], sigmas[2:], strata[2:])
    residuals[0, 1], residuals[1, 0] = np.nan, np.inf
    weights = rejector.weights(residuals, sigmas, strata)
    assert weights[:2].tolist() == [0.0, 0.0]
    np.testing.assert_array_equal(weights[2:], expected)


@every
def test_bad_sigmas_are_taken_for_typical_ones(rejector, rng):
    residuals, sigmas, strata, _ = strata_of(rng, 2, 200)
    sigmas[0], sigmas[1], sigmas[2] = 0.0, np.nan, -1.0
    weights = rejector.weights(residuals, sigmas, strata)
    assert np.isfinite(weights).all() and weights.min() >= 0.0 and weights.max() <= 1.0


@soft
def test_the_weighted_mean_is_a_fixed_point(rejector, rng):
    # Moving the model to the weighted mean must not change the weights: then a refinement is done.
    residuals, sigmas, strata, _ = strata_of(rng, 20, 50)
    residuals[::9] += 4.0 * sigmas[::9]
    weights = rejector.weights(residuals, sigmas, strata)
    centre, _ = locations(residuals, sigmas, strata, weights)
    again = rejector.weights(residuals - centre[strata], sigmas, strata)
    np.testing.assert_allclose(again, weights, atol=1e-6)
    moved, _ = locations(residuals - centre[strata], sigmas, strata, again)
    assert np.abs(moved / SIGMA).max() < 1e-6


@pytest.mark.parametrize(("k", "target", "constant"), [(1, 0.95, 4.685), (1, 0.85, 3.444), (3, 0.95, 5.49)])
def test_the_bisquare_has_the_constants_of_the_tables(k, target, constant):
    # Maronna, Martin & Yohai 2006, Robust Statistics, section 2.3.2: 3.44 and 4.68 for 85 and 95 %.
    family = lambda c: lambda squares: np.maximum(1.0 - squares / c**2, 0.0) ** 2  # noqa: E731
    assert tune(family, target, k) == pytest.approx(constant, abs=0.005)


def test_efficiency_of_no_weights_and_of_clipping(rng):
    assert efficiency(np.ones_like, 3) == pytest.approx(1.0, abs=1e-3)
    # Huber's weights with 1.345 have 95 % (Huber 1981).
    huber = efficiency(lambda squares: np.minimum(1.0, 1.345 / np.sqrt(np.maximum(squares, 1e-12))), 1)
    assert huber == pytest.approx(0.95, abs=1e-3)


def test_spread_is_drawn_to_the_pool_by_numbers(rng):
    values = rng.normal(size=(5020, 2)) * np.r_[np.ones(5000), np.full(20, 3.0)][:, None]
    strata = np.r_[np.repeat(np.arange(5), 1000), np.full(20, 7)]
    groups = group(values, strata)
    own = shrunk_spread(values, groups, 0.0)[-1]
    half = shrunk_spread(values, groups, 20.0)[-1]
    far = shrunk_spread(values, groups, 1e9)[-1]
    np.testing.assert_allclose(far, 1.0, rtol=0.05)
    np.testing.assert_allclose(half, np.sqrt((own**2 + far**2) / 2), rtol=1e-6)
    assert (own > 1.5).all()


def test_distances_lose_few_good_spots_however_many_there_are(rng):
    values = rng.normal(size=(100_000, 2)) * SIGMA[:2]
    weights = SauterPoon().weights(values, np.tile(SIGMA[:2], (100_000, 1)), np.zeros(100_000, int))
    assert (weights == 0.0).sum() <= 20
    fixed = MinimumCovarianceDeterminant().weights(
        values, np.tile(SIGMA[:2], (100_000, 1)), np.zeros(100_000, int)
    )
    assert (fixed == 0.0).sum() > 1000


def test_the_part_of_good_spots_among_the_rejected_is_as_asked(rng):
    n, asked = 60_000, 0.1
    values = rng.normal(size=(n, 2))
    bad = rng.random(n) < 0.05
    values[bad] *= 6.0
    kept = SauterPoon(good_among_rejected=asked).weights(values, np.ones_like(values), np.zeros(n, int)) > 0.0
    assert 0.4 * asked < (~kept & ~bad).sum() / (~kept).sum() < 1.1 * asked
    # What no cut on distance could tell from a good spot stays; nearly all of the rest is found.
    limit = np.sqrt(chi2.isf(1e-4, 2))
    assert kept[bad & (np.hypot(*values.T) > 1.1 * limit)].mean() < 0.01


def test_student_weights_fall_as_its_density_says(rng):
    residuals = np.r_[norm.ppf((np.arange(2000) + 0.5) / 2000), 5.0, 10.0][:, None]
    weights = StudentT(least_weight=0.0).weights(residuals, np.ones_like(residuals), np.zeros(2002, int))
    nu = 100.0 * weights[-1] / (1.0 - weights[-1])
    assert nu == pytest.approx(8.57, rel=0.02)
    assert weights[-2] == pytest.approx(nu / (nu + 25.0), rel=0.02)

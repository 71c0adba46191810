"""Tukey's fences and the minimum covariance determinant on residuals whose outliers are known."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.covariance import MinCovDet

from smalti.discovery import discover
from smalti_plugins.outliers.covariance import consistency, near, robust_covariance
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.strata import group, quantiles, standardised
from smalti_plugins.outliers.tukey import Tukey

REJECTORS = [Tukey(), MinimumCovarianceDeterminant()]
SIGMA = np.array([0.02, 0.02, 1e-3])

both = pytest.mark.parametrize("rejector", REJECTORS, ids=lambda r: r.name)


def clean(rng, n, k=3, shift=0.0):
    return (rng.normal(size=(n, k)) + shift) * SIGMA[:k], np.tile(SIGMA[:k], (n, 1))


@both
@pytest.mark.parametrize("k", [2, 3])
def test_clean_residuals_are_kept(rejector, k, rng):
    residuals, sigmas = clean(rng, 6000, k)
    kept = rejector.weights(residuals, sigmas, np.repeat(np.arange(6), 1000)).mean()
    assert 0.965 < kept < 0.995


@both
@pytest.mark.parametrize("k", [2, 3])
def test_gross_outliers_are_removed_and_the_good_stay(rejector, k, rng):
    residuals, sigmas = clean(rng, 4000, k)
    bad = rng.random(4000) < 0.1
    sign = rng.choice([-1.0, 1.0], size=(bad.sum(), k))
    residuals[bad] += sign * rng.uniform(12, 40, size=(bad.sum(), k)) * SIGMA[:k]
    weights = rejector.weights(residuals, sigmas, np.zeros(4000, dtype=np.intp))
    assert weights[bad].max() == 0.0
    assert weights[~bad].mean() > 0.96


@both
def test_one_sided_contamination_of_40_percent(rejector, rng):
    # A second lattice, indexed with the first: outliers that agree with one another.
    residuals, sigmas = clean(rng, 3000)
    residuals[:1200] += 15 * SIGMA
    weights = rejector.weights(residuals, sigmas, np.zeros(3000, dtype=np.intp))
    if rejector.name == "mcd":
        assert weights[:1200].max() == 0.0
    assert weights[1200:].mean() > 0.95


@both
def test_displaced_strata_keep_their_spots(rejector, rng):
    parts = [clean(rng, 300, shift=rng.normal(size=3) * 20) for _ in range(20)]
    residuals, sigmas = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    strata = np.repeat(np.arange(20), 300)
    weights = rejector.weights(residuals, sigmas, strata)
    assert min(weights[strata == s].mean() for s in range(20)) > 0.9


@both
def test_a_sparse_displaced_stratum_keeps_its_spots_but_not_its_outlier(rejector, rng):
    residuals, sigmas = clean(rng, 2000)
    strata = np.repeat([0, 1, 2, 3], 500)
    sparse, _ = clean(rng, 8, shift=30.0)
    sparse[3] += 60 * SIGMA
    residuals = np.concatenate([residuals, sparse])
    weights = rejector.weights(residuals, np.tile(SIGMA, (2008, 1)), np.r_[strata, np.full(8, 9)])
    assert weights[2003] == 0.0
    assert np.delete(weights[2000:], 3).sum() >= 6


@both
def test_a_stratum_of_one_or_two_is_judged_by_all(rejector, rng):
    residuals, sigmas = clean(rng, 1000)
    extra = np.array([[0.5, 0.5, 0.5], [50.0, 0.0, 0.0], [0.2, -0.3, 0.1]]) * SIGMA
    strata = np.r_[np.zeros(1000, dtype=np.intp), 5, 5, 7]
    weights = rejector.weights(np.concatenate([residuals, extra]), np.tile(SIGMA, (1003, 1)), strata)
    assert weights[1000:].tolist() == [1.0, 0.0, 1.0]


@both
def test_only_tiny_strata(rejector, rng):
    residuals, sigmas = clean(rng, 60)
    residuals[7] += 100 * SIGMA
    weights = rejector.weights(residuals, sigmas, np.arange(60) // 2)
    assert weights[7] == 0.0
    assert weights.sum() >= 52


@both
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_constant_residuals_are_no_outliers(rejector, value, rng):
    residuals = np.full((200, 3), value)
    weights = rejector.weights(residuals, np.tile(SIGMA, (200, 1)), np.repeat([0, 1], 100))
    assert weights.min() == 1.0
    # Nor are rounding errors about them.
    residuals = residuals + rng.standard_cauchy(size=residuals.shape) * 1e-12
    assert rejector.weights(residuals, np.tile(SIGMA, (200, 1)), np.repeat([0, 1], 100)).min() == 1.0


@both
def test_no_reflections(rejector):
    empty = np.zeros((0, 3))
    assert rejector.weights(empty, empty, np.zeros(0, dtype=np.intp)).shape == (0,)


@both
def test_what_is_not_finite_is_rejected_and_harms_no_other(rejector, rng):
    residuals, sigmas = clean(rng, 500)
    strata = np.zeros(500, dtype=np.intp)
    expected = rejector.weights(residuals[2:], sigmas[2:], strata[2:])
    residuals[0, 1], residuals[1, 0] = np.nan, np.inf
    weights = rejector.weights(residuals, sigmas, strata)
    assert weights[:2].tolist() == [0.0, 0.0]
    assert np.array_equal(weights[2:], expected)


@both
def test_the_numbers_and_order_of_strata_do_not_matter(rejector, rng):
    residuals, sigmas = clean(rng, 900)
    strata = np.repeat([0, 1, 2], 300)
    expected = rejector.weights(residuals, sigmas, strata)
    order = rng.permutation(900)
    shuffled = rejector.weights(residuals[order], sigmas[order], (7 * strata + 100)[order])
    assert np.mean(shuffled == expected[order]) > 0.998
    assert np.array_equal(rejector.weights(residuals, sigmas, strata), expected)


@both
def test_fast_enough_for_every_iteration(rejector, rng):
    residuals, sigmas = clean(rng, 186_000)
    strata = rng.integers(0, 60, 186_000)
    times = []
    for _ in range(3):
        begin = time.process_time()
        rejector.weights(residuals, sigmas, strata)
        times.append(time.process_time() - begin)
    assert min(times) < 1.5


def test_tukey_fences_are_where_tukey_puts_them():
    values = np.arange(101.0)
    residuals = np.r_[values, 174.0, 176.0, -76.0][:, None]
    strata = np.zeros(len(residuals), dtype=np.intp)
    q1, q3 = np.quantile(residuals[:, 0], (0.25, 0.75))
    expected = (residuals[:, 0] >= q1 - 1.5 * (q3 - q1)) & (residuals[:, 0] <= q3 + 1.5 * (q3 - q1))
    weights = Tukey().weights(residuals, np.ones_like(residuals), strata)
    assert np.array_equal(weights > 0, expected)
    assert Tukey(iqr_multiplier=10.0).weights(residuals, np.ones_like(residuals), strata).min() == 1.0


def test_mcd_sees_what_no_single_coordinate_shows(rng):
    x = rng.normal(size=2000)
    residuals = np.column_stack([x, x + 0.05 * rng.normal(size=2000)]) * SIGMA[:2]
    residuals[:20] = np.array([1.5, -1.5]) * SIGMA[:2]
    sigmas, strata = np.tile(SIGMA[:2], (2000, 1)), np.zeros(2000, dtype=np.intp)
    assert MinimumCovarianceDeterminant().weights(residuals, sigmas, strata)[:20].max() == 0.0
    assert Tukey().weights(residuals, sigmas, strata)[:20].min() == 1.0


@pytest.mark.parametrize("probability", [0.9, 0.975, 0.999])
def test_mcd_keeps_the_fraction_it_is_asked_to(probability, rng):
    residuals, sigmas = clean(rng, 50_000)
    kept = MinimumCovarianceDeterminant(probability=probability).weights(
        residuals, sigmas, np.zeros(50_000, dtype=np.intp)
    )
    assert abs(kept.mean() - probability) < 3e-3


def test_robust_covariance_recovers_a_contaminated_normal(rng):
    truth = np.array([[4.0, 1.5, 0.0], [1.5, 1.0, -0.2], [0.0, -0.2, 0.5]])
    values = rng.multivariate_normal([1.0, -2.0, 3.0], truth, size=20_000)
    values[:6000] = rng.normal(size=(6000, 3)) * 0.1 + [20.0, 20.0, 0.0]
    centre, covariance = robust_covariance(values)
    assert np.allclose(centre, [1.0, -2.0, 3.0], atol=0.06)
    assert np.allclose(covariance, truth, atol=0.12)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_consistency_factor_against_simulation(k, rng):
    values = rng.normal(size=(200_000, k))
    radius = (values**2).sum(axis=1)
    inner = values[radius <= np.quantile(radius, 0.6)]
    assert inner.var(axis=0).mean() * consistency(0.6, k) == pytest.approx(1.0, rel=0.01)
    assert consistency(1.0, k) == 1.0


def test_agrees_with_scikit_learn(rng):
    values = rng.multivariate_normal([0.0, 1.0, 2.0], np.diag([1.0, 4.0, 0.25]), size=3000)
    values[:400] += [8.0, 0.0, 4.0]
    oracle = MinCovDet(random_state=1).fit(values)
    centre, scatter = robust_covariance(values)
    assert np.allclose(centre, oracle.location_, atol=0.05)
    ours = near(values, np.array([0, len(values)]), centre[None], scatter[None], 9.348)
    theirs = oracle.mahalanobis(values) <= 9.348
    assert np.mean(ours == theirs) > 0.99


def test_quantiles_are_those_of_numpy(rng):
    values, strata = rng.normal(size=(500, 2)), rng.integers(0, 7, 500)
    groups = group(values, strata)
    found = quantiles(values[groups.rows], groups, (0.0, 0.25, 0.6, 1.0))
    for s in range(7):
        assert np.allclose(found[:, s], np.quantile(values[strata == s], (0.0, 0.25, 0.6, 1.0), axis=0))


def test_sigmas_that_are_not_there():
    residuals = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 6.0]])
    groups = group(residuals, np.zeros(3, dtype=np.intp))
    own = standardised(residuals, np.array([[0.0, 1.0], [0.0, 3.0], [np.nan, np.inf]]), groups)
    assert own.tolist() == [[-1.0, -1.0], [0.0, 0.0], [1.0, 2.0]]


@both
def test_weak_spots_among_strong_ones_are_judged_by_their_own_sigmas(rejector, rng):
    sigmas = np.where(rng.random(4000) < 0.3, 5.0, 1.0)[:, None] * SIGMA
    residuals = rng.normal(size=(4000, 3)) * sigmas + 3 * SIGMA
    strata = np.zeros(4000, dtype=np.intp)
    weights = rejector.weights(residuals, sigmas, strata)
    weak = sigmas[:, 0] > SIGMA[0]
    assert weights[weak].mean() > 0.96
    assert weights[~weak].mean() > 0.96
    # A strong spot that is as far off as a weak one may be is an outlier.
    residuals[~weak] += np.where(rng.random((~weak).sum()) < 0.1, 10.0, 0.0)[:, None] * SIGMA
    off = ~weak & (residuals[:, 0] > 9 * SIGMA[0])
    assert rejector.weights(residuals, sigmas, strata)[off].max() == 0.0


def test_both_come_through_their_entry_points():
    names = {component.name for component in discover().role("outlier_rejector")}
    assert {"none", "tukey", "mcd"} <= names

"""Covariances where residuals decide how much a reflection counts: against the scatter of many fits."""

import numpy as np
import pytest

from smalti.steps.refining.certainty.sandwich import curvature_factor, factors_of, scatter_factor
from smalti.steps.refining.problem.uncertainty import assess
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey import Tukey
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare

FITS, SPOTS, PARAMETERS = 100, 250, 6
REJECTORS = (NoOutliers(), Tukey(), MinimumCovarianceDeterminant(), StudentT(), TukeyBisquare())


def heavy(rng):
    """Student's t with four degrees of freedom, common to the three residuals of a spot."""
    return rng.normal(size=(SPOTS, 3)) * np.sqrt(4.0 / rng.chisquare(4.0, size=(SPOTS, 1)))


def contaminated(rng):
    """Normal deviates, a tenth of them gross."""
    noise = rng.normal(size=(SPOTS, 3))
    bad = rng.random(SPOTS) < 0.1
    noise[bad] += rng.uniform(-1, 1, size=(bad.sum(), 3)) * 30.0
    return noise


def clean(rng):
    return rng.normal(size=(SPOTS, 3))


def pulls(rejector, noise, seed):
    """Errors of linear fits over their ESDs: by the sandwich, and by the inverse of the normal matrix."""
    rng = np.random.default_rng(seed)
    strata, sigma, found = np.zeros(SPOTS, dtype=np.intp), np.ones((SPOTS, 3)), []
    for _ in range(FITS):
        J = rng.normal(size=(SPOTS, 3, PARAMETERS))
        errors = noise(rng)
        p, weights = np.zeros(PARAMETERS), np.ones(SPOTS)
        for _ in range(5):
            residuals = J @ p - errors  # calc - obs of a truth at p = 0
            weights = rejector.weights(residuals, sigma, strata)
            N = np.einsum("n,nki,nkj->ij", weights, J, J)
            p = p - np.linalg.solve(N, np.einsum("n,nki,nk->i", weights, J, residuals))
        residuals = J @ p - errors
        factors = factors_of(residuals, weights, sigma, float(PARAMETERS))
        parts = np.einsum("n,nki,nkj->kij", weights, J, J)
        place, angle = parts[0] + parts[1], parts[2]
        A, M = (
            factors[f"{kind}_xy"] * place + factors[f"{kind}_phi"] * angle
            for kind in ("curvature", "scatter")
        )
        used = weights > 0.0
        scale = (weights[used, None] * residuals[used] ** 2).sum() / (3 * weights.sum() - PARAMETERS)
        naive = np.sqrt(scale * np.diag(np.linalg.inv(N)))
        found.append((p / assess(A, M, np.zeros_like(A)).esd, p / naive))
    return np.std(np.array(found), axis=(0, 2))


@pytest.mark.parametrize("rejector", REJECTORS, ids=lambda item: item.name)
@pytest.mark.parametrize("noise", [clean, heavy, contaminated], ids=lambda item: item.__name__)
def test_pulls_are_those_of_honest_esds(rejector, noise):
    # A standard deviation of 600 pulls is known to 3 %.
    assert 0.9 < pulls(rejector, noise, 1)[0] < 1.1


@pytest.mark.parametrize(
    ("rejector", "noise", "wrong"),
    [(MinimumCovarianceDeterminant(), clean, 1.04), (MinimumCovarianceDeterminant(), heavy, 1.08)],
    ids=["clean data", "heavy tails"],
)
def test_where_tails_are_cut_the_inverse_of_the_normal_matrix_alone_would_promise_too_much(
    rejector, noise, wrong
):
    honest, naive = pulls(rejector, noise, 5)
    assert naive > wrong and abs(honest - 1.0) < abs(naive - 1.0)


def test_curvature_of_normal_deviates_is_that_of_stein(rng):
    """E[d(u z)/dz] = E[u z^2] for normal z, whatever the weights are (Stein 1981, Ann. Stat. 9, 1135)."""
    z = rng.normal(size=100_000)
    for u in ((np.abs(z) < 2.5).astype(float), 5.0 / (4.0 + z**2), np.clip(1.0 - (z / 4.7) ** 2, 0, 1) ** 2):
        assert curvature_factor(np.abs(z), u, np.ones_like(z)) == pytest.approx(
            (u * z**2).mean() / u.mean(), abs=0.012
        )


def test_equal_weights_leave_the_normal_matrix_as_it_is(rng):
    z = rng.normal(size=1000)
    assert curvature_factor(z, np.ones(1000), rng.random(1000)) == 1.0
    assert scatter_factor(z, np.ones(1000), np.ones(1000), 1.0, 1.0) == pytest.approx((z**2).mean(), rel=0.01)


def test_where_weights_are_wrong_the_scatter_tells(rng):
    """Half of the spots are believed to be ten times as good as the others; they scatter twice as much."""
    precision = np.repeat([100.0, 1.0], 20_000)
    z = rng.normal(size=40_000) * np.repeat([2.0, 1.0], 20_000)
    assert scatter_factor(z, np.ones(40_000), precision, 1.0, 1.0) == pytest.approx(401.0 / 101.0, rel=0.03)


def test_nothing_used_tells_nothing():
    nothing = np.zeros(4)
    assert curvature_factor(nothing, nothing, np.ones(4)) == 1.0
    assert scatter_factor(nothing, nothing, np.ones(4), 1.0, 1.0) == 1.0

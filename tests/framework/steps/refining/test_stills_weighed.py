"""What is said of the noise of stills, and how they are put about the middle of their panel and crystal."""

import numpy as np
import pytest

from smalti.geometry.derivatives import Spots
from smalti.steps.refining import RefineOptions
from smalti.steps.refining.problem.observations import Observations, Traits
from smalti.steps.refining.weighing.judging import levelled, strata
from smalti.steps.refining.weighing.noise import NoiseModel
from smalti.steps.refining.weighing.panel_scatter import Factors, scatter_factors
from smalti.steps.refining.weighing.variance_model import fit, terms

PIXEL, IMAGE, SIGMA = 0.1, 2e-3, 1e-3


def observations(rng, stills=40, each=30, turning=0, panels=6):
    """So many spots of each of some stills, after a sweep of so many."""
    n = turning + stills * each
    still = np.arange(n) >= turning
    experiment = np.where(still, 1 + (np.arange(n) - turning) // each, 0) - (turning == 0)
    panel = rng.integers(0, panels, n)
    angle = np.where(still, 0.0, rng.uniform(0.0, 1.0, n))
    spots = Spots(rng.integers(1, 9, (n, 3)).astype(float), ~still, angle, experiment, panel)
    unit = np.column_stack([np.full((n, 2), PIXEL), np.where(still, SIGMA, IMAGE)])
    no = np.zeros(n, dtype=bool)
    traits = Traits(
        unit, rng.lognormal(6.0, 1.0, n), np.ones(n), np.zeros(n), no, still, rng.uniform(0.05, 0.35, n)
    )
    return Observations.of(np.arange(n), spots, np.zeros((n, 3)), unit**2, traits)


def test_cells_of_stills_are_panels_and_their_stratum_is_one(rng):
    data = observations(rng, turning=600)
    still = data.traits.still
    assert len(np.unique(data.cell[still])) == 6
    assert not np.isin(data.cell[~still], data.cell[still]).any()
    groups = strata(data, RefineOptions())
    assert len(np.unique(groups[still])) == 1
    assert not np.isin(groups[~still], groups[still]).any()
    assert len(np.unique(groups[~still])) >= 6


def test_residuals_are_put_about_the_middle_of_panel_and_crystal(rng):
    data = observations(rng, turning=300)
    still, spots = data.traits.still, data.spots
    noise = rng.normal(size=(data.n, 3)) * (0.02, 0.02, 1e-3)
    of_panel, of_crystal = (
        rng.normal(size=(6, 3)) * (0.3, 0.3, 0.0),
        rng.normal(size=(41, 3)) * (0.1, 0.1, 0.01),
    )
    residuals = noise + np.where(still[:, None], of_panel[spots.panel] + of_crystal[spots.experiment], 0.0)
    found = levelled(residuals, data)
    np.testing.assert_array_equal(found[~still], residuals[~still])
    assert (found[still].std(axis=0) < 1.25 * noise[still].std(axis=0)).all()
    # What is hidden has no say, and is hidden still.
    hidden = residuals.copy()
    hidden[still & (rng.random(data.n) < 0.1)] = np.nan
    assert (np.isnan(levelled(hidden, data)) == np.isnan(hidden)).all()


def test_crystals_of_few_spots_are_taken_as_they_are(rng):
    data = observations(rng, each=10)
    residuals = np.tile([0.0, 0.0, 5e-3], (data.n, 1))
    np.testing.assert_array_equal(levelled(residuals, data), residuals)


def test_the_terms_of_delta_psi_are_found_beside_those_of_the_angle(rng):
    """A sweep with its own constant, and stills of which mosaicity and bandwidth widen DeltaPsi."""
    data = observations(rng, stills=200, turning=6000)
    still, theta = data.traits.still, data.traits.theta
    typical = np.tan(np.median(theta[still]))
    truth = np.where(still, 0.5 + 0.8 * (np.tan(theta) / typical) ** 2, 0.09)
    model = terms(data.traits, data.variance / data.traits.unit**2)[2]
    assert {"constant", "mosaicity", "size of blocks", "bandwidth", "partiality"} <= set(model.names)
    squares = truth * rng.normal(size=data.n) ** 2
    found = dict(zip(model.names, fit(squares, model, model.begin(squares)), strict=True))
    assert found["constant"] == pytest.approx(0.09, rel=0.1)
    assert found["bandwidth"] == pytest.approx(0.8, rel=0.25)
    fitted = model.variance(np.array(list(found.values())))
    assert np.mean((fitted / truth)[still]) == pytest.approx(1.0, abs=0.05)


def test_factors_of_crystals_are_found_where_they_differ_and_are_1_where_they_do_not(rng):
    data = observations(rng, stills=60, turning=500)
    still, spots = data.traits.still, data.spots
    truth = np.where(rng.random(61) < 0.5, 4.0, 1.0)
    squares = rng.normal(size=(data.n, 3)) ** 2
    same = Factors.between(data, squares, squares, np.ones(data.n)).crystals
    assert np.abs(same - 1.0).max() < 0.2
    squares[still, 2] *= truth[spots.experiment[still]]
    found = Factors.between(data, squares, squares, np.ones(data.n)).crystals[1:]
    ratio = np.median(found[truth[1:] == 4.0, 2]) / np.median(found[truth[1:] == 1.0, 2])
    assert ratio == pytest.approx(3.4, rel=0.1)  # drawn together by an eighth
    assert np.abs(found[:, :2] - 1.0).max() < 0.2
    # Heavy tails make factors of chance larger: with them less of what differs is believed.
    wild = rng.standard_t(3, size=(data.n, 1)) ** 2
    one = np.ones(data.n)
    few = (
        scatter_factors(wild, one, spots.experiment, 61),
        scatter_factors(wild, one, spots.experiment, 61, 20.0),
    )
    assert np.log(few[1]).std() < np.log(few[0]).std()


def test_no_spot_of_a_still_is_judged_much_more_mildly_than_the_typical(rng):
    data = observations(rng, turning=500)
    wide = np.where(data.spots.experiment % 4 == 1, 9.0, 1.0)[:, None]
    residuals = rng.normal(size=(data.n, 3)) * data.traits.unit * np.sqrt(wide)
    noise = NoiseModel(data, strata(data, RefineOptions())).first(residuals)
    still = data.traits.still
    typical = np.median(noise.variance[still, :2], axis=0)
    assert (noise.judging[still, :2] <= 1.41 * typical).all()
    assert noise.variance[still, 0].max() > 4.0 * typical[0]
    np.testing.assert_array_equal(noise.judging[~still], noise.variance[~still])
    np.testing.assert_array_equal(noise.judging[still, 2], noise.variance[still, 2])


def test_with_variances_of_the_table_delta_psi_is_estimated_all_the_same(rng):
    data = observations(rng, turning=500)
    residuals = rng.normal(size=(data.n, 3)) * data.traits.unit * (1.0, 1.0, 3.0)
    model = NoiseModel(data, strata(data, RefineOptions()), estimate=False)
    still = data.traits.still
    residuals[~still, 2] /= 3.0
    variance = model.first(residuals).variance
    assert variance[still, 2].mean() == pytest.approx((3.0 * SIGMA) ** 2, rel=0.15)
    assert variance[~still, 2].mean() == pytest.approx(IMAGE**2, rel=0.15)

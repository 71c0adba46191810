"""The noise of centroids: estimated as it was made, and of use to who judges and who weighs."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.observations import Traits
from smalti.steps.refining.problem.traits import unseen_widths
from smalti.steps.refining.weighing.variance_model import fit, robust_variance, terms
from smalti.tables import Flag
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant

FLOOR = 1.0 / 12.0


def traits(n, rng, unseen=0.0):
    return Traits(
        np.ones((n, 3)),
        rng.lognormal(6.0, 1.2, n),
        rng.uniform(0.1, 1.0, n),
        np.full(n, unseen),
        np.zeros(n, dtype=bool),
        np.zeros(n, dtype=bool),
        np.full(n, 0.2),
    )


def noisy(seed, outliers=0.013):
    """Displaced modules with spots from 0.03 to 0.4 px, variances of 1/12 and more in the table."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.08, 0.08, 0.04)))
    experiments, table = synthetic.observations(
        truth, nominal, rng, d_min=2.2, n=6000, noise=(0.0, 0.0, 0.0), outliers=outliers
    )
    poisson = 1.0 / rng.lognormal(5.0, 1.5, table.n_rows)
    sigma = np.sqrt(0.03**2 + 1.5 * poisson)[:, None] * np.array([1.0, 1.0, 1.2])
    wrong = rng.normal(size=sigma.shape) * sigma
    scale = np.array([*detector.panels[0].pixel_size, nominal.scan.oscillation[1]])
    columns = {
        "xyzobs.mm.value": table["xyzobs.mm.value"] + wrong * scale,
        "xyzobs.px.value": table["xyzobs.px.value"] + wrong,
        "xyzobs.mm.variance": (FLOOR + poisson)[:, None] * scale**2,
        "intensity.sum.value": 1.0 / poisson,
    }
    return truth, Experiments((experiments[0],)), table.with_columns(columns), sigma * scale


def refined_noisy(seed):
    truth, experiments, table, sigma = noisy(seed)
    found = refine(experiments, table, Hierarchical(level=1), GaussNewton(), MinimumCovarianceDeterminant())
    return truth, experiments, found, sigma


def test_coefficients_are_found_among_outliers(rng):
    n = 20_000
    known = traits(n, rng)
    counting = np.median(known.intensity) / known.intensity
    table = FLOOR + 0.02 * counting[:, None] * np.ones(3)
    model = terms(known, table)[0]
    variance = 0.05**2 + 2.0 * 0.02 * counting
    squares = rng.normal(size=n) ** 2 * variance
    squares[: n // 50] = 100.0
    found = fit(squares, model, np.array([robust_variance(squares), 0.0, 0.0, 0.0]))
    ratio = model.variance(found) / variance
    assert np.quantile(np.abs(ratio - 1.0), 0.95) < 0.12


def test_only_the_angle_knows_of_the_ends_of_the_scan(rng):
    x, y, phi = terms(traits(50, rng, unseen=4.0), np.full((50, 3), FLOOR))
    assert x.names == y.names == ("constant", "1/I", "1/I^2", "1/zeta^2")
    assert {"1/I zeta^2", "unseen"} <= set(phi.names)
    # Whatever is fitted, the middle of a cut spot is uncertain by what is unseen.
    assert (phi.variance(np.zeros(len(phi.names))) == 4.0**2 / 12.0).all()


def test_cut_spots_may_be_as_wide_as_whole_ones():
    frames = np.array([[0, 1], [3, 7], [3, 7], [12, 15], [0, 15]])
    zeta = np.array([0.5, 1.0, 1.0, 1.0, 1.0])
    np.testing.assert_allclose(unseen_widths(frames, (0, 15), zeta), [8.0, 0.0, 0.0, 4.0, 15.0])
    assert (unseen_widths(frames[[0, 3]], (0, 15), zeta[[0, 3]]) == 15.0).all()
    assert (unseen_widths(frames[[1]], (0, 15), zeta[[1]]) == 0.0).all()


def test_chi_squared_is_one_for_weak_and_strong_spots():
    _, _, found, sigma = refined_noisy(3)
    table = found.reflections
    used = table.flagged(Flag.USED_IN_REFINEMENT)
    assert found.results["variance_scale"] == pytest.approx(1.0, abs=0.1)
    ours = np.median(found.results["final"]["weight_x_per_mm2"])
    assert ours == pytest.approx(np.median(1.0 / sigma[used, 0] ** 2), rel=0.15)
    # Medians: what was rejected is missing at the tails, and takes a tenth from the mean.
    everyone = (table["xyzcal.mm"] - table["xyzobs.mm.value"])[:, :2] ** 2 / sigma[:, :2] ** 2
    groups = np.array_split(np.argsort(table["intensity.sum.value"]), 5)
    np.testing.assert_allclose([robust_variance(everyone[group]) for group in groups], 1.0, atol=0.12)
    terms_x = found.results["noise"]["terms"]["x"]
    assert np.sqrt(terms_x["constant"]) == pytest.approx(0.03, abs=0.012)


def test_good_weak_spots_are_not_outliers():
    _, _, found, _ = refined_noisy(4)
    rejected = found.reflections.flagged(Flag.CENTROID_OUTLIER)
    # 1.3 % are, and 2.5 % of normal deviates are as far off.
    assert 0.025 < rejected.mean() < 0.055
    intensity = found.reflections["intensity.sum.value"]
    weak = intensity < np.quantile(intensity, 0.2)
    assert rejected[weak].mean() < 0.07


@pytest.mark.slow
def test_esds_are_honest_and_panels_no_worse_than_with_flat_weights(errors_um):
    pulls, errors = [], {"estimated": [], "table": []}
    for seed in range(10, 13):
        truth, experiments, table, _ = noisy(seed)
        for noise in errors:
            found = refine(
                experiments,
                table,
                Hierarchical(level=1),
                GaussNewton(),
                MinimumCovarianceDeterminant(),
                RefineOptions(noise=noise),
            )
            across, along = errors_um(truth.detector, found.experiments[0].detector)
            errors[noise] += list(across)
            if noise == "estimated":
                rows = found.results["panels"]
                pulls += list(along / [row["esd_normal_um"] for row in rows])
                pulls += list(across / [np.hypot(row["esd_fast_um"], row["esd_slow_um"]) for row in rows])
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.2
    # Correlations with tilts and the priors on them have the larger share in both.
    assert np.median(errors["estimated"]) < np.median(errors["table"])

"""What is said of certainty does not depend on whether crystals were eliminated."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining.certainty.certainty import certainty_of
from smalti.steps.refining.certainty.halving import refine_halves
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.partition import Partition, partition_of
from smalti.steps.refining.problem.reducing import reduce_crystals
from smalti.steps.refining.solving.evidence import twice_log_evidence
from smalti.steps.refining.solving.projecting import determined_by, minimise
from smalti.steps.refining.solving.rounds import Fit, Round
from smalti.steps.refining.weighing.mislabelled import Mislabelled
from smalti.steps.refining.weighing.noise import Noise
from smalti_plugins.minimisers.gauss_newton import GaussNewton

from .many_crystals import source_of

EXACT = GaussNewton(step_tolerance=1e-9, rmsd_tolerance=0.0, max_steps=60)


def fit_of(source, partition, p, robust):
    """A fit that ended at p, its weights those of a robust judge or all 1."""
    found = minimise(source, partition, EXACT, p)
    residuals = source.calc_minus_obs(found.p)
    variance = source.observations.variance
    size = np.sum(residuals**2 / variance, axis=1)
    weights = 1.0 / (1.0 + size / 6.0) if robust else np.ones(len(size))
    weighed = replace(source, weights=weights[:, None] / variance)
    found = minimise(weighed, partition, EXACT, found.p)
    nothing = np.zeros(len(size), dtype=bool)
    nobody = np.zeros(0)
    noise = Noise(variance, variance, 1.0, {}, nobody, nobody, variance, nobody)
    last = Round(
        weights,
        noise,
        residuals,
        found.p,
        found.solution,
        found.equations,
        determined_by(weighed, partition, found),
    )
    wrong = Mislabelled(np.zeros((len(size), 3), dtype=np.intp), 0)
    groups = np.zeros(len(size), dtype=np.intp)
    return Fit(
        weighed, partition, (last,), weighed.calc_minus_obs(found.p), weights, nothing, noise, groups, wrong
    )


@pytest.fixture(scope="module", params=["wedges", "mixed", "several", "stills"])
def pair(request):
    """The same fit of all parameters together and with crystals eliminated."""
    options = {"refine_setting": True} if request.param == "several" else {}
    source = source_of(request.param, per_crystal=90, **options)
    start = np.zeros(source.layout.n)
    apart = fit_of(source, partition_of(source.layout, eliminate=True), start, robust=True)
    joint = fit_of(source, Partition.joint(source.layout.n), apart.p, robust=True)
    return joint, apart


def test_uncertainties_are_the_same(pair):
    joint, apart = pair
    a, b = certainty_of(joint).uncertainty, certainty_of(apart).uncertainty
    known = a.esd < 1e3 * np.median(a.esd)  # a gauge that is free has none
    np.testing.assert_allclose(b.esd[known], a.esd[known], rtol=1e-5)
    np.testing.assert_allclose(b.prior_share, a.prior_share, atol=1e-5)
    assert b.effective == pytest.approx(a.effective, abs=1e-3)
    shared = apart.partition.shared
    of_shared, unit = a.covariance.shared[np.ix_(shared, shared)], 1.0 / a.esd[shared]
    away = (b.covariance.shared - of_shared) * np.outer(unit, unit)
    assert np.abs(away[np.ix_(known[shared], known[shared])]).max() < 1e-5


def test_what_no_data_see_has_the_same_names(pair):
    joint, apart = pair
    a, b = certainty_of(joint).determination, certainty_of(apart).determination
    null = [{mode.name for mode in found.modes if mode.kind == "gauge"} for found in (a, b)]
    assert null[0] == null[1]
    for mode in b.modes:
        assert len(mode.direction) == apart.partition.n
        assert not mode.direction[apart.partition.owner >= 0].any()
    named = {mode.name: mode for mode in a.modes}
    for mode in b.modes:
        if mode.kind == "gauge":
            assert mode.null == named[mode.name].null
            assert (mode.held > 0.5) == (named[mode.name].held > 0.5)  # scales differ, not the verdict


def test_halves_are_the_same(pair):
    joint, apart = pair
    options = RefineOptions(halves="reflections")
    a, b = (refine_halves(fit, certainty_of(fit), options) for fit in pair)
    assert a is not None and b is not None and a.n == b.n
    shared = apart.partition.shared
    esd = np.sqrt(np.diag(a.covariance))[shared]
    felt = esd > 1e-6 * esd.max()
    np.testing.assert_allclose((b.difference / esd)[felt], (a.difference[shared] / esd)[felt], atol=1e-3)
    np.testing.assert_allclose(np.sqrt(np.diag(b.covariance))[felt], esd[felt], rtol=1e-3)
    assert joint.partition.n == apart.partition.n


def test_evidence_is_the_same(pair):
    joint, apart = pair
    a, b = (twice_log_evidence(fit, 1000.0, joint.source.observations.n) for fit in pair)
    assert a == pytest.approx(b, rel=1e-6)


def test_a_rotation_about_the_beam_is_the_gauge_of_stills():
    """Crystals follow: the turn of the whole is held, and turns of all panels alike are seen by no data."""
    source = source_of("stills", per_crystal=90)
    assert "Detector1Tau1" not in {item.name for item in source.layout.parameters}
    assert "Detector1Tau1" in {item.name for item in source_of("mixed").layout.parameters}
    partition = partition_of(source.layout, eliminate=True)
    fit = fit_of(source, partition, np.zeros(source.layout.n), robust=False)
    gauges = [mode for mode in certainty_of(fit).determination.modes if mode.kind == "gauge"]
    assert [mode.name for mode in gauges] == ["rotation of everything about the beam"]
    assert gauges[0].null and gauges[0].of_panels
    turned = fit.p + 0.1 * gauges[0].direction / np.abs(gauges[0].direction).max()
    free = replace(source, prior=replace(source.prior, precision=np.zeros(source.layout.n)))
    before, after = (reduce_crystals(free, partition, p).objective for p in (fit.p, turned))
    assert after == pytest.approx(before, rel=1e-3)

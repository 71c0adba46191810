"""Two refinements of half of the reflections each: what their difference is, and what it shows."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.progress import silent
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.certainty.certainty import certainty_of
from smalti.steps.refining.certainty.halving import first_half, refine_halves
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.solving.rounds import fit_in_rounds
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey import Tukey


def problem(seed, n=3000, level=1, shift=0.08):
    """Nominal experiments and reflections of the ten displaced modules of a Pilatus 1M."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=60)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (shift, shift, shift / 2)))
    return synthetic.observations(truth, nominal, rng, d_min=1.9, n=n)


def run(experiments, table, level=1, rejector=None, **options):
    settings = RefineOptions(**options)
    return refine(
        experiments, table, Hierarchical(level=level), GaussNewton(), rejector or NoOutliers(), settings
    )


def fitted(experiments, table, component, **options):
    settings = RefineOptions(rounds=1, free_fraction=0.0, **options)
    layout = Layout.of(experiments, component, settings)
    selection = select(table, layout, settings)
    return layout, fit_in_rounds(layout, selection, GaussNewton(), NoOutliers(), settings, silent), settings


@pytest.mark.parametrize("split", ["reflections", "wedges", "scan"])
def test_a_split_takes_half_of_every_panel(split):
    _, fit, settings = fitted(*problem(1), Hierarchical(), halves=split)
    data = fit.source.observations
    working = fit.working.copy()
    working[::7] = False
    first = first_half(data, working, replace(settings, phi_block=2.0))
    assert not (first & ~working).any()
    assert 0.4 < first.sum() / working.sum() < 0.6
    whole, half = (np.bincount(data.spots.panel[mask]) for mask in (working, first))
    if split == "reflections":
        assert np.abs(whole - 2 * half).max() <= 1
        # Every other one: never three of one half in a row.
        one = np.flatnonzero(working & (data.spots.panel == 0))
        ordered = first[one[np.argsort(data.spots.angle[one])]]
        assert (np.diff(np.flatnonzero(ordered)) == 2).mean() > 0.99
    else:
        angle = np.degrees(data.spots.angle)
        wedges = {"wedges": np.floor(angle / 2.0) % 2 == 0, "scan": angle < np.median(angle)}[split]
        assert (wedges[working] == first[working]).mean() > 0.98


def test_the_halves_are_those_that_a_minimiser_finds():
    """One Gauss-Newton step, with halved priors, ends where the minimiser does; and so does its variance."""
    layout, fit, settings = fitted(*problem(2), Hierarchical(level=1))
    halves = refine_halves(fit, certainty_of(fit), settings)
    first = first_half(fit.source.observations, fit.working, settings)
    prior = replace(fit.source.prior, precision=0.5 * fit.source.prior.precision)
    found = []
    for mask in (first, ~first):
        half = replace(fit.source, weights=fit.source.weights * mask[:, None], prior=prior)
        found.append(GaussNewton(max_steps=20).minimise(half, fit.p).parameters)
    esd = np.sqrt(np.diag(halves.covariance))
    assert (np.abs(halves.difference - (found[0] - found[1])) < 0.02 * esd + 1e-9).all()
    assert np.abs(halves.difference / esd).max() > 1.0
    assert halves.n == (int(first.sum()), int((~first).sum()))


@pytest.mark.parametrize("priors", [False, True])
def test_halves_have_twice_the_variance_each_and_priors_no_part_in_it(priors):
    _, fit, settings = fitted(*problem(3), Hierarchical(level=1, priors=priors), weak_priors=priors)
    known = certainty_of(fit)
    halves = refine_halves(fit, known, settings)
    ratio = np.diag(halves.covariance) / np.diag(known.uncertainty.covariance.shared)
    if priors:  # what the prior knows is the same in both
        share = known.uncertainty.prior_share
        assert (ratio < 4.2).all() and (share > 0.3).sum() > 5
        assert (ratio[share > 0.3] < 4.4 * (1.0 - share[share > 0.3])).all()
    else:
        assert np.median(ratio) == pytest.approx(4.0, rel=0.03)
        assert halves.freedom == pytest.approx(len(ratio), rel=0.02)


@pytest.mark.parametrize("rejector", [NoOutliers(), Tukey(), StudentT()])
def test_halves_agree_within_their_sigmas(rejector):
    rows = [run(*problem(seed, n=2000), rejector=rejector).results for seed in range(20, 24)]
    halves = [row["halves"] for row in rows]
    reduced = [row["reduced_chi_squared"] for row in halves]
    assert 0.8 < np.mean(reduced) < 1.25
    assert min(row["probability"] for row in halves) > 1e-3
    sigmas = [panel["half_difference_sigma"] for row in rows for panel in row["panels"]]
    assert 0.85 < np.sqrt(np.mean(np.square(sigmas))) < 1.15
    for row in halves:
        assert row["panels_sigma"] < 1.5
        assert 0.4 < row["difference_um"] / row["expected_difference_um"] < 2.0
        assert row["difference_um"] < 0.25 * row["shift_um"]


def test_a_detector_that_sags_during_the_scan_is_seen_by_halves_of_the_scan():
    """Every other reflection cannot see it: both halves err alike."""
    experiments, table = problem(7, shift=1e-6)
    late = table["xyzobs.px.value"][:, 2] > 30.0
    columns = {}
    for name, size in (("xyzobs.px.value", 0.3), ("xyzobs.mm.value", 0.3 * 0.172)):
        columns[name] = np.array(table[name])
        columns[name][late, 1] += size
    # Half of the panels stay: the motion is no motion of the whole, nor one of the crystal.
    still = table["panel"] % 2 == 0
    for name, values in columns.items():
        values[still] = table[name][still]
    table = table.with_columns(columns)
    by_scan = run(experiments, table, halves="scan").results["halves"]
    assert by_scan["reduced_chi_squared"] > 2.0 and by_scan["probability"] < 1e-6
    assert by_scan["panels_sigma"] > 1.5
    alternating = run(experiments, table).results["halves"]
    assert alternating["reduced_chi_squared"] < 1.5


def test_an_error_of_one_half_is_seen():
    """An error that only one half has is none that the scatter of all could tell."""
    experiments, table = problem(8, shift=1e-6)
    # Neighbours in angle on one panel go to the two halves: one goes to the right, one to the left.
    order = np.lexsort((table["xyzobs.mm.value"][:, 2], table["panel"]))
    sign = np.where(np.arange(len(order)) % 2 == 0, 1.0, -1.0)
    values = {name: np.array(table[name]) for name in ("xyzobs.px.value", "xyzobs.mm.value")}
    values["xyzobs.px.value"][order, 0] += 0.05 * sign
    values["xyzobs.mm.value"][order, 0] += 0.05 * 0.172 * sign
    wrong = run(experiments, table.with_columns(values), level=0, free_fraction=0.0).results["halves"]
    right = run(experiments, table, level=0, free_fraction=0.0).results["halves"]
    assert wrong["reduced_chi_squared"] > 2.0 > right["reduced_chi_squared"]


def test_halves_can_be_switched_off_and_are_not_made_of_few():
    experiments, table = problem(9)
    for refined in (run(experiments, table, halves="off"), run(experiments, table.take(np.arange(300)))):
        assert refined.results["halves"] is None
        assert all(row["half_difference_um"] is None for row in refined.results["panels"])
    # A scan of one wedge has no second one.
    assert run(experiments, table, halves="wedges", phi_block=90.0).results["halves"] is None


def test_a_panel_without_reflections_has_no_difference_and_stops_nothing():
    experiments, table = problem(10)
    few = np.flatnonzero(table["panel"] == 3)
    keep = (table["panel"] != 2) & ~np.isin(np.arange(table.n_rows), few[1:])
    results = run(experiments, table.where(keep)).results
    assert results["panels"][2]["half_difference_sigma"] is None
    assert results["halves"]["reduced_chi_squared"] < 2.0
    assert np.isfinite(results["panels"][3]["half_difference_um"])


def test_at_level_0_the_whole_detector_is_compared():
    experiments, table = problem(11, shift=1e-6)
    halves = run(experiments, table, level=0).results["halves"]
    assert halves["difference_um"] == pytest.approx(0.0, abs=0.01) and halves["panels_sigma"] is None
    assert halves["degrees_of_freedom"] == pytest.approx(12.0, abs=1.0)
    difference, esd = (np.array(halves[key][0]) for key in ("whole_difference_um", "whole_esd_um"))
    assert (np.abs(difference) < 4.0 * esd).all() and (esd > 0.1).all()

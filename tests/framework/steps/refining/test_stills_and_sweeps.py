"""Stills and sweeps of one detector in one solve, crystals that vary over the sweeps among them."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic
from smalti.testing.many_crystals import observed_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

OPTIONS = SimulateOptions(
    output="indexed",
    stills=6,
    layout="PILATUS 300K",
    distance=130.0,
    wavelength=1.0,
    mosaicity=0.06,
    d_min=2.5,
    outliers=0.0,
    mislabelled=0.0,
)
NAMES = ("id", "miller_index", "panel", "xyzobs.mm.value", "xyzobs.mm.variance", "xyzobs.px.value", "flags")


@pytest.fixture(scope="module")
def mixed():
    """A sweep of 1,200 reflections, then six stills; the detector of all is 0.2 mm out of place."""
    rng = np.random.default_rng(4)
    stated = nominal(OPTIONS).detector
    frames = stated.stacked()
    frames[:, :, 2] += (0.2, -0.1, 0.15)
    truth = stated.with_panel_frames(frames)
    sweep = synthetic.experiment(stated, synthetic.crystal(), n_images=300)
    sweep = replace(sweep, beam=replace(sweep.beam, wavelength=1.0))
    experiments, of_sweep = synthetic.observations(
        replace(sweep, detector=truth), sweep, rng, d_min=2.5, n=1200
    )
    stills, of_stills = observed_stills(truth, OPTIONS, start=stated)
    items = [experiments[0], *(replace(item, detector=experiments[0].detector) for item in stills)]
    columns = {name: np.concatenate([of_sweep[name], of_stills[name]]) for name in NAMES}
    columns["id"] = np.concatenate([of_sweep["id"], of_stills["id"] + 1]).astype(np.int32)
    return truth, Experiments(tuple(items)), Reflections(columns)


def run(experiments, table, **options):
    given = RefineOptions(free_fraction=0.0, halves="off", **options)
    return refine(experiments, table, Hierarchical(level=0), GaussNewton(), NoOutliers(), given)


@pytest.mark.parametrize("vary", ["off", "orientation"])
def test_both_place_the_detector_together(mixed, vary):
    truth, experiments, table = mixed
    found = run(experiments, table, scan_varying=vary)
    assert found.results["n_used"] == table.n_rows
    rows = found.results["experiments"]
    assert [row["still"] for row in rows] == [False] + 6 * [True]
    assert rows[0]["rmsd_delta_psi_mrad"] is None and rows[1]["rmsd_z_images"] is None
    assert all(row["rmsd_delta_psi_mrad"] == pytest.approx(1.05, rel=0.35) for row in rows[1:])
    for item in found.results["noise"]["classes"][:1]:
        for kind in ("x", "y", "phi"):
            assert item[f"reduced_chi2_{kind}"] == pytest.approx(1.0, abs=0.05)
    away = found.experiments[0].detector.stacked() - truth.stacked()
    assert np.abs(away[:, :2, 2]).max() < (0.02 if vary == "off" else 0.04)
    assert found.experiments[0].detector is found.experiments[5].detector
    assert len(found.experiments[0].crystal.scan_points) == (301 if vary == "orientation" else 0)
    assert all(not item.crystal.scan_points for item in found.experiments[1:])
    predicted = found.reflections
    assert predicted.flagged(Flag.PREDICTED).all()
    still = predicted["id"] > 0
    assert (predicted["delpsical.rad"][~still] == 0.0).all()
    assert (predicted["xyzcal.mm"][still, 2] == 0.0).all()


def test_derivatives_of_the_mixed_problem_are_those_of_finite_differences(mixed):
    _, experiments, table = mixed
    options = RefineOptions(fix_beam=(), refine_still_beams=True, refine_setting=True)
    layout = Layout.of(experiments, Hierarchical(level=1), options)
    data = select(table, layout, options).observations
    source = RotationSource(layout, data, np.ones((data.n, 3)), layout.prior)
    start = 0.1 * np.random.default_rng(2).normal(size=layout.n)
    p = np.where([name.name.endswith("nu") for name in layout.parameters], 1e-4, start)
    analytic = source.jacobian(p)[: 3 * data.n].tocsc()
    for k in range(layout.n):
        column = analytic[:, [k]].toarray().ravel()
        step = 1e-4 * max(1.0, 1e-2 / max(np.abs(column).max(), 1e-3))

        def slope(by, k=k):
            ahead, behind = (source.calc_minus_obs(p + sign * by * np.eye(layout.n)[k]) for sign in (1, -1))
            return ((ahead - behind) / (2.0 * by)).ravel()

        numeric = (4.0 * slope(step) - slope(2.0 * step)) / 3.0
        size = np.abs(column).reshape(-1, 3).max(axis=0)
        error = np.abs(numeric - column).reshape(-1, 3)
        assert (np.quantile(error, 0.98, axis=0) <= 1e-6 * size + 1e-9).all(), layout.parameters[k].name
    whole, equations = source.jacobian(p), source.normal_equations(p)
    matrix = (whole.T @ whole).toarray()
    scale = np.sqrt(np.outer(np.diag(matrix), np.diag(matrix)))
    assert np.abs((equations.matrix - matrix) / scale).max() < 1e-9

"""Crystals that vary beside others: of another symmetry, on another scan, or too little seen to vary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.comparing import compare
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.smoothness import held_paths
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.varying import paths_of, vary
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.outliers.none import NoOutliers

COUNTS = (900, 700, 40)


@pytest.fixture(scope="module")
def mixed():
    """A triclinic crystal, a cubic one on a scan of other width, and 40 reflections of a tetragonal one."""
    rng = np.random.default_rng(9)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    crystals = (
        synthetic.crystal((48.0, 55.0, 62.0, 82.0, 95.0, 104.0), " P 1"),
        synthetic.crystal((78.0, 78.0, 78.0, 90.0, 90.0, 90.0), " P 4 2 3", (1.0, 0.3, 0.2)),
        synthetic.crystal(),
    )
    scans = ((300, 0.35), (200, 0.5), (100, 0.35))
    items, tables = [], []
    for k, (crystal, (images, width), n) in enumerate(zip(crystals, scans, COUNTS, strict=True)):
        nominal = synthetic.experiment(detector, crystal, n_images=images, width=np.radians(width))
        nominal = replace(nominal, identifier=f"sweep-{k}")
        drift = synthetic.drifting(crystal, images, turn=(1e-3, -1e-3, 0.5e-3), growth=1e-3)
        experiments, table = synthetic.observations(
            replace(nominal, crystal=drift), nominal, rng, d_min=2.6, n=n
        )
        items.append(replace(experiments[0], crystal=crystal, beam=items[0].beam if items else nominal.beam))
        tables.append(table.with_columns({"id": np.full(table.n_rows, k, dtype=np.int32)}))
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return Experiments(tuple(items)), Reflections(columns, {k: f"sweep-{k}" for k in range(3)})


def layouts(mixed, options):
    experiments, table = mixed
    layout = Layout.of(experiments, Hierarchical(), options)
    data = select(table, layout, options).observations
    everything = np.ones(data.n, dtype=bool)
    paths = paths_of(layout, everything, data.spots.experiment, np.radians(options.scan_interval))
    return data, layout, paths, *vary(layout, np.zeros(layout.n), paths, options)


def test_kernel_and_derivatives_agree_where_crystals_differ(mixed, rng):
    options = RefineOptions(scan_varying="all", scan_interval=30.0, refine_setting=True)
    data, _, paths, layout, q = layouts(mixed, options)
    assert paths.few == (3,) and len(paths.smoothers) == 2
    names = [item.name for item in layout.parameters]
    assert "Crystal1g_param_5_sample4" in names and "Crystal2g_param_0_sample4" in names
    assert "Crystal3g_param_1" in names
    source = RotationSource(layout, data, 1.0 / data.variance, layout.prior, 2, held_paths(layout, options))
    q = q + 1e-2 * rng.normal(size=layout.n)
    J, r, equations = source.jacobian(q).toarray(), source.residuals(q), source.normal_equations(q)
    expected = J.T @ J
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(equations.matrix - expected) < 1e-10 * scale).all()
    np.testing.assert_allclose(equations.gradient, J.T @ r, rtol=1e-9, atol=1e-9 * np.abs(J.T @ r).max())
    step = 1e-4
    for k in range(0, layout.n, 3):
        e = step * np.eye(layout.n)[k]
        slope = (source.residuals(q + e) - source.residuals(q - e)) / (2.0 * step)
        assert np.abs(slope - J[:, k]).max() < 1e-5 * np.abs(J[:, k]).max(), layout.parameters[k].name


def test_each_crystal_comes_out_as_it_was_refined(mixed):
    experiments, table = mixed
    options = RefineOptions(scan_varying="all", scan_interval=30.0, halves="off", free_fraction=0.0)
    found = refine(experiments, table, Hierarchical(), GaussNewton(), NoOutliers(), options)
    points = [len(item.crystal.scan_points) for item in found.experiments]
    assert points == [301, 201, 0]
    first, second, third = found.results["crystals"]
    assert first["scan"]["n_samples"] == 5 and second["scan"]["n_samples"] == 5 and third["scan"] is None
    assert any("Crystal 3: fewer samples" in warning for warning in found.warnings)
    used = [row["n_used"] for row in found.results["experiments"]]
    assert all(0 <= n - kept <= 2 for n, kept in zip(COUNTS, used, strict=True))
    assert all(row["rmsd_x_px"] < 0.13 for row in found.results["experiments"][:2])
    text = found.text()
    assert "Crystal 1 over its scan, 5 samples:" in text and "Crystal 3 over" not in text
    # One path tells the tilt that another might hide: only where all vary it is held.
    assert "paths of crystals" not in found.results["gauge"]


def test_minimisers_are_compared_on_the_problem_with_samples(mixed):
    options = RefineOptions(scan_varying="orientation", scan_interval=30.0)
    minimisers = (GaussNewton(), LevenbergMarquardt())
    found = compare(*mixed, Hierarchical(), minimisers, NoOutliers(), options)
    _, _, _, layout, _ = layouts(mixed, options)
    assert found.summary()["n_parameters"] == layout.n
    assert all(row["converged"] for row in found.summary()["minimisers"])


def test_a_solver_that_asks_for_the_jacobian_gets_there_too(mixed):
    options = RefineOptions(scan_varying="orientation", scan_interval=30.0)
    data, _, _, layout, q = layouts(mixed, options)
    source = RotationSource(layout, data, 1.0 / data.variance, layout.prior, 1, held_paths(layout, options))
    one, two = (item.minimise(source, q) for item in (GaussNewton(), ScipyLeastSquares()))
    assert two.objective == pytest.approx(one.objective, rel=1e-5)

"""Crystals that vary over their scans: layout, derivatives, what holds them, what comes out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.options import build
from smalti.solution import Prior
from smalti.steps.refining import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.smoothness import held_paths, lab_tilts, smoothness
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.varying import one_crystal_a_scan, paths_of, steadied, vary
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock
from smalti_plugins.detectors.hierarchical import Hierarchical

from .drifting import IMAGES, drifting_problem


@pytest.fixture(scope="module")
def drifting():
    return drifting_problem()


def varied(experiments, table, options, p=None, level=1):
    """Selection, static layout, and the layout with samples with the point that is the static one."""
    layout = Layout.of(experiments, Hierarchical(level=level), options)
    data = select(table, layout, options).observations
    start = np.zeros(layout.n) if p is None else p(layout)
    everything = np.ones(data.n, dtype=bool)
    paths = paths_of(layout, everything, data.spots.experiment, np.radians(options.scan_interval))
    return data, layout, start, *vary(layout, start, paths, options)


def source_of(layout, data, options, n_threads=1):
    return RotationSource(
        layout, data, 1.0 / data.variance, layout.prior, n_threads, held_paths(layout, options)
    )


def crystal_of(layout):
    return next(block for block in layout.blocks if isinstance(block, VaryingCrystalBlock))


@pytest.mark.parametrize("what", ["orientation", "cell", "all"])
def test_samples_that_are_all_alike_are_the_static_crystal(drifting, rng, what):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying=what, scan_interval=20.0)
    data, static, p, layout, q = varied(
        experiments, table, options, lambda layout: 1e-2 * rng.normal(size=layout.n)
    )
    before = RotationSource(static, data, 1.0 / data.variance, static.prior).calc_minus_obs(p)
    after = source_of(layout, data, options).calc_minus_obs(q)
    np.testing.assert_allclose(after, before, atol=1e-12)
    crystal = layout.compose(q)[0].crystal
    np.testing.assert_allclose(crystal.A, static.compose(p)[0].crystal.A, rtol=1e-12)
    points = np.array(crystal.scan_points).reshape(-1, 3, 3)
    assert len(points) == IMAGES + 1
    np.testing.assert_allclose(points, np.broadcast_to(crystal.A, points.shape), atol=1e-14)
    counts = {"orientation": 3 * 6, "cell": 2 * 6, "all": 5 * 6}  # seven samples instead of one
    assert layout.n == static.n + counts[what]


def test_every_derivative_is_that_of_the_residuals(drifting, rng):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying="all", scan_interval=20.0, refine_setting=True, fix_beam=())
    some = table.take(np.sort(rng.choice(table.n_rows, 400, replace=False)))
    data, _, _, layout, q = varied(experiments, some, options)
    source = source_of(layout, data, options)
    q = q + 1e-2 * rng.normal(size=layout.n)
    jacobian, step = source.jacobian(q).toarray(), 1e-4
    for k, parameter in enumerate(layout.parameters):
        e = step * np.eye(layout.n)[k]
        slope = (source.residuals(q + e) - source.residuals(q - e)) / (2.0 * step)
        assert np.abs(slope - jacobian[:, k]).max() < 1e-5 * np.abs(jacobian[:, k]).max(), parameter.name


def test_the_kernel_sums_what_the_jacobian_says(drifting, rng):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying="all", scan_interval=20.0, refine_setting=True)
    data, _, _, layout, q = varied(experiments, table, options)
    q = q + 1e-2 * rng.normal(size=layout.n)
    source = source_of(layout, data, options)
    J, r, equations = source.jacobian(q).toarray(), source.residuals(q), source.normal_equations(q)
    expected = J.T @ J
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(equations.matrix - expected) < 1e-10 * scale).all()
    np.testing.assert_allclose(equations.gradient, J.T @ r, rtol=1e-9, atol=1e-9 * np.abs(J.T @ r).max())
    assert equations.objective == pytest.approx(0.5 * r @ r) == source.objective(q)
    again = source_of(layout, data, options, n_threads=3).normal_equations(q)
    assert (again.matrix == equations.matrix).all() and (again.gradient == equations.gradient).all()


def test_cells_that_are_none_have_no_objective(drifting):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying="cell")
    data, _, _, layout, q = varied(experiments, table, options)
    away = np.where(["g_param" in item.name for item in layout.parameters], -1e3, 0.0)
    assert source_of(layout, data, options).objective(q + away) == np.inf


def test_what_is_held_or_tied_does_not_vary(drifting):
    _, experiments, table = drifting
    held = RefineOptions(scan_varying="all", fix_crystal=("cell",), fix=("Phi2",))
    _, _, _, layout, _ = varied(experiments, table, held)
    names = {item.name for item in layout.parameters if item.name.startswith("Crystal")}
    assert names == {f"Crystal1Phi{k}_sample{s}" for k in (1, 3) for s in range(3)}
    pair = Experiments((experiments[0], replace(experiments[0], crystal=replace(experiments[0].crystal))))
    tied = RefineOptions(scan_varying="all", equal_shifts=("Crystal*Phi1",))
    _, static, _, layout, _ = varied(pair, table, tied)
    names = [item.name for item in layout.parameters]
    assert "Crystal1Phi1" in names and "Crystal1Phi2_sample0" in names
    places = {name: k for k, name in enumerate(names)}
    assert (layout.column == places["Crystal1Phi1"]).sum() == 2
    assert static.n < layout.n


def test_few_reflections_get_few_samples_or_none(drifting):
    _, experiments, table = drifting
    for n, expected in ((45, None), (100, 3), (4000, 12)):
        layout = Layout.of(experiments, Hierarchical(), RefineOptions())
        few = np.arange(table.n_rows) < n
        paths = paths_of(layout, few, np.zeros(table.n_rows, dtype=np.intp), np.radians(10.0))
        found = [smoother.n_samples for smoother in paths.smoothers.values()]
        assert found == ([] if expected is None else [expected])
        assert paths.few == ((1,) if n < 4000 else ())


def test_each_scan_has_crystals_of_its_own(drifting):
    _, experiments, _ = drifting
    first = experiments[0]
    second = replace(first, scan=replace(first.scan))
    third = replace(first, detector=replace(first.detector))
    apart = one_crystal_a_scan(Experiments((first, second, third)))
    assert apart[0].crystal is first.crystal is apart[2].crystal
    assert apart[1].crystal is not first.crystal and apart[1].crystal == first.crystal


def test_a_tilt_of_beam_and_detector_is_no_path_of_the_crystal(drifting):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying="orientation", scan_interval=10.0, weak_priors=False)
    data, _, _, layout, q = varied(experiments, table, options, level=0)
    assert lab_tilts(layout).shape == (2, layout.n)
    plain = RotationSource(layout, data, 1.0 / data.variance, Prior(np.zeros(layout.n), np.zeros(layout.n)))
    matrix = plain.normal_equations(q).matrix
    scale = 1.0 / np.sqrt(np.diag(matrix))
    values = np.linalg.eigvalsh(matrix * np.outer(scale, scale))
    held = source_of(layout, data, options).normal_equations(q).matrix
    unit = 1.0 / np.sqrt(np.diag(held))
    firmer = np.linalg.eigvalsh(held * np.outer(unit, unit))
    assert values[1] < 0.1 * firmer[0]
    for closed in (
        RefineOptions(scan_varying="orientation", fix_detector=("all",)),
        RefineOptions(scan_varying="cell"),
    ):
        *_, layout, _ = varied(experiments, table, closed)
        assert lab_tilts(layout).shape == (0, layout.n)
        assert smoothness(layout).shape[1] == layout.n


def test_what_samples_do_together_is_the_static_problem(drifting, rng):
    _, experiments, table = drifting
    options = RefineOptions(scan_varying="all", scan_interval=20.0, fix=("Phi2",), equal_shifts=("*Tau2",))
    data, static, p, layout, q = varied(
        experiments, table, options, lambda layout: 1e-2 * rng.normal(size=layout.n)
    )
    again, at, together = steadied(layout, q)
    assert [item.name for item in again.parameters] == [item.name for item in static.parameters]
    np.testing.assert_allclose(at, p, atol=1e-14)
    np.testing.assert_allclose(together @ at, q, atol=1e-14)
    expected = RotationSource(static, data, 1.0 / data.variance, static.prior).normal_equations(p)
    found = RotationSource(layout, data, 1.0 / data.variance, layout.prior).normal_equations(q)
    priors = together.T @ np.diag(layout.prior.precision) @ together
    ours = together.T @ found.matrix @ together - priors
    theirs = expected.matrix - np.diag(static.prior.precision)
    size = np.sqrt(np.outer(np.diag(theirs), np.diag(theirs)))
    assert (np.abs(ours - theirs) < 1e-9 * size).all()


def test_options_are_checked():
    assert build(RefineOptions, {"scan_varying": "all"}, name="refine").scan_varying == "all"
    with pytest.raises(UsageError, match="scan_varying"):
        build(RefineOptions, {"scan_varying": "yes"}, name="refine")

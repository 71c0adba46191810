"""Parameters that move together, and crystals of one cell."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


@pytest.fixture(scope="module")
def two_sweeps():
    """Two crystals of one cell, in different orientations, on two detectors that are out by the same."""
    rng = np.random.default_rng(3)
    parts, experiments, truths = [], [], []
    for k, (distance, turn) in enumerate(((150.0, (0.4, 1.1, 2.3)), (170.0, (1.3, 0.2, 0.7)))):
        detector = synthetic.detector("PILATUS 300K", distance, modules=False)
        nominal = synthetic.experiment(detector, synthetic.crystal(orientation=turn), n_images=120)
        moved = detector.moved({(): (np.eye(3), np.array([0.2, -0.1, 0.6]))})
        truth = replace(nominal, detector=moved)
        found, table = synthetic.observations(truth, nominal, rng, d_min=2.4, n=1500)
        parts.append(table.with_columns({"id": np.full(table.n_rows, k, dtype=np.int32)}))
        experiments.append(found[0])
        truths.append(truth)
    table = Reflections.concatenate(parts)
    items = tuple(replace(e, identifier=str(k)) for k, e in enumerate(experiments))
    return truths, Experiments(items), replace_identifiers(table)


def replace_identifiers(table):
    return table.with_columns(identifiers={0: "0", 1: "1"})


def solve(experiments, table, **options):
    return refine(experiments, table, Hierarchical(), GaussNewton(), NoOutliers(), RefineOptions(**options))


def shifts(refined):
    return {row["name"]: row["shift"] for row in refined.results["parameters"]}


def test_tied_parameters_share_an_increment(two_sweeps):
    truths, experiments, table = two_sweeps
    tied = solve(experiments, table, equal_shifts=("Detector*Dist", "Detector1Shift1+Detector2Shift1"))
    plain = solve(experiments, table)
    assert tied.results["n_parameters"] == plain.results["n_parameters"] - 2
    name = "Detector1Dist"
    assert shifts(tied)[name] == pytest.approx(-0.6, abs=0.05)  # towards the crystal
    assert "Detector2Dist" not in shifts(tied)
    # Two detectors tell more of what they share than one does.
    esd = [{r["name"]: r["esd"] for r in item.results["parameters"]}[name] for item in (tied, plain)]
    assert esd[0] < 0.9 * esd[1]


def test_one_cell_and_two_orientations(two_sweeps):
    truths, experiments, table = two_sweeps
    stretched = replace(
        experiments[1],
        crystal=synthetic.crystal((58.2, 58.2, 149.0, 90.0, 90.0, 90.0), orientation=(1.3, 0.2, 0.7)),
    )
    start = replace(experiments, items=(experiments[0], stretched))
    refined = solve(start, table, crystals="one_cell")
    first, second = (e.crystal for e in refined.experiments)
    assert first is not second
    np.testing.assert_allclose(first.cell, second.cell, rtol=1e-9)
    np.testing.assert_allclose(first.cell, truths[0].crystal.cell, rtol=2e-3)
    assert np.abs(first.U - second.U).max() > 0.1
    names = shifts(refined)
    assert sum("g_param" in name for name in names) == 2 and sum("Phi" in name for name in names) == 6
    # Apart, the cells do not agree to the last bit.
    apart = solve(start, table)
    assert apart.experiments[0].crystal.cell[0] != apart.experiments[1].crystal.cell[0]


def test_the_derivatives_of_tied_parameters_are_sums(two_sweeps):
    _, experiments, table = two_sweeps
    options = RefineOptions(equal_shifts=("Detector*Tau2",), crystals="one_cell")
    layout = Layout.of(experiments, Hierarchical(), options)
    rng = np.random.default_rng(0)
    p = 0.3 * rng.normal(size=layout.n)
    dense = layout.tangent(p).toarray()
    for k in range(layout.n):
        step = 1e-4 * np.eye(layout.n)[k]
        ahead, back = layout.state(p + step), layout.state(p - step)
        change = np.concatenate(
            [
                (ahead.d - back.d).transpose(0, 2, 1).reshape(len(ahead.d), 9).ravel(),
                *np.concatenate(
                    [ahead.s0 - back.s0, (ahead.FA - back.FA).reshape(-1, 9), np.zeros((2, 3))], axis=1
                ),
            ]
        )
        np.testing.assert_allclose(dense[:, k], change / 2e-4, atol=1e-6 + 1e-5 * np.abs(change / 2e-4).max())


def test_a_shared_crystal_is_given_up(two_sweeps):
    _, experiments, table = two_sweeps
    shared = replace(
        experiments, items=tuple(replace(e, crystal=experiments[0].crystal) for e in experiments)
    )
    mine = table.where(table["id"] == 0)  # the second sweep is not of that orientation: without spots here
    together = Layout.of(shared, Hierarchical(), RefineOptions())
    apart = Layout.of(shared, Hierarchical(), RefineOptions(crystals="own"))
    one = Layout.of(shared, Hierarchical(), RefineOptions(crystals="one_cell"))
    assert (together.n, apart.n, one.n) == (together.n, together.n + 5, together.n + 3)
    refined = solve(shared, mine, crystals="one_cell")
    first, second = (e.crystal for e in refined.experiments)
    np.testing.assert_allclose(first.cell, second.cell, rtol=1e-9)
    np.testing.assert_allclose(second.U, experiments[0].crystal.U, atol=1e-9)  # nothing said: it stays


def test_holding_more_parameters(two_sweeps):
    _, experiments, _ = two_sweeps
    layout = Layout.of(experiments, Hierarchical(), RefineOptions(equal_shifts=("Detector*Dist",)))
    less = layout.holding(["Detector1Dist", "Crystal2Phi3"])
    names = [parameter.name for parameter in layout.parameters]
    assert [p.name for p in less.parameters] == [
        n for n in names if n not in ("Detector1Dist", "Crystal2Phi3")
    ]
    p = np.arange(1.0, less.n + 1)
    held = [name in ("Detector1Dist", "Crystal2Phi3") for name in names]
    full = np.zeros(layout.n)
    full[~np.array(held)] = p
    for a, b in zip(less.split(p), layout.split(full), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("Detektor*Dist", "matches no parameter"),
        ("Detector1Dist", "matches only"),
        ("Detector1*", "mm and mrad"),
    ],
)
def test_ties_that_mean_nothing_are_refused(two_sweeps, pattern, words):
    _, experiments, table = two_sweeps
    with pytest.raises(UsageError, match=words):
        solve(experiments, table, equal_shifts=(pattern,))


def test_cells_that_differ_are_not_one(two_sweeps):
    _, experiments, table = two_sweeps
    other = replace(experiments[1], crystal=synthetic.crystal((80.0, 80.0, 40.0, 90.0, 90.0, 90.0)))
    with pytest.raises(DataError, match="cannot have one cell"):
        solve(replace(experiments, items=(experiments[0], other)), table, crystals="one_cell")

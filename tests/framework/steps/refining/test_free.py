"""The free set: how it is drawn, that it is kept, and that nothing is ever fitted to it."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.free import free_set, keys
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.tukey import Tukey


def run(experiments, table, level=0, rejector=None, component=None, **options):
    component = component or Hierarchical(level=level)
    settings = RefineOptions(**{"halves": "off"} | options)
    return refine(experiments, table, component, GaussNewton(), rejector or NoOutliers(), settings)


@pytest.fixture(scope="module")
def spots():
    """Cells of 2,000, 39, 19, 400 and 1 reflections, with angle, d* and key."""
    rng = np.random.default_rng(5)
    cell = np.repeat(np.arange(5), [2000, 39, 19, 400, 1])
    return cell, rng.uniform(0.0, 6.0, len(cell)), rng.uniform(0.1, 0.5, len(cell)), rng.random(len(cell))


def test_each_cell_gives_its_share_and_small_ones_none(spots):
    cell = spots[0]
    free = free_set(*spots, 0.05)
    assert np.bincount(cell[free], minlength=5).tolist() == [100, 1, 0, 20, 0]


def test_the_free_set_covers_angle_and_resolution_evenly(spots):
    cell, angle, d_star, _ = spots
    free = free_set(*spots, 0.05)
    mine = cell == 0
    for values in (angle, d_star):
        edges = np.quantile(values[mine], np.linspace(0.0, 1.0, 11))[1:-1]
        drawn = np.bincount(np.digitize(values[mine & free], edges), minlength=10)
        # A random draw would have a chi-squared of 9 on average.
        assert np.sum((drawn - 10.0) ** 2 / 10.0) < 4.0
    # ... and every quarter of the angle holds all resolutions.
    quarter = (4 * angle / 6.0).astype(int)
    shell = np.digitize(d_star, np.quantile(d_star[mine], [0.25, 0.5, 0.75]))
    counts = np.bincount((4 * quarter + shell)[mine & free], minlength=16)
    assert counts.min() >= 3


def test_the_free_set_does_not_depend_on_the_order_of_the_rows(spots):
    cell, angle, d_star, key = spots
    free = free_set(*spots, 0.05)
    rng = np.random.default_rng(1)
    order = np.lexsort((rng.random(len(cell)), cell))
    np.testing.assert_array_equal(free_set(cell, angle[order], d_star[order], key[order], 0.05), free[order])
    # Spots on one image each share their angles: ties must not be broken by the order either.
    coarse = np.floor(angle * 20.0)
    np.testing.assert_array_equal(
        free_set(cell, coarse[order], d_star[order], key[order], 0.05),
        free_set(cell, coarse, d_star, key, 0.05)[order],
    )


def test_keys_are_even_and_depend_on_index_and_seed_only():
    h = np.array(
        [(a, b, c) for a in range(-20, 21) for b in range(-20, 21) for c in range(-5, 6)], dtype=float
    )
    key = keys(h, 42)
    assert len(np.unique(key)) == len(h) and 0.0 <= key.min() and key.max() < 1.0
    counts, _ = np.histogram(key, bins=20, range=(0.0, 1.0))
    expected = len(h) / 20
    assert np.sum((counts - expected) ** 2 / expected) < 43.8  # 99.9 % of chi-squared with 19
    assert abs(np.corrcoef(key[1:], key[:-1])[0, 1]) < 0.03
    np.testing.assert_array_equal(key[::-1], keys(h[::-1], 42))
    assert abs(np.corrcoef(key, keys(h, 43))[0, 1]) < 0.03


def test_a_shuffled_table_gives_the_same_refinement(displaced_problem):
    _, experiments, table = displaced_problem
    order = np.random.default_rng(3).permutation(table.n_rows)
    one, two = run(experiments, table), run(experiments, table.take(order))
    np.testing.assert_array_equal(one.reflections["free"][order], two.reflections["free"])
    share = one.reflections["free"].mean()
    assert 0.04 < share <= 0.05


@pytest.mark.parametrize("rejector", [Tukey(), MinimumCovarianceDeterminant(), NoOutliers()])
def test_what_is_held_out_has_no_part_in_the_fit(displaced_problem, rejector):
    """Gross changes of the free reflections do not move the minimum by a bit."""
    _, experiments, table = displaced_problem
    free = run(experiments, table).reflections["free"]
    # Without pixels, from which positions would be worked out anew.
    table = table.without("xyzobs.px.value", "xyzobs.px.variance").with_columns({"free": free})
    wrong = np.array(table["xyzobs.mm.value"])
    wrong[free, :2] += np.random.default_rng(0).normal(scale=2.0, size=(free.sum(), 2))
    one = run(experiments, table, 1, rejector)
    two = run(experiments, table.with_columns({"xyzobs.mm.value": wrong}), 1, rejector)
    for key in ("steps", "noise", "parameters", "crystals"):
        assert one.results[key] == two.results[key]
    # They are judged, though: two millimetres off is off.
    if not isinstance(rejector, NoOutliers):
        assert two.results["free"]["n_rejected"] > 0.97 * free.sum()
        assert one.results["free"]["n_rejected"] < 0.07 * free.sum()


def test_angles_of_the_free_set_have_no_part_either(displaced_problem):
    """Reflections are summed in the order of their angles: the last bits may change, no more."""
    _, experiments, table = displaced_problem
    free = run(experiments, table).reflections["free"]
    table = table.with_columns({"free": free})
    wrong = np.array(table["xyzobs.mm.value"])
    middle = np.median(wrong[:, 2])  # none may leave the scan: that would be another set
    wrong[free, 2] += np.where(wrong[free, 2] < middle, 0.003, -0.003)
    one, two = (run(experiments, t, 1) for t in (table, table.with_columns({"xyzobs.mm.value": wrong})))
    assert two.results["free"]["rmsd_phi_deg"] > 4.0 * one.results["free"]["rmsd_phi_deg"]
    for a, b in zip(one.results["parameters"], two.results["parameters"], strict=True):
        assert abs(a["value"] - b["value"]) < 1e-6 * a["esd"]


def test_the_next_refinement_keeps_the_set(displaced_problem):
    _, experiments, table = displaced_problem
    first = run(experiments, table)
    second = run(first.experiments, first.reflections, 1, seed=7, close_to_spindle=0.03)
    both = ~second.reflections.flagged(Flag.EXCLUDED_FOR_REFINEMENT) | second.reflections["free"]
    np.testing.assert_array_equal(first.reflections["free"][both], second.reflections["free"][both])
    # Fitting everything in between does not lose it either.
    everything = run(first.experiments, first.reflections, 1, free_fraction=0.0)
    assert everything.results["n_free"] == 0 and everything.results["free"]["rmsd_x_mm"] is None
    np.testing.assert_array_equal(everything.reflections["free"], first.reflections["free"])


def test_an_experiment_that_is_added_gets_a_set_of_its_own(displaced_problem):
    _, experiments, table = displaced_problem
    first = run(experiments, table)
    again = table.with_columns(
        {"id": np.ones(table.n_rows, dtype=np.int32), "free": np.zeros(table.n_rows, dtype=bool)}
    )
    names = [name for name in again if name in first.reflections]
    joined = Reflections.concatenate(
        [Reflections({name: item[name] for name in names}) for item in (first.reflections, again)]
    )
    both = run(Experiments((experiments[0], experiments[0])), joined)
    free, old = both.reflections["free"], joined["id"] == 0
    np.testing.assert_array_equal(free[old], first.reflections["free"])
    np.testing.assert_array_equal(free[~old], first.reflections["free"])  # the same reflections


def test_flags_that_mean_something_else_are_refused(displaced_problem):
    """Numbers from 0 to 19, of which 0 is free, would leave a twentieth to be fitted."""
    _, experiments, table = displaced_problem
    table = table.with_columns({"free": np.arange(table.n_rows) % 20})
    with pytest.raises(DataError, match="marks 95 % of the reflections") as caught:
        run(experiments, table)
    assert "free_fraction=0" in caught.value.fix
    assert run(experiments, table, free_fraction=0.0).results["n_free"] == 0


def test_few_reflections_are_all_fitted(displaced_problem):
    _, experiments, table = displaced_problem
    few = table.take(np.arange(0, table.n_rows, 10)[:800])
    refined = run(experiments, few)
    assert refined.results["n_free"] == 0 and "free" not in refined.reflections
    assert refined.results["free_steps"] == []
    assert run(experiments, few, free_minimum=500).results["n_free"] > 0


def test_free_reflections_are_predicted_flagged_and_counted(displaced_problem):
    _, experiments, table = displaced_problem
    refined = run(experiments, table, 1, Tukey())
    out, results = refined.reflections, refined.results
    free = out["free"]
    assert np.isfinite(out["xyzcal.mm"][free]).all()
    assert not out.flagged(Flag.USED_IN_REFINEMENT)[free].any()
    rejected = out.flagged(Flag.CENTROID_OUTLIER)
    assert (free & ~rejected).sum() == results["n_free"] == results["free"]["n"]
    assert (free & rejected).sum() == results["free"]["n_rejected"]
    assert out.flagged(Flag.EXCLUDED_FOR_REFINEMENT)[free & ~rejected].all()
    for rows in (results["panels"], results["experiments"]):
        assert sum(row["n_free"] for row in rows) == results["n_free"]
        assert sum(row["n_rejected"] for row in rows) == results["n_rejected"] == rejected.sum()
    residual = (out["xyzcal.mm"] - out["xyzobs.mm.value"])[free & ~rejected]
    assert np.sqrt(np.mean(residual[:, 0] ** 2)) == pytest.approx(results["free"]["rmsd_x_mm"], rel=1e-9)
    assert results["free_steps"][-1]["rmsd_x_mm"] == pytest.approx(results["free"]["rmsd_x_mm"], rel=1e-9)
    assert results["free_steps"][0]["rmsd_x_mm"] > 2.0 * results["free"]["rmsd_x_mm"]
    panel = results["panels"][3]
    mine = (free & ~rejected)[...] & (out["panel"] == 3)
    pixel = experiments[0].detector.panels[3].pixel_size[0]
    here = (out["xyzcal.mm"] - out["xyzobs.mm.value"])[mine, 0]
    assert panel["n_free"] == mine.sum()
    assert panel["free_rmsd_x_px"] == pytest.approx(np.sqrt(np.mean(here**2)) / pixel, rel=1e-9)


def test_honest_refinement_has_the_gap_that_its_parameters_explain(displaced_problem):
    _, experiments, table = displaced_problem
    free = run(experiments, table, 1).results["free"]
    assert abs(free["gap"] - free["expected_gap"]) < 3.0 * free["gap_esd"]
    assert free["expected_gap"] < 0.01 and free["gap_esd"] < 0.04
    assert free["rmsd_x_mm"] == pytest.approx(free["working_rmsd_x_mm"], rel=0.1)


def test_too_many_parameters_raise_the_free_rmsd(rng):
    """24 panels against some 20 reflections each, free in six ways where there are 30: they predict less."""
    detector = synthetic.detector("PILATUS 2M", 250.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=50)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (1e-4, 1e-4, 1e-4), (1e-6,) * 3))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.0, n=1000)
    components = (Hierarchical(), Hierarchical(level=1, priors=False), Hierarchical(level=1))
    rows = [run(experiments, table, component=c, free_fraction=0.45).results["free"] for c in components]
    # Every panel's six parameters take their part of x and y of its reflections.
    block, loose, held = (np.hypot(row["rmsd_x_mm"], row["rmsd_y_mm"]) for row in rows)
    fitted, over_fitted, _ = (np.hypot(row["working_rmsd_x_mm"], row["working_rmsd_y_mm"]) for row in rows)
    assert over_fitted < 0.96 * fitted
    assert loose > 1.03 * block
    assert loose > held  # what priors are for
    gap, esd, expected = (rows[1][key] for key in ("gap", "gap_esd", "expected_gap"))
    assert gap > 2.0 * esd and abs(gap - expected) < 3.0 * esd
    assert abs(rows[0]["gap"]) < 3.0 * rows[0]["gap_esd"]

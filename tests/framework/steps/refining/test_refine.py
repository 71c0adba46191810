"""The whole step on problems whose truth is known."""

import json
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError, UsageError
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.tables import Flag
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.tukey import Tukey


def run(experiments, table, *, level=0, minimiser=None, rejector=None, component=None, **options):
    return refine(
        experiments,
        table,
        component or Hierarchical(level=level),
        minimiser or GaussNewton(),
        rejector or NoOutliers(),
        RefineOptions(**options),
    )


def test_displaced_panels_are_found_within_their_noise(displaced_problem, errors_um):
    truth, experiments, table = displaced_problem
    refined = run(experiments, table, level=1)
    nominal, _ = errors_um(truth.detector, experiments[0].detector)
    across, along = errors_um(truth.detector, refined.experiments[0].detector)
    assert np.median(nominal) > 50.0
    assert np.median(across) < 4.0 and np.median(along) < 15.0
    esd = np.array([row["esd_um"] for row in refined.results["panels"]])
    assert (across < 5.0 * esd).all()
    final = refined.results["steps"][-1]
    assert final["rmsd_x_mm"] == pytest.approx(0.1 * 0.172, rel=0.05)
    assert refined.results["variance_scale"] == pytest.approx(1.0, abs=0.05)
    assert refined.trustworthy


def test_few_steps_from_nominal(displaced_problem):
    _, experiments, table = displaced_problem
    refined = run(experiments, table, level=1)
    assert max(row["step"] for row in refined.results["steps"] if row["round"] == 1) <= 3


def test_all_minimisers_reach_one_minimum(rng):
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.2, 0.2, 0.1)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=3.0, n=200)
    values, esd = {}, None
    minimisers = (GaussNewton(), LevenbergMarquardt(), ScipyLeastSquares(), ScipyLeastSquares(method="lm"))
    for minimiser in minimisers:
        refined = run(experiments, table, level=1, minimiser=minimiser, rounds=1)
        rows = refined.results["parameters"]
        values[minimiser] = np.array([row["shift"] for row in rows])
        esd = np.array([row["esd"] for row in rows])
    for minimiser in minimisers[1:]:
        assert (np.abs(values[minimiser] - values[minimisers[0]]) < 0.02 * esd).all(), minimiser


def test_a_block_is_found(block_problem, errors_um):
    truth, experiments, table = block_problem
    refined = run(experiments, table)
    d_true, d_found = truth.detector.stacked()[0], refined.experiments[0].detector.stacked()[0]
    corner = np.array([*truth.detector.panels[0].size_mm, 1.0])
    middle = corner / (2.0, 2.0, 1.0)
    before = np.linalg.norm((experiments[0].detector.stacked()[0] - d_true) @ middle)
    assert np.linalg.norm((d_found - d_true) @ middle) < 0.05 * before
    row = refined.results["detectors"][0]
    shift = (d_found - experiments[0].detector.stacked()[0]) @ middle
    np.testing.assert_allclose(row["shift_mm"], shift, atol=1e-6)


def test_models_that_were_shared_stay_shared_and_are_solved_together(rng):
    detector = synthetic.detector("PILATUS 300K", 150.0)
    first = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    second = replace(first, scan=replace(first.scan, oscillation=(1.0, first.scan.oscillation[1])))
    moved = synthetic.displaced(detector, rng, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
    moved = Hierarchical().compose(moved, np.array([0.4, 0.2, -0.3, 1.0, 0.0, 0.0]))
    tables = []
    for number, item in enumerate((first, second)):
        _, table = synthetic.observations(replace(item, detector=moved), item, rng, d_min=2.5, n=1500)
        tables.append(table.with_columns({"id": np.full(table.n_rows, number)}))
    joined = type(tables[0]).concatenate(tables)
    refined = run(Experiments((first, second)), joined)
    a, b = refined.experiments
    assert a.detector is b.detector and a.beam is b.beam and a.crystal is b.crystal
    assert a.scan is first.scan and b.scan is second.scan
    names = [row["name"] for row in refined.results["parameters"]]
    assert len(names) == 6 + 1 + 3 + 2
    row = refined.results["detectors"][0]
    middle = (np.array([*detector.panels[0].size_mm, 2.0]) / 2.0) @ (moved.stacked() - detector.stacked())[
        1
    ].T
    off = np.array(row["shift_mm"]) - middle
    assert (np.abs(off) < 5.0 * np.array(row["esd_shift_mm"])).all()
    assert np.linalg.norm(off) < 0.1 * np.linalg.norm(middle)
    used = [row["n_used"] + row["n_free"] for row in refined.results["experiments"]]
    assert min(used) > 1450 and sum(used) + sum(refined.results["left_out"].values()) == 3000


def test_an_empty_panel_follows_the_others(displaced_problem):
    _, experiments, table = displaced_problem
    empty = 4
    table = table.where(table["panel"] != empty)
    shifted = Hierarchical().compose(experiments[0].detector, np.array([0.0, 0.5, 0.3, 0.0, 0.0, 0.0]))
    experiments = Experiments((replace(experiments[0], detector=shifted),))
    refined = run(experiments, table, level=1)
    row = refined.results["panels"][empty]
    assert row["n_used"] == 0 and row["rmsd_x_px"] is None
    assert row["prior_share"] == pytest.approx(1.0)
    # It moved half a millimetre with the others, and hardly against them.
    before, after = shifted.stacked()[empty], refined.experiments[0].detector.stacked()[empty]
    assert np.linalg.norm(after[:, 2] - before[:, 2]) > 0.4
    assert row["shift_um"] < 100.0
    assert 70.0 < row["esd_um"] < 150.0  # its tolerance in the plane, 100 um
    assert any("without reflections" in note for note in refined.results["verdict"]["notes"])


def test_starved_panels_are_no_worse_than_nominal(rng, errors_um):
    detector = synthetic.detector("PILATUS 2M", 250.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=3.0, n=250)
    refined = run(experiments, table, level=1)
    before, _ = errors_um(truth.detector, detector)
    after, _ = errors_um(truth.detector, refined.experiments[0].detector)
    assert np.median(after) < 0.6 * np.median(before)
    assert (after < before + 30.0).all()


def test_outliers_are_judged_again_on_the_better_models(rng, errors_um):
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.4, 0.4, 0.05)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.2, n=6000, outliers=0.05)
    refined = run(
        experiments, table, level=1, rejector=Tukey(), component=Hierarchical(level=1, in_plane=0.5)
    )
    across, _ = errors_um(truth.detector, refined.experiments[0].detector)
    assert np.median(across) < 5.0
    rejected = refined.reflections.flagged(Flag.CENTROID_OUTLIER)
    assert 0.04 * table.n_rows < rejected.sum() < 0.1 * table.n_rows
    share = [
        row["n_rejected"] / (row["n_used"] + row["n_free"] + row["n_rejected"])
        for row in refined.results["panels"]
    ]
    assert max(share) < 0.2  # no panel loses its good spots because it was out of place


def test_a_handful_of_reflections_cannot_move_the_detector_away(rng):
    detector = synthetic.detector("PILATUS 2M", 100.0)
    nominal = synthetic.experiment(
        detector,
        synthetic.crystal((5.42, 8.13, 12.02, 90.0, 90.0, 90.0), " P 2 2"),
        n_images=30,
        width=np.radians(0.1),
        wavelength=0.6889,
    )
    experiments, table = synthetic.observations(
        nominal, nominal, rng, d_min=0.65, n=17, noise=(0.3, 0.3, 0.5)
    )
    refined = run(experiments, table, rejector=Tukey())
    row = refined.results["detectors"][0]
    assert np.linalg.norm(row["shift_mm"]) < 0.5
    assert not refined.trustworthy
    # Spots that are alone on their panels are judged too: quartiles of so few lose one or the other.
    used = refined.results["n_used"]
    assert used >= 14
    assert any(f"{used} reflections are too few" in line for line in refined.warnings)
    assert any("held near the start by weak priors" in line for line in refined.warnings)


def test_everything_held_only_predicts(block_problem):
    _, experiments, table = block_problem
    refined = run(experiments, table, fix_beam=("all",), fix_crystal=("all",), fix_detector=("all",))
    assert refined.results["n_parameters"] == 0
    assert refined.experiments[0].detector is experiments[0].detector
    assert refined.experiments[0].crystal is experiments[0].crystal
    assert refined.results["ended"] == "There are no free parameters"


@pytest.mark.parametrize(
    ("options", "gone"),
    [
        ({"fix_beam": ("all",)}, "Beam"),
        ({"fix_crystal": ("cell",)}, "g_param"),
        ({"fix_crystal": ("orientation",)}, "Phi"),
        ({"fix_detector": ("distance",)}, "Dist"),
        ({"fix_detector": ("orientation",)}, "Tau"),
        ({"fix": ("Tau1",)}, "Tau1"),
    ],
)
def test_what_is_held_is_no_parameter(block_problem, options, gone):
    _, experiments, table = block_problem
    everything = run(experiments, table, rounds=1).results["parameters"]
    names = [row["name"] for row in run(experiments, table, rounds=1, **options).results["parameters"]]
    assert not any(gone in name for name in names)
    assert any(gone in row["name"] for row in everything)


def test_a_misspelt_fix_is_a_usage_error(block_problem):
    _, experiments, table = block_problem
    with pytest.raises(UsageError, match="does not know 'wavelenght'") as caught:
        run(experiments, table, fix_beam=("wavelenght",))
    assert "wavelength" in caught.value.fix


def test_released_gauges_are_invisible_directions(displaced_problem):
    _, experiments, table = displaced_problem
    held = run(experiments, table, weak_priors=False, component=Hierarchical(level=0, priors=False), rounds=1)
    free = run(
        experiments,
        table,
        weak_priors=False,
        component=Hierarchical(level=0, priors=False),
        rounds=1,
        fix_beam=(),
        refine_setting=True,
    )
    assert held.results["smallest_eigenvalue"] > 1e-6
    assert abs(free.results["smallest_eigenvalue"]) < 1e-10
    assert "No data determine" in free.results["verdict"]["text"]
    assert held.trustworthy and not free.trustworthy


def test_flags_and_predictions_of_the_refined_table(displaced_problem):
    _, experiments, table = displaced_problem
    strange = np.arange(table.n_rows) % 50 == 0
    index = np.where(strange[:, None], 0, table["miller_index"])
    refined = run(experiments, table.with_columns({"miller_index": index}), level=1, rejector=Tukey())
    out = refined.reflections
    used, outlier, left = (
        out.flagged(flag)
        for flag in (Flag.USED_IN_REFINEMENT, Flag.CENTROID_OUTLIER, Flag.EXCLUDED_FOR_REFINEMENT)
    )
    assert not (used & outlier).any() and not (left & (used | outlier)).any()
    assert ((used | outlier | left) == ~strange).all()
    assert used.sum() == refined.results["n_used"] and outlier.sum() == refined.results["n_rejected"]
    residual = (out["xyzcal.mm"] - out["xyzobs.mm.value"])[used]
    final = refined.results["steps"][-1]
    # The millimetres of the table follow the last step, too: parallax changes by a few nanometres.
    assert np.sqrt(np.mean(residual[:, 0] ** 2)) == pytest.approx(final["rmsd_x_mm"], rel=1e-6)
    assert np.degrees(np.sqrt(np.mean(residual[:, 2] ** 2))) == pytest.approx(final["rmsd_phi_deg"], rel=1e-9)


def test_summary_is_json_and_text_has_the_tables(displaced_problem):
    _, experiments, table = displaced_problem
    refined = run(experiments, table, level=1, rejector=Tukey())
    again = json.loads(json.dumps(refined.summary(), allow_nan=False))
    assert {"name", "unit", "value", "shift", "esd", "prior_share"} <= set(again["parameters"][0])
    assert len(again["panels"]) == 10 and len(again["parameters"]) == refined.covariance.shape[0]
    text = refined.text()
    for words in (
        "Xc - Xo (mm)",
        "rejected as outliers",
        "Refinement steps",
        "by experiment",
        "by panel",
        "Cell",
    ):
        assert words in text
    assert text.count("\n") < 140


def test_results_do_not_depend_on_the_number_of_threads(displaced_problem):
    _, experiments, table = displaced_problem
    one, two = (run(experiments, table, level=1, n_threads=n).results["parameters"] for n in (1, 2))
    assert one == two


def test_scan_points_of_an_earlier_refinement_are_dropped(block_problem):
    _, experiments, table = block_problem
    crystal = experiments[0].crystal
    points = tuple([tuple(crystal.A.ravel().tolist())] * 201)
    varying = replace(experiments[0], crystal=replace(crystal, scan_points=points))
    refined = run(Experiments((varying,)), table)
    assert refined.experiments[0].crystal.scan_points == ()


def test_what_is_not_indexed_is_refused_in_words(block_problem):
    _, experiments, table = block_problem
    bare = replace(experiments[0], crystal=None)
    with pytest.raises(DataError, match="Only data of indexed crystals"):
        run(Experiments((bare,)), table)

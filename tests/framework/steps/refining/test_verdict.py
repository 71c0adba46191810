"""When a refinement and its panels are believed, and what is said of those that are not."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.solution import Ended
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.telling.believing import believe
from smalti.steps.refining.telling.noise_rows import CUT
from smalti.steps.refining.telling.verdict import verdict
from smalti.steps.simulating.instrument import nominal
from smalti.steps.simulating.options import SimulateOptions
from smalti.testing import synthetic
from smalti.testing.many_crystals import observed_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.tukey import Tukey

PANEL = {
    "detector": 1, "panel": 3, "n_used": 500, "n_free": 100, "n_rejected": 20, "prior_share": 0.1,
    "shift_um": 40.0, "esd_um": 2.0, "rmsd_x_px": 0.1, "rmsd_y_px": 0.1,
    "free_rmsd_x_px": 0.105, "free_rmsd_y_px": 0.105, "half_difference_sigma": 1.2,
}  # fmt: skip


def run(experiments, table, *, level=1, rejector=None, component=None, **options):
    component = component or Hierarchical(level=level)
    return refine(
        experiments, table, component, GaussNewton(), rejector or NoOutliers(), RefineOptions(**options)
    )


def test_a_good_panel_is_believed():
    assert believe(PANEL) == {"moved": True, "believed": True, "why": ""}
    assert not believe(PANEL | {"shift_um": 5.0})["moved"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n_used": 0, "rmsd_x_px": None, "rmsd_y_px": None}, "no reflections"),
        ({"prior_share": 0.7}, "tolerance (70 %)"),
        ({"n_rejected": 700}, "700 of its 1200 reflections"),
        ({"half_difference_sigma": 4.0}, "4.0 ESDs apart"),
        ({"free_rmsd_x_px": 0.2, "free_rmsd_y_px": 0.2}, "100 % worse"),
    ],
)
def test_a_panel_is_doubted_for_a_reason(change, word):
    found = believe(PANEL | change)
    assert found["believed"] is False and word in found["why"]


def test_a_panel_that_moves_by_itself_is_doubted_and_one_that_moves_with_all_is_not():
    row = PANEL | {"scan_ratio": 2.0, "scan_um": 34.0}
    assert "change over the scan by 34 um" in believe(row)["why"]
    assert believe(row, usual=1.1)["believed"] and believe(row | {"scan_ratio": 1.4})["believed"]


def test_few_free_reflections_and_missing_halves_are_no_reason():
    assert believe(PANEL | {"n_free": 12, "free_rmsd_x_px": 0.2, "free_rmsd_y_px": 0.2})["believed"]
    assert believe(PANEL | {"half_difference_sigma": None, "n_free": 0, "free_rmsd_x_px": None})["believed"]


def test_a_panel_without_parameters_is_not_judged():
    found = believe(PANEL | {"prior_share": None})
    assert found["believed"] is None and found["moved"] is None


@pytest.fixture(scope="module")
def good(displaced_problem):
    _, experiments, table = displaced_problem
    return run(experiments, table)


def judged(results, **changes):
    return verdict(dict(results) | changes, Ended.STEP_TOO_SMALL, ())


def test_a_good_refinement_says_how_many_panels_moved_and_are_believed(good):
    found = good.results["verdict"]
    assert found["trustworthy"] and found["n_judged"] == 10 == found["n_believed"]
    moved = [row["shift_um"] > 3.0 * row["esd_um"] for row in good.results["panels"]]
    assert found["n_moved"] == sum(moved) > 5
    assert f"{sum(moved)} of 10 panels moved" in found["text"]
    assert good.results["coverage"]["n_panels_with_data"] == 10
    assert 100.0 < good.results["coverage"]["phi_deg"][0] <= 105.0
    assert 2.1 < good.results["coverage"]["d_min"][0] < 2.3


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"free": {"gap": 0.3, "gap_esd": 0.02, "expected_gap": 0.02}}, "fewer parameters predict better"),
        ({"halves": {"reduced_chi_squared": 9.0}}, "differ by 3.0 times"),
    ],
)
def test_what_validation_shows_forbids_trust(good, changes, word):
    found = judged(good.results, **changes)
    assert not found["trustworthy"] and word in found["text"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"coverage": {"phi_deg": [5.0]}}, "5 degrees of rotation"),
        ({"held": ["beam Mu2"]}, "beam Mu2"),
        (
            {"noise": {"classes": [{"by": "intensity", "class": "weak fifth", "n": 900, "reduced_chi2_x": 3.0,
                                    "reduced_chi2_y": 1.0, "reduced_chi2_phi": 1.0}]}},
            "intensity weak fifth (3.0 in x)",
        ),
    ],
)  # fmt: skip
def test_what_is_worth_knowing_is_noted_and_forbids_nothing(good, changes, word):
    found = judged(good.results, **changes)
    assert found["trustworthy"] and any(word in note for note in found["notes"])


def test_many_bad_experiments_are_told_in_one_sentence(good):
    row = good.results["experiments"][0]
    far = [row | {"experiment": k, "rmsd_x_px": 4.0 + k, "rmsd_y_px": 1.0} for k in range(5)]
    none = [row | {"experiment": k, "n_used": 0, "rmsd_x_px": None, "rmsd_y_px": None} for k in (7, 8)]
    found = judged(good.results, experiments=[*far, row | {"experiment": 6}, *none])
    assert found["reasons"] == [
        "The spots of experiments 0-4 are up to 8.0 and 1.0 px from their predictions; the indexing or the "
        "geometry is wrong.",
        "No reflection of experiments 7-8 could be used.",
    ]


@pytest.mark.parametrize(("of", "chi", "told"), [("whole", 0.4, True), (CUT, 0.4, False), (CUT, 2.5, True)])
def test_misjudged_noise_is_told_unless_it_is_allowed_for(good, of, chi, told):
    row = {"by": "spot", "class": of, "n": 500} | {f"reduced_chi2_{key}": 1.0 for key in ("x", "y", "phi")}
    found = judged(good.results, noise={"classes": [row | {"reduced_chi2_phi": chi}]})
    assert any("misjudged" in note for note in found["notes"]) == told


def test_small_excess_of_free_residuals_is_chance(good):
    assert judged(good.results, free={"gap": 0.3, "gap_esd": 0.2, "expected_gap": 0.02})["trustworthy"]


def test_a_gauge_that_is_released_is_named_and_forbids_trust(block_problem):
    _, experiments, table = block_problem
    result = run(experiments, table, level=0, fix_beam=("in_spindle_plane",))
    assert not result.trustworthy
    assert "scale of all lengths: wavelength with cell" in result.results["verdict"]["text"]
    assert any(mode["null"] and mode["kind"] == "gauge" for mode in result.results["weak_modes"])


@pytest.fixture(scope="module")
def starved_problem():
    """A detector that is out as a whole by 0.3 mm, with five reflections on panel 0 and none on panel 1."""
    rng = np.random.default_rng(31)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    frames = synthetic.displaced(detector, rng, (0.03, 0.03, 0.01), (1e-4, 1e-4, 2e-4)).stacked()
    frames[:, :, 2] += (0.3, -0.2, 0.1)
    truth = replace(nominal, detector=detector.with_panel_frames(frames))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.2, n=4000)
    keep = table["panel"] > 1
    keep[np.flatnonzero(table["panel"] == 0)[:5]] = True
    return truth, experiments, table.where(keep)


def test_without_priors_starved_panels_follow_the_others_and_are_not_believed(starved_problem):
    truth, experiments, table = starved_problem
    result = run(experiments, table, component=Hierarchical(level=1, priors=False), free_fraction=0.0)
    rows = result.results["panels"]
    assert [row["believed"] for row in rows] == [False, False] + [True] * 8
    assert "follows the others" in rows[0]["why"]
    assert result.results["held"] == ["panels 0-1, which follow the others"]
    assert any("panels 0-1" in note for note in result.results["verdict"]["notes"])
    # They went with the rest, and were not left behind by 0.3 mm nor thrown about by five reflections.
    ends, begun = result.experiments[0].detector.stacked(), experiments[0].detector.stacked()
    wanted = truth.detector.stacked()
    for panel in (0, 1):
        left = np.linalg.norm((ends - wanted)[panel] @ (40.0, 15.0, 1.0))
        assert left < 0.15 < np.linalg.norm((begun - wanted)[panel] @ (40.0, 15.0, 1.0))


def test_with_priors_nothing_is_held(starved_problem):
    _, experiments, table = starved_problem
    result = run(experiments, table)
    assert result.results["held"] == []
    assert result.results["panels"][1]["why"].startswith("no reflections")


def test_without_any_prior_few_reflections_hold_what_they_cannot_tell(block_problem):
    _, experiments, table = block_problem
    few = table.take(np.arange(0, table.n_rows, table.n_rows // 40)[:40])
    options = {"weak_priors": False, "free_fraction": 0.0, "noise": "table"}
    result = run(experiments, few, component=Hierarchical(level=0, priors=False), **options)
    held = result.results["held"]
    names = {row["name"] for row in result.results["parameters"]}
    assert len(names) <= 40 / 5 and len(held) == 12 - len(names)
    assert {f"Crystal1Phi{k}" for k in (1, 2, 3)} <= names
    assert any("Tau2" in name for name in held)
    assert any("Held" in note for note in result.results["verdict"]["notes"])


def test_the_text_fits_a_terminal(displaced_problem):
    _, experiments, table = displaced_problem
    text = run(experiments, table, rejector=Tukey()).text()
    assert max(len(line) for line in text.split("\n")) <= 100
    assert "Told worst: " in text and "condition number" in text and "Verdict: trustworthy" in text
    lines = text.split("\n")
    head = next(k for k, line in enumerate(lines) if line.startswith("Panel") and "Moved" in line)
    assert sum(line.endswith((" yes", " no", " ?")) for line in lines[head : head + 13]) == 10


def test_few_stills_are_not_believed_and_more_are(good):
    still = {**good.results["experiments"][0], "still": True}
    few = judged(good.results, experiments=[still] * 4)
    assert not few["trustworthy"]
    assert "4 stills cannot tell cell, distance and panels apart" in few["text"]
    assert judged(good.results, experiments=[still] * 5)["trustworthy"]
    assert judged(good.results, experiments=[still, *good.results["experiments"]])["trustworthy"]


def test_what_is_held_for_stills_is_named():
    options = SimulateOptions(
        output="indexed", layout="PILATUS 300K", distance=100.0, stills=3, spots_per_still=60
    )
    experiments, table = observed_stills(nominal(options).detector, options)
    found = run(experiments, table, level=0).results
    assert found["gauge"] == (
        "held: two tilts of everything with the beam, the scale of lengths (wavelength), the rotation of "
        "everything about the beam (Tau1)"
    )
    assert not found["verdict"]["trustworthy"]

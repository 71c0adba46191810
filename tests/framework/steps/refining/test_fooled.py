"""A refinement is believed only if it is true: ways to fool it, and what the verdict says of each."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.sauter_poon import SauterPoon

PIXEL = 0.172
WRONG_UM = 15.0
"""No panel may be further off; they begin 50 um out, and spots scatter by 17."""
ONE = 4
"""The panel to which things happen."""


@pytest.fixture(scope="module")
def honest():
    """Truth, nominal experiments and 5,000 reflections of 10 displaced modules."""
    rng = np.random.default_rng(3)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=250)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.05, 0.05, 0.02)))
    return truth, *synthetic.observations(truth, nominal, rng, d_min=2.3, n=5000)


def run(experiments, table, level=1):
    options = RefineOptions()
    return refine(experiments, table, Hierarchical(level=level), LevenbergMarquardt(), SauterPoon(), options)


def pushed(table, by_mm):
    """Move observed centroids by (N, 2) mm."""
    mm, px = np.array(table["xyzobs.mm.value"]), np.array(table["xyzobs.px.value"])
    mm[:, :2] += by_mm
    px[:, :2] += np.asarray(by_mm) / PIXEL
    return table.with_columns({"xyzobs.mm.value": mm, "xyzobs.px.value": px})


def over_scan(table):
    """How far the scan has gone at each spot, 0 to 1."""
    angle = table["xyzobs.mm.value"][:, 2]
    return (angle - angle.min()) / np.ptp(angle)


def along_fast(sizes):
    return np.column_stack([sizes, np.zeros(len(sizes))])


def with_indices(table, indices):
    return table.with_columns({"miller_index": indices.astype(table["miller_index"].dtype)})


def doubts(refined):
    return " ".join(refined.results["verdict"]["reasons"])


def notes(refined):
    return " ".join(refined.results["verdict"]["notes"])


def test_honest_data_are_believed_and_their_panels_are_true(honest, errors_um):
    truth, experiments, table = honest
    refined = run(experiments, table)
    assert refined.trustworthy and refined.results["verdict"]["n_believed"] == 10
    assert (
        refined.results["other_indices"]["misfit"] > 5.0 * refined.results["other_indices"]["misfit_as_given"]
    )
    assert errors_um(truth.detector, refined.experiments[0].detector)[0].max() < WRONG_UM


@pytest.mark.parametrize("jumps", [False, True], ids=["drift", "jump"])
def test_a_detector_that_moves_during_the_scan_is_not_believed(honest, jumps):
    _, experiments, table = honest
    gone = over_scan(table)
    refined = run(experiments, pushed(table, along_fast(0.15 * ((gone > 0.5) if jumps else gone))))
    scan = refined.results["systematics"]["scan"]
    # Evenly from 0 to a the standard deviation is a / sqrt(12), of a jump a / 2.
    assert scan["um"] == pytest.approx(150.0 / (2.0 if jumps else np.sqrt(12.0)), rel=0.1)
    assert "change over the scan" in doubts(refined) and "scan-varying" in doubts(refined)


def test_a_small_drift_is_told_and_believed(honest):
    _, experiments, table = honest
    refined = run(experiments, pushed(table, along_fast(0.05 * over_scan(table))))
    assert refined.trustworthy and "change over the scan by 1" in notes(refined)


def test_a_panel_that_moves_by_itself_is_the_only_one_not_believed(honest):
    _, experiments, table = honest
    moves = 0.1 * (over_scan(table) > 0.5) * (table["panel"] == ONE)
    refined = run(experiments, pushed(table, along_fast(moves)))
    assert [row["panel"] for row in refined.results["panels"] if not row["believed"]] == [ONE]
    row = refined.results["panels"][ONE]
    assert row["scan_um"] == pytest.approx(50.0, rel=0.15) and "over the scan by" in row["why"]


def test_a_bent_panel_is_named_and_bent_panels_are_told(honest):
    _, experiments, table = honest
    across = 2.0 * table["xyzobs.mm.value"][:, 0] / (487 * PIXEL) - 1.0
    bend = np.column_stack([np.zeros(table.n_rows), 0.2 * across**2])
    single = run(experiments, pushed(table, bend * (table["panel"] == ONE)[:, None]))
    assert single.trustworthy and f"Within panel {ONE} residuals" in notes(single)
    everywhere = run(experiments, pushed(table, bend))
    assert "Within panels residuals change from place to place" in notes(everywhere)
    # 0.2 (x^2 - 1/3) over (-1, 1) has a standard deviation of 0.2 sqrt(4/45); shifts and turns take none.
    assert everywhere.results["systematics"]["face"]["um"] == pytest.approx(200.0 * np.sqrt(4 / 45), rel=0.6)
    assert everywhere.results["systematics"]["scan"]["ratio"] < 0.2


@pytest.mark.parametrize("offset", [(1, 0, 0), (0, 1, 0), (0, 0, -1)])
@pytest.mark.parametrize("n_images", [40, 250])
def test_indices_off_by_one_are_found_and_named(honest, offset, n_images):
    _, experiments, table = honest
    table = table.where(table["xyzobs.px.value"][:, 2] < n_images)
    table = table.take(np.arange(0, table.n_rows, n_images // 40))
    refined = run(experiments, with_indices(table, table["miller_index"] + np.array(offset)), level=0)
    back = " ".join(str(-number) for number in offset)
    assert f"With ({back}) added to all indices the reflections fit better" in doubts(refined)


def test_indices_of_the_other_hand_or_of_swapped_axes_are_not_believed(honest):
    _, experiments, table = honest
    table = table.take(np.arange(0, table.n_rows, 8))
    for indices in (-table["miller_index"], table["miller_index"][:, [1, 0, 2]]):
        try:
            assert not run(experiments, with_indices(table, indices), level=0).trustworthy
        except DataError as error:
            assert "ran away" in str(error)


def test_the_axis_the_other_way_round_is_not_believed(honest):
    _, experiments, table = honest
    table = table.take(np.arange(0, table.n_rows, 8))
    goniometer = experiments[0].goniometer
    turned = replace(goniometer, rotation_axis=tuple(-x for x in goniometer.rotation_axis))
    try:
        assert not run(Experiments((replace(experiments[0], goniometer=turned),)), table, level=0).trustworthy
    except DataError as error:
        assert "ran away" in str(error)


def test_swapped_panels_are_not_believed(honest):
    _, experiments, table = honest
    panel = np.array(table["panel"])
    panel[table["panel"] == 4], panel[table["panel"] == 5] = 5, 4
    refined = run(experiments, table.with_columns({"panel": panel}))
    assert "2 panels moved further than half of their width (4-5)" in doubts(refined)
    assert [row["panel"] for row in refined.results["panels"] if not row["believed"]] == [4, 5]
    assert "further than half of its width" in refined.results["panels"][4]["why"]


@pytest.mark.parametrize("part", [1.0, 0.6])
def test_a_displaced_panel_is_not_hidden_by_the_rejection_of_its_spots(honest, errors_um, part):
    """By 2 mm, all of its spots or six in ten: it is found there, or it is not believed."""
    truth, experiments, table = honest
    rng = np.random.default_rng(8)
    there = (table["panel"] == ONE) & (rng.random(table.n_rows) < part)
    refined = run(experiments, pushed(table, along_fast(2.0 * there)))
    row = refined.results["panels"][ONE]
    if row["believed"]:
        fast = truth.detector.stacked()[ONE, :, 0]
        moved = truth.detector.stacked()
        moved[ONE, :, 2] -= 2.0 * fast
        moved = truth.detector.with_panel_frames(moved)
        assert errors_um(moved, refined.experiments[0].detector)[0][ONE] < 10.0
    else:
        assert row["n_rejected"] > 0.3 * row["n_used"]


def test_spots_of_ice_do_not_spoil_anything(honest, errors_um):
    """One spot in twelve is anywhere within five pixels."""
    truth, experiments, table = honest
    rng = np.random.default_rng(9)
    ice = rng.random(table.n_rows) < 1 / 12
    refined = run(experiments, pushed(table, ice[:, None] * rng.uniform(-0.9, 0.9, (table.n_rows, 2))))
    assert refined.trustworthy
    assert errors_um(truth.detector, refined.experiments[0].detector)[0].max() < WRONG_UM


@pytest.mark.parametrize(
    "change",
    [
        lambda e: replace(e, beam=replace(e.beam, wavelength=1.05 * e.beam.wavelength)),
        lambda e: replace(e, detector=e.detector.moved({(): (np.eye(3), np.array([0.0, 0.0, -10.0]))})),
        lambda e: replace(e, detector=e.detector.moved({(): (np.eye(3), np.array([3 * PIXEL, 0.0, 0.0]))})),
    ],
    ids=["wavelength", "distance", "beam centre"],
)
def test_a_wrong_start_ends_in_a_true_detector(honest, errors_um, change):
    """Wavelength 5 % off, which only the cell knows of; 10 mm too far; a beam centre 3 px off."""
    truth, experiments, table = honest
    refined = run(Experiments((change(experiments[0]),)), table)
    assert refined.trustworthy
    detector = refined.experiments[0].detector
    assert errors_um(truth.detector, detector)[0].max() < WRONG_UM
    centre = detector.stacked()[:, :, 2].mean(axis=0) - truth.detector.stacked()[:, :, 2].mean(axis=0)
    assert np.abs(centre).max() < 0.05


def test_doubled_rows_make_nothing_more_certain(honest):
    _, experiments, table = honest
    rng = np.random.default_rng(10)
    rows = np.concatenate([np.arange(table.n_rows), np.flatnonzero(rng.random(table.n_rows) < 0.5)])
    once, twice = run(experiments, table), run(experiments, table.take(rows))
    assert twice.results["n_used"] == once.results["n_used"]
    esds = [[row["esd"] for row in item.results["parameters"]] for item in (once, twice)]
    np.testing.assert_allclose(esds[1], esds[0], rtol=1e-6)

"""What comes out where crystals vary over their scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.superposition import panel_motions
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey

from .drifting import GROWTH, IMAGES, TURN, drifting_problem, run


@pytest.fixture(scope="module")
def drifting():
    return drifting_problem()


def test_a_drifting_crystal_is_recovered_within_its_noise():
    _, experiments, table = drifting_problem(displaced=False)
    found = run(
        experiments, table, Hierarchical(), scan_varying="all", scan_interval=20.0,
        fix_beam=("all",), fix_detector=("orientation",),
    )  # fmt: skip
    last = found.results["steps"][-1]
    assert last["rmsd_x_mm"] == pytest.approx(0.1 * 0.172, rel=0.03)
    assert last["rmsd_y_mm"] == pytest.approx(0.1 * 0.172, rel=0.03)
    assert last["rmsd_phi_deg"] == pytest.approx(0.1 * 0.35, rel=0.03)
    scan = found.results["crystals"][0]["scan"]
    share = np.array(scan["angle_deg"]) / (IMAGES * 0.35)
    cell = np.outer(1.0 + GROWTH * share, synthetic.THAUMATIN)
    pull = (np.array(scan["cell"]) - cell)[:, [0, 2]] / np.array(scan["cell_esd"])[:, [0, 2]]
    assert (np.abs(pull) < 4.0).all() and np.sqrt(np.mean(pull**2)) < 2.0
    assert scan["cell_range"][0] == pytest.approx(GROWTH * synthetic.THAUMATIN[0], rel=0.1)
    turns = np.array(scan["turn_mrad"])
    expected = 1e3 * (share[:, None] - share.mean()) * TURN
    assert np.abs(turns - turns.mean(axis=0) - expected).max() < 0.15
    assert scan["turn_range_mrad"] == pytest.approx(1e3 * np.linalg.norm(TURN), rel=0.05)


def test_panels_are_found_though_the_crystal_drifts():
    truth, experiments, table = drifting_problem()
    sizes = np.array([panel.size_mm for panel in truth.detector.panels])

    def off(result):
        moved = panel_motions(truth.detector.stacked(), result.experiments[0].detector.stacked(), sizes)
        return 1e3 * np.hypot(*moved.shift[:, :2].T).max(), result.results["steps"][-1]["rmsd_x_mm"]

    stays, varies = (
        off(run(experiments, table, scan_varying=what, scan_interval=20.0)) for what in ("off", "all")
    )
    assert varies[0] < 5.0  # um
    assert varies[1] < 0.8 * stays[1]
    _, other, data = drifting_problem(turn=(0.0, 0.0, 0.0), growth=0.0)
    assert varies[0] < 1.5 * off(run(other, data))[0] + 1.0


def test_the_number_of_samples_follows_the_reflections():
    _, experiments, table = drifting_problem(2000, displaced=False)
    moving = run(experiments, table, Hierarchical(), scan_varying="all", scan_interval=0.0)
    assert moving.results["crystals"][0]["scan"]["n_samples"] >= 3
    choice = moving.results["scan_choice"]
    assert choice["candidates"][0]["name"] == "no variation" and len(choice["candidates"]) > 3
    assert "what varies over the scan" in moving.text()
    _, experiments, table = drifting_problem(2000, displaced=False, turn=(0.0, 0.0, 0.0), growth=0.0)
    still = run(experiments, table, Hierarchical(), scan_varying="all", scan_interval=0.0)
    assert still.results["scan_choice"]["chosen"] == "no variation"
    assert still.results["crystals"][0]["scan"] is None
    assert still.experiments[0].crystal.scan_points == ()


def test_a_scan_that_runs_backwards_gives_the_same(drifting):
    truth, experiments, table = drifting
    scan = experiments[0].scan
    begin, end = scan.angle_range
    width = scan.oscillation[1]
    mirrored = replace(scan, oscillation=(end, -width))
    value = np.array(table["xyzobs.px.value"])
    value[:, 2] = scan.n_images - value[:, 2]
    backwards = Experiments((replace(experiments[0], scan=mirrored),))
    one = run(experiments, table, scan_varying="all")
    two = run(backwards, table.with_columns({"xyzobs.px.value": value}), scan_varying="all")
    a, b = (np.array(x.experiments[0].crystal.scan_points) for x in (one, two))
    np.testing.assert_allclose(a, b[::-1], atol=1e-8)


def test_released_gauges_are_invisible_with_samples_too(drifting):
    _, experiments, table = drifting
    some = table.take(np.arange(0, table.n_rows, 2))
    released = run(experiments, some, Hierarchical(), scan_varying="all", fix_beam=(), rounds=2)
    null = {row["name"] for row in released.results["weak_modes"] if row["null"]}
    assert null == {"rotation of everything about the spindle", "scale of all lengths: wavelength with cell"}
    (scale,) = (row for row in released.results["weak_modes"] if row["name"].startswith("scale"))
    assert any(name.startswith("Crystal1g_param_0_sample") for name in scale["parameters"])
    assert not released.trustworthy
    held = run(experiments, some, Hierarchical(), scan_varying="all", rounds=2)
    assert not any(row["null"] for row in held.results["weak_modes"])
    assert "paths of crystals" in held.results["gauge"]


def test_wrong_indices_are_found_where_the_crystal_has_gone_far():
    turn = 10.0 * TURN  # as far as a few spots are apart from their neighbours' noise
    _, experiments, table = drifting_problem(2000, displaced=False, turn=turn)
    wrong = np.arange(0, table.n_rows, 40)
    index = np.array(table["miller_index"])
    index[wrong, 2] += 1
    found = refine(
        experiments, table.with_columns({"miller_index": index}), Hierarchical(), GaussNewton(), Tukey(),
        RefineOptions(scan_varying="all", scan_interval=20.0, halves="off"),
    )  # fmt: skip
    told = found.reflections["mislabelled"]
    assert told[wrong].mean() > 0.8
    assert np.delete(told, wrong).sum() <= 2


def test_a_gap_without_reflections_is_bridged_and_its_samples_are_less_sure(drifting):
    _, experiments, table = drifting
    angle = np.degrees(table["xyzobs.mm.value"][:, 2])
    gapped = table.where((angle < 35.0) | (angle > 75.0))
    found = run(experiments, gapped, scan_varying="all", scan_interval=10.0)
    rows = {row["name"]: row for row in found.results["parameters"]}
    esd = np.array([rows[f"Crystal1Phi1_sample{k}"]["esd"] for k in range(12)])
    value = np.array([rows[f"Crystal1Phi1_sample{k}"]["value"] for k in range(12)])
    inside = slice(5, 7)  # at 47 and 58 deg
    assert esd[inside].min() > 3.0 * np.median(esd[[1, 2, 3, 8, 9, 10]])
    assert (np.abs(np.diff(value)) < 1.0).all()
    assert np.isfinite(esd).all() and found.results["ended"]
    share = [row["prior_share"] for name, row in rows.items() if "_sample" in name]
    follow = sum(value > 0.5 for value in share)
    notes = [note for note in found.results["verdict"]["notes"] if "follow their neighbours" in note]
    assert (len(notes) == 1) == (follow > 0)
    assert not any("_sample" in note or "at 47" in note for note in found.results["verdict"]["notes"])

"""The report: its numbers against independent ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.framework.steps.reporting.displaced import stages

from smalti.errors import DataError
from smalti.geometry.rotation import rotation
from smalti.models import Experiments
from smalti.steps.reporting import make_report
from smalti.steps.reporting.moved import compare
from smalti.tables import Flag
from smalti.testing import synthetic

UM, MDEG = 1e3, 1e3 * 180.0 / np.pi


def residuals(table):
    difference = table["xyzcal.mm"] - table["xyzobs.mm.value"]
    difference[:, 2] = (difference[:, 2] + np.pi) % (2 * np.pi) - np.pi
    return difference * (UM, UM, MDEG)


def test_overall_rmsds_are_those_of_the_reflections_used(compared):
    before, (_, table), report = compared
    used = table.flagged(Flag.USED_IN_REFINEMENT)
    expected = np.sqrt((residuals(table)[used] ** 2).mean(axis=0))
    assert report.data["rmsd"]["after"]["um"] == pytest.approx(expected, rel=1e-3)
    assert report.data["rmsd"]["after"]["px"][:2] == pytest.approx(expected[:2] / 172.0, rel=1e-3)
    assert report.data["rmsd"]["after"]["px"][2] == pytest.approx(expected[2] / 350.0, rel=1e-3)
    # Before is judged on the same reflections.
    earlier = np.sqrt((residuals(before[1])[used] ** 2).mean(axis=0))
    assert report.data["rmsd"]["before"]["um"] == pytest.approx(earlier, rel=1e-3)
    assert report.data["rmsd"]["before"]["n"] == used.sum()


def test_every_panel_has_its_row_with_its_own_figures(compared):
    _, (_, table), report = compared
    used, values = table.flagged(Flag.USED_IN_REFINEMENT), residuals(table)
    assert [row["panel"] for row in report.data["panels"]] == list(range(60))
    for row in report.data["panels"]:
        mine = table["panel"] == row["panel"]
        assert row["used"] == (mine & used).sum()
        assert row["rejected"] == (mine & ~used).sum()
        if row["used"]:
            assert row["mean"] == pytest.approx(values[mine & used].mean(axis=0), rel=1e-3, abs=1e-6)
            assert row["rmsd"] == pytest.approx(np.sqrt((values[mine & used] ** 2).mean(axis=0)), rel=1e-3)
    assert report.data["panels"][17]["note"] == "no reflections"
    assert report.data["panels"][17]["rmsd"] == [None, None, None]
    assert report.data["totals"]["panels_without"] == sum(r["used"] == 0 for r in report.data["panels"])


def test_cells_add_up_and_lie_on_their_panels(compared):
    _, _, report = compared
    face = report.data["map"]
    counts = next(layer for layer in face["layers"] if layer["key"] == "count")["after"]
    by_panel = np.bincount(face["panel_of_cell"], counts, minlength=60)
    assert by_panel.tolist() == [row["used"] for row in report.data["panels"]]
    assert len(counts) == sum(p["grid"][0] * p["grid"][1] for p in face["panels"]) <= 1400
    left, top, right, bottom = face["bounds"]
    # The frame of a Pilatus 6M, in millimetres, as its images show it: panel 4 is at the upper right.
    assert (right - left, bottom - top) == pytest.approx((2463 * 0.172, 2527 * 0.172), abs=0.5)
    assert face["panels"][0]["matrix"][0][2] == pytest.approx(left, abs=0.5)
    assert face["panels"][4]["matrix"][0][2] > face["panels"][0]["matrix"][0][2] + 300
    assert face["panels"][55]["matrix"][1][2] > face["panels"][0]["matrix"][1][2] + 300


def test_vectors_on_the_map_point_where_the_panel_is_wrong():
    before, _ = stages(n=20_000)
    report = make_report(*before)
    values, panel = residuals(before[1]), before[1]["panel"]
    mean = values[panel == 32].mean(axis=0)
    cells = np.flatnonzero(np.array(report.data["map"]["panel_of_cell"]) == 32)
    vectors = np.array([report.data["map"]["vectors"]["after"][k] for k in cells], dtype=float)
    # fast is to the right and slow downwards in the image, hence also on the map.
    assert np.nanmean(vectors, axis=0) == pytest.approx(mean[:2], abs=3.0)


def test_displacements_are_those_made_beyond_a_common_motion(compared):
    nominal = synthetic.detector("PILATUS 6M", 250.0)
    moved = synthetic.displaced(nominal, np.random.default_rng(5))
    centre = np.array([0.0, 0.0, -250.0])
    R = rotation((0.2, 1.0, 0.4), 2e-3)
    whole = moved.moved({(): (R, centre - R @ centre + np.array([0.3, -0.2, 1.5]))})
    alone, together = compare(nominal, moved), compare(nominal, whole)
    assert together.shift == pytest.approx(alone.shift, abs=1e-6)
    assert together.turn == pytest.approx(alone.turn, abs=1e-8)
    assert np.linalg.norm(together.whole_shift - alone.whole_shift) == pytest.approx(
        UM * np.linalg.norm([0.3, -0.2, 1.5]), rel=0.05
    )
    assert np.abs(compare(nominal, nominal).shift).max() < 1e-9
    assert compare(nominal, synthetic.detector("PILATUS 2M")) is None
    data = compared[2].data
    assert data["median_moved_um"] == pytest.approx(60.0, rel=0.4)


def test_histograms_and_images_count_every_reflection_once(compared):
    _, (_, table), report = compared
    images = report.data["images"]
    assert sum(images["used"]) == report.data["totals"]["used"]
    assert sum(images["rejected"]) == report.data["totals"]["rejected"]
    assert sum(images["unindexed"]) == 0
    for histogram in report.data["histograms"]:
        assert 0.99 * report.data["totals"]["used"] <= sum(histogram["used"]) <= report.data["totals"]["used"]
    assert (
        sum(report.data["angle"]["n"]) == sum(report.data["resolution"]["n"]) == report.data["totals"]["used"]
    )
    # Bins hold whole images (0.35 degrees), or they would beat with them.
    steps = np.diff(report.data["angle"]["angle_deg"]) / 0.35
    assert steps == pytest.approx(np.full(len(steps), round(steps[0])), abs=0.01)
    d = report.data["resolution"]["d"]
    assert d == sorted(d, reverse=True)
    assert 1.5 < d[-1] < d[0] < 30


def test_the_verdict_before_and_after(compared):
    before, _, report = compared
    assert report.data["verdict"]["level"] == "good"
    assert "dials.import multi_panel=True reference_geometry" in report.text()
    assert report.data["systematic"]["after"]["um"] < 3.0
    first = make_report(*before, names=("a.expt", "a.refl"))
    assert first.data["systematic"]["after"]["um"] == pytest.approx(50.0, rel=0.5)
    assert first.data["verdict"]["level"] == "doubtful"
    assert "smalti refine a.expt a.refl --level 1" in first.text()


def test_a_wrong_distance_is_called_wrong():
    before, _ = stages(n=300)
    experiment = before[0][0]
    wrong = replace(experiment, detector=experiment.detector.moved({(): (np.eye(3), np.array([0, 0, -8.0]))}))
    report = make_report(Experiments((wrong,)), before[1].without("xyzcal.mm", "xyzcal.px"))
    assert report.data["verdict"]["level"] == "bad"
    assert "--level 0" in report.data["verdict"]["next"][0]["command"]
    assert "predictions" in report.warnings[0]


@pytest.mark.parametrize("n", [300, 20_000])
def test_the_size_does_not_follow_the_number_of_reflections(n):
    before, after = stages(n=n)
    report = make_report(*after, before=before)
    assert len(report.html.encode()) < 700_000


def test_many_experiments_are_summarised():
    _, (experiments, table) = stages(n=20_000)
    many = Experiments(tuple(replace(experiments[0], identifier=str(k)) for k in range(300)))
    ids = np.arange(table.n_rows, dtype=np.int32) % 300
    report = make_report(many, table.with_columns({"id": ids}))
    assert report.data["totals"]["experiments"] == 300
    # All of it in the JSON; distributions and the worst on the page.
    assert [row["experiment"] for row in report.data["experiments"]] == list(range(300))
    assert sum(row["used"] for row in report.data["experiments"]) == report.data["totals"]["used"]
    summary = report.data["experiments_summary"]
    assert summary["n"] == 300 and summary["stills"] == 0 and len(summary["worst"]) == 24
    rmsd = [np.hypot(*row["rmsd"][:2]) for row in report.data["experiments"]]
    assert set(summary["worst"]) == set(np.argsort(rmsd)[-24:].tolist())
    used = next(item for item in summary["distributions"] if item["key"] == "used")
    assert sum(used["counts"]) == 300
    assert used["five"][2] == np.median([row["used"] for row in report.data["experiments"]])
    assert "300 experiments, from the least to the greatest" in report.html
    assert "Against order of experiments" in report.html
    assert len(report.html.encode()) < 700_000


@pytest.mark.parametrize(("name", "modules", "panels"), [("PILATUS 2M", True, 24), ("PILATUS 2M", False, 1)])
def test_other_detectors(name, modules, panels):
    before, after = stages(name, n=1500, modules=modules)
    report = make_report(*after, before=before)
    assert len(report.data["panels"]) == panels
    assert report.data["map"]["kind"] == "flat"


def test_a_single_panel_can_be_compared_with_modules():
    before, _ = stages("PILATUS 2M", n=1500, modules=False)
    _, after = stages("PILATUS 2M", n=1500)
    report = make_report(*after, before=before)
    assert report.data["rmsd"]["before"] is not None
    assert "before" not in report.data["map"]["vectors"]
    assert any("number of panels" in warning for warning in report.warnings)


def test_what_cannot_be_reported_is_refused():
    (experiments, table), _ = stages(n=300)
    with pytest.raises(DataError, match="no reflection is indexed"):
        make_report(experiments, table.without("miller_index"))
    with pytest.raises(DataError, match="no reflection is indexed"):
        make_report(experiments, table.with_columns({"id": np.full(table.n_rows, -1, dtype=np.int32)}))
    with pytest.raises(DataError, match="do not belong together"):
        make_report(experiments, table.with_columns({"id": np.full(table.n_rows, 3, dtype=np.int32)}))
    with pytest.raises(DataError, match="do not belong together"):
        make_report(experiments, table.with_columns({"panel": np.full(table.n_rows, 99, dtype=np.uint64)}))
    with pytest.raises(DataError, match="no experiment"):
        make_report(Experiments(), table)


@pytest.mark.data
@pytest.mark.parametrize(
    ("folder", "kind", "panels"),
    [("i23_24_panels", "unrolled", 24), ("cspad_300", "flat", 64), ("narrow_wedges", "flat", 1),
     ("centroid_indexed", "flat", 1), ("i04_weak", "flat", 1), ("four_sweeps_indexed", "flat", 1)],
)  # fmt: skip
def test_real_tables(data, folder, kind, panels):
    from smalti.storage.experiments import read_experiments
    from smalti.storage.reflections import read_reflections

    place = data / "tables" / folder
    report = make_report(read_experiments(place / "data.expt"), read_reflections(place / "data.refl"))
    assert report.data["map"]["kind"] == kind
    assert len(report.data["panels"]) == panels
    assert len(report.html.encode()) < 1_000_000

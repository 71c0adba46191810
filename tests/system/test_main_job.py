"""The main job on simulated images: every step, the whole, resumed and compared with the truth."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from smalti.geometry.superposition import panel_motions
from smalti.steps.demonstrating import compare_detectors
from smalti.storage import (
    read_covariances,
    read_experiments,
    read_history,
    read_reflections,
    write_reflections,
)
from smalti.tables import Flag

FILES = (
    "imported.expt", "strong.refl", "indexed.expt", "indexed.refl", "refined_0.expt", "refined_0.refl",
    "refined_1.expt", "refined_1.refl", "refined_0.covariance.h5", "refined_1.covariance.h5",
    "report.html", "report.json", "calibration.json", "calibrate.log",
)  # fmt: skip


def test_the_panels_are_found(images, calibrated):
    truth = read_experiments(images / "truth.expt")[0].detector
    nominal, found = (
        read_experiments(calibrated / f"{name}.expt")[0].detector for name in ("imported", "refined_1")
    )
    table = read_reflections(calibrated / "refined_1.refl")
    used = table["panel"][table.flagged(Flag.USED_IN_REFINEMENT)].astype(int)
    comparison = compare_detectors(truth, found, nominal, np.bincount(used, minlength=len(truth)))
    assert comparison.ratio < 0.1


def test_panels_are_off_by_what_their_saved_covariances_say(images, calibrated):
    """From images: centroids, edges of panels, outliers and all."""
    truth, nominal = (
        read_experiments(path)[0].detector for path in (images / "truth.expt", calibrated / "refined_0.expt")
    )
    saved = read_covariances(calibrated / "refined_1.covariance.h5")
    assert [record["command"] for record in saved.history].count("refine") == 2
    rows = json.loads((calibrated / "refined_1.json").read_text())["panels"]
    use = np.array([row["n_used"] > 0 for row in rows])
    size = np.array([panel.size_mm for panel in truth.panels])
    wanted = panel_motions(nominal.stacked(), truth.stacked(), size, use)
    errors = saved.relative.values - np.concatenate([wanted.shift, wanted.turn], axis=1)
    esds = np.sqrt(np.diag(saved.relative.covariance)).reshape(-1, 6)
    # 60 pulls, correlated within a panel.
    assert 0.6 < np.sqrt(np.mean((errors[use] / esds[use]) ** 2)) < 1.4
    assert np.abs(errors[use] / esds[use]).max() < 5.0


def test_the_screen_says_what_moved_and_what_to_hand_on(calibrated):
    screen = (calibrated / "screen.txt").read_text()
    assert len(screen.splitlines()) < 45
    assert "10 of 10 panels moved" in screen
    assert re.search(r"Believable: (yes|no)", screen)
    assert "P 43 21 2" in screen
    assert f"Hand on: {calibrated / 'refined_1.expt'}" in screen
    assert str(calibrated / "report.html") in screen
    for name in FILES:
        assert (calibrated / name).is_file(), name


def test_step_by_step_gives_the_same(smalti, images, calibrated):
    """The steps of calibrate are the commands: bit for bit, but for identifiers and times."""
    steps = (
        ("import", str(images / "small_*.cbf"), "-o", "imported.expt"),
        ("find-spots", "imported.expt", "-o", "strong.refl"),
        ("index", "strong.refl", "imported.expt", "--space-group", "P43212", "-o", "indexed"),
        ("refine", "indexed.expt", "indexed.refl", "--level", "0", "-o", "refined_0"),
        ("refine", "refined_0.refl", "refined_0.expt", "detector.level=1", "-o", "refined_1"),
    )
    for step in steps:
        result = smalti(*step)
        assert result.status == 0, result.err
    mine, theirs = (read_experiments(Path(folder) / "refined_1.expt")[0] for folder in (".", calibrated))
    np.testing.assert_array_equal(mine.detector.stacked(), theirs.detector.stacked())
    assert mine.crystal == theirs.crystal


def test_every_output_carries_its_history(calibrated):
    commands = [record["command"] for record in read_history(calibrated / "refined_1.refl")]
    assert commands == ["import", "find-spots", "index", "refine", "refine"]
    last = read_history(calibrated / "refined_1.expt")[-1]
    assert last["changed"] == {"hierarchical": {"level": "1"}}
    assert last["argv"][:2] == ["smalti", "refine"]
    assert {Path(item["path"]).name for item in last["inputs"]} == {"refined_0.expt", "refined_0.refl"}
    assert all(len(item["sha256"]) == 64 for item in last["inputs"])


def test_results_and_pages_carry_it_too(smalti, calibrated):
    chain = ["import", "find-spots", "index", "refine", "refine"]
    for name, last in (
        ("report.html", "report"),
        ("report.json", "report"),
        ("calibration.json", "calibrate"),
    ):
        assert [record["command"] for record in read_history(calibrated / name)] == [*chain, last]
        assert smalti("history", calibrated / name).status == 0


def test_a_report_never_replaces_the_result_that_it_tells_of(smalti, work, calibrated):
    shutil.copy(calibrated / "refined_1.json", work)
    result = smalti("report", "refined_1.expt", "refined_1.refl", "-o", "refined_1")
    result.refused(2, "refined_1.json", "-o NAME")
    assert (work / "refined_1.json").read_bytes() == (calibrated / "refined_1.json").read_bytes()


def test_what_can_hold_no_history(smalti, images):
    Path("letter.txt").write_text("Dear all")
    smalti("history", "letter.txt").refused(3, "letter.txt", ".expt")
    smalti("history", images).refused(3, "folder")


def test_history_is_told(smalti, calibrated):
    result = smalti("history", calibrated / "refined_1.expt")
    assert result.status == 0
    assert result.out.count("smalti refine ") >= 2
    told = json.loads(smalti("history", calibrated / "refined_1.json", "--json").out)
    (records,) = told["result"]["files"].values()
    assert [record["command"] for record in records][0] == "import"


def test_resuming_runs_only_what_changed(smalti, images, calibrated, tmp_path):
    shutil.copytree(calibrated, tmp_path / "c")
    call = ("calibrate", images / "small_*.cbf", "--space-group", "P43212", "-o", "c", "--resume")

    def skipped(*words):
        result = smalti(*call, *words)
        assert result.status == 0, result.err
        return json.loads(Path("c/calibration.json").read_text())["skipped"]

    everything = ["import", "find-spots", "index", "refined_0", "refined_1", "report"]
    assert skipped() == everything
    assert skipped("hierarchical.in_plane=0.3") == ["import", "find-spots", "index"]
    Path("c/indexed.refl").write_bytes(b"spoilt")
    # The table made again carries a new record in its history: what stands on it is run again too.
    assert skipped("hierarchical.in_plane=0.3") == everything[:2]
    assert "finished before" in Path("c/calibrate.log").read_text()


def test_every_minimiser_ends_at_the_same_detector(smalti, work):
    table = read_reflections("refined_0.refl")
    write_reflections("part.refl", table.take(np.arange(0, table.n_rows, 5)))
    found = []
    for minimiser in ("gauss-newton", "levenberg_marquardt", "scipy_least_squares"):
        call = ("refine", "refined_0.expt", "part.refl", "--level", "1", "refine.rounds=1")
        result = smalti(*call, "--minimiser", minimiser, "-o", minimiser, "--json")
        assert result.status == 0, result.err
        found.append(read_experiments(f"{minimiser}.expt")[0].detector.stacked())
    for one, other in zip(found, found[1:], strict=False):
        np.testing.assert_allclose(one[:, :, 2], other[:, :, 2], atol=1e-3)


def test_json_of_every_step(smalti, work):
    calls = (
        ("show", "indexed.expt", "indexed.refl"),
        ("refine", "indexed.expt", "indexed.refl", "-o", "own"),
        ("report", "refined_1.expt", "refined_1.refl", "--before", "indexed.expt", "indexed.refl"),
        ("panels", "indexed.expt", "indexed.refl", "--panels", "single", "-o", "one"),
        ("plugins",),
        ("params", "refine", "search", "spindle"),
    )
    for call in calls:
        result = smalti(*call, "--json")
        told = json.loads(result.out)
        assert told["command"] == call[0]
        assert told["status"] == result.status == 0, result.err
        assert all(Path(name).is_file() for name in told["outputs"])
        assert told["result"]


def test_four_files_are_before_and_after(smalti, work):
    call = ("report", "refined_0.expt", "refined_0.refl", "refined_1.expt", "refined_1.refl", "-o")
    assert smalti(*call, "four.html").status == 0
    named = (
        "report",
        "refined_1.refl",
        "refined_1.expt",
        "--before",
        "refined_0.expt",
        "refined_0.refl",
        "-o",
    )
    assert smalti(*named, "named.html").status == 0
    four, told = (json.loads(Path(name).read_text()) for name in ("four.json", "named.json"))
    assert four["rmsd"] == told["rmsd"]
    assert four["rmsd"]["before"] is not None


def test_tables_as_hdf5(smalti, work):
    assert smalti("refine", "indexed.expt", "indexed.refl", "-o", "own.h5").status == 0
    assert Path("own.h5").read_bytes()[:4] == b"\x89HDF"
    assert smalti("show", "own.expt", "own.h5").status == 0


def test_panels_there_and_back(smalti, work):
    assert smalti("panels", "imported.expt", "strong.refl", "--panels", "single", "-o", "one").status == 0
    assert len(read_experiments("one.expt")[0].detector) == 1
    assert smalti("panels", "one.refl", "one.expt", "--panels", "modules", "-o", "ten").status == 0
    was, now = (read_experiments(name)[0].detector.stacked() for name in ("imported.expt", "ten.expt"))
    np.testing.assert_allclose(now, was, atol=1e-9)
    was, now = (read_reflections(name)["xyzobs.px.value"] for name in ("strong.refl", "ten.refl"))
    np.testing.assert_allclose(now, was, atol=1e-9)


def test_a_parameter_file_and_its_template(smalti, work):
    written = smalti("params", "refine", "--template").out
    Path("mine.toml").write_text(written.replace("#close_to_spindle = 0.0", "close_to_spindle = 0.05"))
    result = smalti(
        "refine", "indexed.expt", "indexed.refl", "--params", "mine.toml", "--show-params=changed"
    )
    assert result.out.strip().splitlines() == ["[refine]", "close_to_spindle = 0.05"]
    assert not Path("refined.expt").exists()
    told = json.loads(smalti("refine", "--show-params", "--json", "close=0.05").out)
    assert told["result"]["parameters"]["refine"]["close_to_spindle"] == 0.05
    assert told["result"]["parameters"]["hierarchical"]["level"] == 0


def test_simulated_files_carry_their_history(images):
    for name in ("truth.expt", "truth.refl", "truth.json"):
        (record,) = read_history(images / name)
        assert record["command"] == "simulate"
        assert record["changed"]["simulate"]["layout"] == "PILATUS 1M"


def test_the_demo_in_small(smalti, monkeypatch):
    """The command itself, on a data set of a moment."""
    from smalti.cli.commands import demo

    small = replace(
        demo.QUICK_DEMO, layout="PILATUS 1M", distance=170.0, n_images=15, d_min=2.4,
        unit_cell=(78.0, 78.0, 37.0, 90.0, 90.0, 90.0), space_group="P 43 21 2",
    )  # fmt: skip
    monkeypatch.setattr(demo, "QUICK_DEMO", small)
    result = smalti("demo", "--quick", "-o", "demo")
    assert result.status == 0, result.err
    assert "Against the truth, 10 of 10 panels" in result.out
    assert "The report: demo/report.html" in result.out
    told = json.loads(Path("demo/comparison.json").read_text())
    assert told["passed"] and told["ratio"] < 0.2
    assert read_history("demo/data/truth.expt")[0]["changed"]["simulate"]["n_images"] == 15
    commands = [record["command"] for record in read_history("demo/comparison.json")]
    assert commands[-2:] == ["calibrate", "demo"]
    smalti("demo", "--quick", "-o", "demo").refused(2, "--force")

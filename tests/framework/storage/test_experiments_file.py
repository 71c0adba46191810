"""Experiment lists: the files of DIALS round-trip, and every fault names its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from smalti.errors import DataError
from smalti.models import Crystal, Experiments, Goniometer, Scan
from smalti.storage import read_experiments, write_experiments
from smalti.testing import synthetic
from smalti.units import radians

from .documents import again, differences, document, write

TABLES = (
    "centroid_indexed cspad_300 four_sweeps_indexed four_sweeps_spots_1 i04_weak i23_24_panels "
    "l_cysteine_20 lpe4_spots narrow_wedges"
).split()


@pytest.mark.data
@pytest.mark.parametrize("name", TABLES)
def test_files_of_dials_round_trip(data: Path, tmp_path: Path, name: str) -> None:
    """Nothing is lost or changed but the last digit of angles that were written as 160.26000000000002."""
    path = data / "tables" / name / "data.expt"
    write_experiments(tmp_path / "out.expt", read_experiments(path))
    before, after = json.loads(path.read_text()), json.loads((tmp_path / "out.expt").read_text())
    assert differences(before, after) == []
    assert list(before) == list(after)


def test_small_document_round_trips(tmp_path: Path) -> None:
    before, after = document(), again(tmp_path, document())
    tree = before["detector"][0]["hierarchy"]
    written = after["detector"][0]["hierarchy"]
    assert {key: written[key] for key in tree} == tree
    after["detector"][0]["hierarchy"] = tree  # a group is written with the further keys DIALS gives it
    assert differences(before, after) == []


def test_shared_models_are_one_object_and_order_follows_the_tree(tmp_path: Path) -> None:
    experiments = read_experiments(write(tmp_path, document()))
    first, second = experiments
    assert first.beam is second.beam
    assert first.detector is second.detector
    assert first.scan is not second.scan
    assert first.detector.root.children == (1, 0)
    assert first.detector.panels[1].name == "Q"
    assert first.scan is not None
    assert first.scan.oscillation == (0.0, radians(0.15))


def test_unknown_keys_pass_through_at_every_level(tmp_path: Path) -> None:
    content = document()
    content["ours"] = {"a": [1, 2]}
    content["experiment"][0]["ours"] = 1
    for kind in ("imageset", "beam", "detector", "goniometer", "scan", "crystal"):
        content[kind][0]["ours"] = [kind]
    content["detector"][0]["panels"][0]["ours"] = "panel"
    content["detector"][0]["panels"][0]["px_mm_strategy"]["ours"] = "strategy"
    content["detector"][0]["hierarchy"]["ours"] = "group"
    content["detector"][0]["hierarchy"]["children"][1]["ours"] = "leaf"
    content["profile"] = [{"__id__": "gaussian_rs", "n_sigma": 3, "sigma_b": 0.02, "sigma_m": 0.1}]
    content["experiment"][0]["profile"] = 0
    content["scaling_model"] = [{"__id__": "physical", "is_scaled": True}]
    content["experiment"][1]["scaling_model"] = 0
    after = again(tmp_path, content)
    tree = after["detector"][0]["hierarchy"]
    after["detector"][0]["hierarchy"] = {key: tree[key] for key in content["detector"][0]["hierarchy"]}
    assert differences(content, after) == []


def test_old_files(tmp_path: Path) -> None:
    """No setting rotation, no tree, ImageSweep, one exposure for all, thickness with the strategy."""
    content = document()
    del content["goniometer"][0]["setting_rotation"]
    del content["detector"][0]["hierarchy"]
    content["imageset"][0]["__id__"] = "ImageSweep"
    content["scan"][0]["exposure_time"] = 0.5
    content["scan"][0]["epochs"] = []
    panel = content["detector"][0]["panels"][0]
    panel["px_mm_strategy"] |= {"mu": 5.0, "t0": 0.7}
    del panel["mu"], panel["mask"], panel["gain"]
    experiments = read_experiments(write(tmp_path, content))
    item = experiments[0]
    assert item.goniometer is not None and item.scan is not None and item.imageset is not None
    assert item.goniometer.setting_rotation == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert item.detector.root.children == (0, 1)
    assert item.imageset.extra["__id__"] == "ImageSweep"
    assert item.scan.exposure_times == (0.5, 0.5, 0.5) and item.scan.epochs == ()
    assert (item.detector.panels[0].mu, item.detector.panels[0].thickness) == (5.0, 0.7)


def test_newer_files(tmp_path: Path) -> None:
    """A table of scan properties, and a beam of many wavelengths."""
    content = document()
    scan = content["scan"][0]
    for key in ("oscillation", "exposure_time", "epochs"):
        del scan[key]
    scan["properties"] = {"oscillation": [10.0, 10.2, 10.4], "epochs": [1.0, 2.0, 3.0]}
    content["beam"][0] |= {"__id__": "polychromatic", "wavelength_range": [0.9, 1.1], "probe": "x-ray"}
    del content["beam"][0]["wavelength"]
    experiments = read_experiments(write(tmp_path, content))
    item = experiments[0]
    assert item.scan is not None
    assert item.scan.oscillation == pytest.approx((radians(10.0), radians(0.2)), abs=1e-14)
    assert item.beam.wavelength == pytest.approx(1.0)
    after = again(tmp_path, content)
    assert after["beam"] == content["beam"]
    assert after["scan"][0]["oscillation"] == [10.0, 0.2]
    assert after["scan"][0]["epochs"] == [1.0, 2.0, 3.0]


def test_further_scan_properties_keep_the_newer_form(tmp_path: Path) -> None:
    content = document()
    content["scan"][0] = {
        "image_range": [4, 4], "batch_offset": 0, "valid_image_ranges": {},
        "properties": {"oscillation": [1.5], "oscillation_width": [0.25], "time_of_flight": [7.0]},
    }  # fmt: skip
    assert again(tmp_path, content)["scan"][0] == content["scan"][0]


def test_chain_of_axes(tmp_path: Path) -> None:
    content = document()
    chain = {
        "axes": [[1, 0, 0], [0, 0.7, 0.714], [1, 0, 0]], "angles": [10.3, -45.1, 0.0],
        "names": ["PHI", "KAPPA", "OMEGA"], "scan_axis": 1,
    }  # fmt: skip
    content["goniometer"] = [chain]
    item = read_experiments(write(tmp_path, content))[0]
    assert item.goniometer is not None
    assert item.goniometer.rotation_axis == (0, 0.7, 0.714)
    assert item.goniometer.F == pytest.approx(
        Goniometer.multi_axis(((1.0, 0.0, 0.0),) * 2, (radians(10.3), 0.0), ("a", "b"), 1).F
    )
    assert again(tmp_path, content)["goniometer"] == [chain]


def test_chain_whose_rotation_was_changed_is_written_as_one_axis(tmp_path: Path) -> None:
    goniometer = Goniometer.multi_axis(((1.0, 0.0, 0.0),), (0.3,), ("OMEGA",), 0)
    turned = replace(goniometer, rotation_axis=(0.0, 1.0, 0.0))
    item = replace(synthetic.experiment(synthetic.detector("PILATUS 300K")), goniometer=turned)
    write_experiments(tmp_path / "out.expt", Experiments((item,)))
    assert read_experiments(tmp_path / "out.expt")[0].goniometer == replace(
        turned, axes=(), angles=(), names=(), scan_axis=0
    )


def test_varying_crystal(tmp_path: Path) -> None:
    content = document()
    content["crystal"][0]["A_at_scan_points"] = [[k, 0, 0, 0, 1, 0, 0, 0, 1] for k in range(1, 5)]
    item = read_experiments(write(tmp_path, content))[0]
    assert item.crystal is not None
    assert [point[0] for point in item.crystal.scan_points] == [1, 2, 3, 4]
    assert again(tmp_path, content)["crystal"] == content["crystal"]


def test_models_made_by_smalti_come_back_equal(tmp_path: Path) -> None:
    made = replace(synthetic.experiment(synthetic.detector("PILATUS 300K")), crystal=synthetic.crystal())
    write_experiments(tmp_path / "out.expt", Experiments((made, made)))
    first, second = read_experiments(tmp_path / "out.expt")
    assert first.beam == made.beam
    assert first.detector.panels == made.detector.panels
    assert first.crystal is not None and made.crystal is not None
    assert first.crystal.real_space == made.crystal.real_space
    assert first.scan is not None and made.scan is not None
    assert first.scan.oscillation == pytest.approx(made.scan.oscillation, abs=1e-15)
    assert first.crystal is second.crystal


def test_existing_images_are_found_from_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a_002.cbf").touch()
    first, second = read_experiments(write(tmp_path, document()))
    assert first.imageset is not None and second.imageset is not None
    assert first.imageset.template == str(tmp_path / "a_###.cbf")
    assert second.imageset.template == "b_###.cbf"


def test_not_finite_models_are_not_written(tmp_path: Path) -> None:
    made = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    broken = Crystal(((float("nan"), 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)))
    with pytest.raises(DataError, match="not finite"):
        write_experiments(tmp_path / "out.expt", Experiments((replace(made, crystal=broken),)))
    assert list(tmp_path.iterdir()) == []


def test_still_without_scan_or_goniometer(tmp_path: Path) -> None:
    content = document()
    for kind in ("scan", "goniometer"):
        for item in content["experiment"]:
            del item[kind]
        content[kind] = []
    item = read_experiments(write(tmp_path, content))[0]
    assert item.is_still and item.scan is None
    assert again(tmp_path, content)["experiment"] == content["experiment"]


def test_scan_angles_survive_degrees(tmp_path: Path) -> None:
    made = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    for width in (0.15, 0.1, 0.05, 1 / 3):
        scan = Scan((1, 5), (radians(204.5), radians(width)))
        write_experiments(tmp_path / "out.expt", Experiments((replace(made, scan=scan),)))
        written = json.loads((tmp_path / "out.expt").read_text())["scan"][0]["oscillation"]
        assert written == [204.5, round(width, 12)]

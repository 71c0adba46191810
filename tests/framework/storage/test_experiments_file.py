"""Experiment lists: the files of DIALS round-trip, and every fault names its place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import DataError, InputError
from smalti.models import Crystal, Experiment, Experiments, Goniometer, Scan
from smalti.storage import read_experiments, write_experiments
from smalti.testing import synthetic
from smalti.units import radians

TABLES = (
    "centroid_indexed cspad_300 four_sweeps_indexed four_sweeps_spots_1 i04_weak i23_24_panels "
    "l_cysteine_20 lpe4_spots narrow_wedges"
).split()


def document() -> dict[str, Any]:
    """A small experiment list with two experiments that share beam and detector."""
    panel = {
        "name": "P", "type": "SENSOR_PAD", "fast_axis": [1, 0, 0], "slow_axis": [0, -1, 0],
        "origin": [-10, 10, -100], "raw_image_offset": [3, 4], "image_size": [100, 120],
        "pixel_size": [0.1, 0.1], "trusted_range": [0, 60000], "thickness": 0.3, "material": "Si",
        "mu": 3.9, "identifier": "", "mask": [[0, 1, 2, 3]], "gain": 1, "pedestal": 0,
        "px_mm_strategy": {"type": "ParallaxCorrectedPxMmStrategy"},
    }  # fmt: skip
    identity = [1, 0, 0, 0, 1, 0, 0, 0, 1]
    tree = {"name": "root", "type": "", "fast_axis": [1, 0, 0], "slow_axis": [0, 1, 0], "origin": [0, 0, 0]}
    crystal = {
        "__id__": "crystal", "real_space_a": [30, 0, 0], "real_space_b": [0, 40, 0],
        "real_space_c": [0, 0, 50], "space_group_hall_symbol": " P 2 2", "mosaicity": 0.1,
    }  # fmt: skip
    content = {
        "__id__": "ExperimentList",
        "experiment": [
            {"__id__": "Experiment", "identifier": name, "beam": 0, "detector": 0, "goniometer": 0,
             "scan": k, "crystal": 0, "imageset": k}
            for k, name in enumerate("ab")
        ],
        "imageset": [
            {"__id__": "ImageSequence", "template": f"{name}_###.cbf", "mask": None, "gain": None,
             "pedestal": None, "dx": None, "dy": None, "params": {"multi_panel": False}}
            for name in "ab"
        ],
        "beam": [{"direction": [0, 0, 1], "wavelength": 0.9795, "divergence": 0, "sigma_divergence": 0,
                  "polarization_normal": [0, 1, 0], "polarization_fraction": 0.999, "flux": 0,
                  "transmission": 1}],
        "detector": [{"panels": [panel, {**panel, "name": "Q", "origin": [5, 10, -100]}],
                      "hierarchy": {**tree, "children": [{"panel": 1}, {"panel": 0}]}}],
        "goniometer": [{"rotation_axis": [1, 0, 0], "fixed_rotation": identity,
                        "setting_rotation": identity}],
        "scan": [
            {"image_range": [1, 3], "batch_offset": 0, "oscillation": [start, 0.15],
             "exposure_time": [0.1] * 3, "epochs": [0.0] * 3, "valid_image_ranges": {}}
            for start in (0.0, 90.0)
        ],
        "crystal": [crystal],
        "profile": [],
        "scaling_model": [],
    }  # fmt: skip
    unshared: dict[str, Any] = json.loads(json.dumps(content))
    return unshared


def write(folder: Path, content: Any) -> Path:
    path = folder / "in.expt"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def again(folder: Path, content: Any) -> dict[str, Any]:
    """Read a document and give what is written of it."""
    write_experiments(folder / "out.expt", read_experiments(write(folder, content)))
    written: dict[str, Any] = json.loads((folder / "out.expt").read_text())
    return written


def differences(one: Any, other: Any, path: str = "") -> list[str]:
    """List the paths at which two JSON values differ; numbers may differ by rounding in degrees."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = [*one, *(key for key in other if key not in one)]
        return [
            line
            for key in keys
            for line in (
                differences(one[key], other[key], f"{path}.{key}")
                if key in one and key in other
                else [f"{path}.{key} missing"]
            )
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{path}[{k}]")]
    if one == other:
        return []
    rounded = ".oscillation" in path or ".angles" in path
    if rounded and isinstance(one, float) and abs(one - other) < 1e-12 * max(abs(one), 1.0):
        return []
    return [f"{path}: {one!r} became {other!r}"]


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


def edited(path: str, value: Any) -> dict[str, Any]:
    """The small document with one value replaced; ``...`` removes it."""
    content = document()
    *way, last = path.replace("[", ".").replace("]", "").split(".")
    at: Any = content
    for step in way:
        at = at[int(step)] if step.isdigit() else at[step]
    key: Any = int(last) if last.isdigit() else last
    if value is ...:
        del at[key]
    else:
        at[key] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("detector[0].panels[1].fast_axis", [1, 0], "detector[0].panels[1].fast_axis: a list of 3"),
        ("detector[0].panels[1].fast_axis[2]", "x", "detector[0].panels[1].fast_axis[2]: a number"),
        ("detector[0].panels[0].fast_axis", [2, 0, 0], "detector[0].panels[0].fast_axis: a unit vector"),
        ("detector[0].panels[0].slow_axis", [1, 0, 0], "detector[0].panels[0].slow_axis: fast_axis and"),
        ("detector[0].panels[0].origin", ..., "detector[0].panels[0]: there is no 'origin'"),
        ("detector[0].panels[0].pixel_size", [0.1, 0], "detector[0].panels[0].pixel_size: the size"),
        ("detector[0].panels[0].image_size", [1.5, 3], "detector[0].panels[0].image_size[0]: a whole"),
        ("detector[0].hierarchy.children[0].panel", 7, "hierarchy.children[0].panel: there is no panel 7"),
        ("detector[0].hierarchy.children[0].panel", 0, "children[1].panel: panel 0 hangs in the tree twice"),
        ("detector[0].hierarchy.children", [{"panel": 0}], "detector[0].hierarchy: panel 1 of 2"),
        ("detector[0].panels", [], "detector[0].panels: a detector has"),
        ("beam[0].wavelength", float("nan"), "beam[0].wavelength: NaN"),
        ("beam[0].flux", float("-inf"), "beam[0].flux: -Infinity"),
        ("beam[0].wavelength", -1, "beam[0].wavelength: a wavelength is greater"),
        ("beam[0].wavelength", True, "beam[0].wavelength: a number is needed, not true"),
        ("beam[0].wavelength", 10**400, "beam[0].wavelength: a finite number"),
        ("beam[0]", [], "beam[0]: an object is needed, not a list of 0"),
        ("beam", {}, "beam: a list is needed"),
        ("experiment[1].scan", 2, "experiment[1].scan: there is no scan 2; the file has 2"),
        ("experiment[1].scan", -1, "experiment[1].scan: there is no scan -1"),
        ("experiment[1].detector", ..., "experiment[1]: there is no 'detector'"),
        ("experiment", ..., "top level: there is no 'experiment'"),
        ("scan[1].image_range", [5, 1], "scan[1].image_range: the last image, 1, is before"),
        ("scan[1].epochs", [0.0], "scan[1].epochs: a list of 3 is needed"),
        ("goniometer[0].rotation_axis", [0, 0, 0], "goniometer[0].rotation_axis: an axis"),
        ("crystal[0].real_space_c", [30, 40, 0], "crystal[0]: real_space_a, b and c lie in a plane"),
        ("crystal[0].A_at_scan_points", [[1] * 9], "experiment[0]: the crystal has 1 scan points"),
        ("imageset[0].images", [3], "imageset[0].images[0]: a text"),
    ],
)
def test_fault_names_file_and_place(tmp_path: Path, path: str, value: Any, place: str) -> None:
    with pytest.raises(InputError) as caught:
        read_experiments(write(tmp_path, edited(path, value)))
    assert "in.expt" in caught.value.what
    assert place in caught.value.why
    assert caught.value.fix


def test_truncated_file_names_line_and_column(tmp_path: Path) -> None:
    text = json.dumps(document(), indent=1)
    with pytest.raises(InputError, match=r"Line \d+, column \d+"):
        read_experiments(write(tmp_path, text[: len(text) // 2]))


def test_tree_of_any_depth_is_no_traceback(tmp_path: Path) -> None:
    content = document()
    node = content["detector"][0]["hierarchy"]
    for _ in range(200):
        node = {**node, "children": [node]}
    content["detector"][0]["hierarchy"] = node
    with pytest.raises(InputError, match="deeper than 32"):
        read_experiments(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("[" * 100_000, "not a JSON text file"),
        ('[{"__id__": "DataBlock"}]', "DataBlock"),
        ('{"a": 1}', "an object with a"),
        ("3", "a single value"),
    ],
)
def test_other_files_are_refused_in_words(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_experiments(write(tmp_path, content))


def test_missing_file_suggests_a_name(tmp_path: Path) -> None:
    (tmp_path / "refined.expt").touch()
    with pytest.raises(InputError, match="Did you mean 'refined.expt'"):
        read_experiments(tmp_path / "refind.expt")
    with pytest.raises(InputError, match="no folder"):
        read_experiments(tmp_path / "nowhere" / "refined.expt")


def test_binary_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "in.expt").write_bytes(b"\x93\xbb\xff\x00")
    with pytest.raises(InputError, match="not a JSON text file"):
        read_experiments(tmp_path / "in.expt")
    with pytest.raises(InputError, match="is a reflection table"):
        read_experiments(tmp_path / "in.refl")


TEXT = json.dumps(document())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cut=st.integers(0, len(TEXT)),
    place=st.integers(0, len(TEXT) - 1),
    junk=st.binary(max_size=4),
    truncate=st.booleans(),
)
def test_damaged_bytes_give_a_result_or_words(
    tmp_path: Path, cut: int, place: int, junk: bytes, truncate: bool
) -> None:
    whole = TEXT.encode()
    damaged = whole[:cut] if truncate else whole[:place] + junk + whole[place + len(junk) :]
    path = tmp_path / "fuzz.expt"
    path.write_bytes(damaged)
    try:
        experiments = read_experiments(path)
    except InputError as error:
        assert "fuzz.expt" in error.what
    else:
        assert all(isinstance(item, Experiment) for item in experiments)


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

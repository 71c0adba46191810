"""Files of experiments with faults are refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import InputError
from smalti.models import Experiment
from smalti.storage import read_experiments

from .documents import document, write


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

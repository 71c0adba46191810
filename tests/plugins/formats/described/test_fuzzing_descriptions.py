"""Mutated descriptions of detectors: each is understood, or refused with a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest

from smalti.errors import InputError
from smalti_plugins.formats.described._building import header_of
from smalti_plugins.formats.described._description import read_description

from .fuzzing_descriptions import GRID, WORDS, run


def test_mutations_end_well(tmp_path: Path) -> None:
    ends = run(1500, 2, tmp_path)
    assert set(ends) == {"read", "refused"} and min(ends.values()) > 100


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("distance = 120.0", "distance = inf", "finite"),
        ("two_theta = 5.0", "two_theta = nan", "finite"),
        ("beam_centre = [20.0, 11.0]", "beam_centre = [1e300, 0.0]", "less than or equal"),
        ('start = "omega"', 'start = "big"', "which makes inf deg"),
        ("size = [60, 44]", "size = [600000, 44]", "less than or equal to 65536"),
    ],
)
def test_numbers_that_no_detector_has_are_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "detector.toml"
    path.write_text(GRID.replace(old, new))
    with pytest.raises(InputError, match=words):
        header_of(read_description(path), WORDS, "frame 1")

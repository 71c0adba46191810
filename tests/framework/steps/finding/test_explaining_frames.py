"""The images behind the strong pixels of one frame, as they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.steps.finding import FindOptions
from smalti.steps.finding.explaining import explain_frame, write_explanation
from smalti_plugins.spots.dispersion_extended import DispersionExtended
from smalti_plugins.spots.radial_profile import RadialProfile

from .frames_on_disk import ArrayReader, spotty, sweep


def test_one_frame_is_explained(rng: np.random.Generator, tmp_path: Path) -> None:
    truth = np.array([[20.0, 30.0, 1.5], [90.0, 60.0, 2.5]])
    frames = spotty(rng, 4, truth)
    frames[1, 5, 5] = 60_000  # above the trusted range
    experiments = Experiments((sweep(tmp_path / "images", frames),))
    told = explain_frame(experiments, 2, [ArrayReader()], DispersionExtended(), FindOptions())
    np.testing.assert_array_equal(told.images["counts"], frames[1])
    assert not told.images["usable"][5, 5]
    assert not told.images["usable"][:, 60].any()
    expected = DispersionExtended().find(frames[1], told.images["usable"])
    np.testing.assert_array_equal(np.flatnonzero(told.images["strong"]), expected)
    paths = write_explanation(told, tmp_path / "strong")
    assert paths[0].name == "strong_00002_explained.npz"
    with np.load(paths[0]) as saved:
        np.testing.assert_array_equal(saved["strong"], told.images["strong"])
    assert {path.name for path in paths[1:]} >= {"strong_00002_dispersion.png", "strong_00002_strong.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths[1:])
    assert f"{expected.size} pixels  strong" in told.text()


def test_what_cannot_be_explained_is_told(rng: np.random.Generator, tmp_path: Path) -> None:
    experiments = Experiments((sweep(tmp_path, spotty(rng, 3, np.empty((0, 3)))),))
    with pytest.raises(UsageError, match=r"no image 4.\nThe experiments have images 1 to 3"):
        explain_frame(experiments, 4, [ArrayReader()], DispersionExtended(), FindOptions())
    with pytest.raises(UsageError, match="'radial_profile' does not tell"):
        explain_frame(experiments, 1, [ArrayReader()], RadialProfile(), FindOptions())

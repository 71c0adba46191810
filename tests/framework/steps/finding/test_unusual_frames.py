"""Images that cannot be used, readers and finders that break, counts of any type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import DataError, InputError, PluginError
from smalti.models import Experiments
from smalti.steps.finding import FindOptions, find_spots

from .frames_on_disk import ArrayReader, ArraySeries, assert_same, find, places, spotty, sweep

READERS = [ArrayReader()]


def test_a_broken_image_stops_or_is_skipped(rng: np.random.Generator, tmp_path: Path) -> None:
    experiments = Experiments((sweep(tmp_path, spotty(rng, 10, places(rng, 10))),))
    (tmp_path / "frame_005.npy").write_bytes(b"\x93NUMPY but not much of it")
    with pytest.raises(InputError, match="frame_005.npy"):
        find(experiments, jobs=2)
    found = find(experiments, on_bad_image="skip")
    assert len(found.refused) == 1
    assert "frame_005.npy" in found.refused[0]
    assert "1 image not used" in found.warnings[0]
    assert found.n_images == 9
    assert found.images[0].strong[4] == -1
    # Nothing is linked across the gap.
    box = found.reflections["bbox"]
    assert not np.any((box[:, 4] < 4) & (box[:, 5] > 5))


def test_an_image_of_another_size_is_named(rng: np.random.Generator, tmp_path: Path) -> None:
    experiments = Experiments((sweep(tmp_path, spotty(rng, 4, places(rng, 8))),))
    np.save(tmp_path / "frame_002.npy", np.zeros((10, 20), dtype=np.int32))
    with pytest.raises(DataError, match=r"frame_002.npy\)\.\nIt has 20 x 10 pixels"):
        find(experiments)


def test_an_image_full_of_strong_pixels_is_refused(rng: np.random.Generator, tmp_path: Path) -> None:
    frames = spotty(rng, 6, places(rng, 6))
    frames[3] = 40 * rng.poisson(3.0, frames[3].shape)  # a gain of 40 that nobody told the finder
    experiments = Experiments((sweep(tmp_path, frames),))
    with pytest.raises(DataError, match=r"frame_004.npy[\s\S]*strong[\s\S]*mask[\s\S]*gain"):
        find(experiments)
    found = find(experiments, on_bad_image="skip")
    assert "frame_004.npy" in found.refused[0]
    assert found.images[0].strong[3] == -1


@dataclass(frozen=True)
class Broken:
    """A finder of a third party, with a fault."""

    name: ClassVar[str] = "broken"
    answer: tuple[int, ...] = ()

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        if not self.answer:
            raise ZeroDivisionError("oops")
        return np.array(self.answer)


@pytest.mark.parametrize("answer", [(5, 3), (-1, 4), (3, 3), (0, 120 * 90)])
def test_a_finder_that_breaks_its_contract_is_named(tmp_path: Path, answer: tuple[int, ...]) -> None:
    experiments = Experiments((sweep(tmp_path, np.zeros((2, 90, 120), dtype=np.int32)),))
    with pytest.raises(PluginError, match="'broken' did not give ascending"):
        find_spots(experiments, READERS, Broken(answer), FindOptions())
    with pytest.raises(PluginError, match=r"'broken' failed on experiment 0, image 1[\s\S]*oops"):
        find_spots(experiments, READERS, Broken(), FindOptions())


def test_a_finder_that_marks_what_may_not_be_used_is_named(tmp_path: Path) -> None:
    frames = np.zeros((2, 90, 120), dtype=np.int32)
    frames[:, 0, 3] = -1
    with pytest.raises(PluginError, match=r"'broken' marked pixels[\s\S]*1 of 2 on image 1"):
        find_spots(Experiments((sweep(tmp_path, frames),)), READERS, Broken((3, 7)), FindOptions())


def test_a_reader_that_breaks_is_told_and_may_be_skipped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ArraySeries, "read", lambda self, index: 1 // 0)
    experiments = Experiments((sweep(tmp_path, np.zeros((2, 90, 120), dtype=np.int32)),))
    with pytest.raises(PluginError, match=r"broke on image 1[\s\S]*ZeroDivisionError"):
        find(experiments)
    with pytest.raises(DataError, match="None of 2 images could be used"):
        find(experiments, on_bad_image="skip")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.uint32, np.int64])
def test_any_type_of_integer_counts(rng: np.random.Generator, tmp_path: Path, dtype: type) -> None:
    frames = np.minimum(spotty(rng, 4, places(rng, 6), photons=300.0), 120)
    expected = find(Experiments((sweep(tmp_path / "int32", frames),))).reflections
    other = find(Experiments((sweep(tmp_path / "other", frames.astype(dtype)),))).reflections
    assert_same(expected, other)


def test_values_beyond_32_bits_are_out_of_range_not_wrapped(rng: np.random.Generator, tmp_path: Path) -> None:
    frames = spotty(rng, 4, places(rng, 6))
    frames[:, 5, 5] = -1  # masked by the trusted range
    expected = find(Experiments((sweep(tmp_path / "int32", frames),))).reflections
    large = frames.astype(np.uint32)
    large[:, 5, 5] = 2**32 - 1  # how some detectors mark bad pixels
    other = find(Experiments((sweep(tmp_path / "uint32", large),))).reflections
    assert_same(expected, other)

"""Masks of a series and of a frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import Experiment, ImageSet
from smalti.steps.importing import open_series
from smalti.steps.masking import MASK, fitting_mask, frame_mask, valid
from smalti.steps.panelling import to_single
from smalti.testing.synthetic import experiment

from .importing.fake_reader import DETECTOR, OTHER, FakeReader, write


def make(tmp_path: Path) -> Experiment:
    image = write(tmp_path / "a_1.fake", 0.0)
    return replace(experiment(DETECTOR, n_images=1), imageset=ImageSet(images=(str(image),)))


def mask_of(item: Experiment) -> np.ndarray:
    assert item.imageset is not None
    return frame_mask(item, open_series(item.imageset, [FakeReader()]))


def test_gaps_and_the_reader_s_bad_pixels_are_left_out(tmp_path: Path) -> None:
    item = make(tmp_path)
    expected = np.ones((407, 487), dtype=bool)
    expected[195:212] = False
    expected[0, 0] = False
    np.testing.assert_array_equal(mask_of(item), expected)
    single = replace(item, detector=to_single(DETECTOR).coarse)
    np.testing.assert_array_equal(mask_of(single), expected)


def test_untrusted_rectangles_and_a_mask_file(tmp_path: Path) -> None:
    item = make(tmp_path)
    panel = replace(DETECTOR.panels[1], mask=((10, 20, 13, 24),))
    good = np.ones((407, 487), dtype=np.uint8)
    good[300, 400] = 0
    np.save(tmp_path / "mask.npy", good)
    assert item.imageset is not None
    item = replace(
        item,
        detector=replace(DETECTOR, panels=(DETECTOR.panels[0], panel)),
        imageset=replace(item.imageset, mask=str(tmp_path / "mask.npy")),
    )
    mask = mask_of(item)
    assert not mask[232:236, 10:13].any() and mask[232:236, 13].all() and mask[236, 10]
    assert not mask[300, 400] and mask.sum() == 390 * 487 - 1 - 12 - 1


def test_the_mask_of_an_import_is_among_the_parameters_of_the_images(tmp_path: Path) -> None:
    item = make(tmp_path)
    assert item.imageset is not None
    good = np.ones((407, 487), dtype=bool)
    good[300:310, 400:420] = False
    np.save(tmp_path / "mine.npy", good)
    path = fitting_mask(tmp_path / "mine.npy", (487, 407))
    masked = replace(item, imageset=replace(item.imageset, params={MASK: str(path)}))
    np.testing.assert_array_equal(mask_of(masked), mask_of(item) & good)
    with pytest.raises(InputError, match="does not fit"):
        fitting_mask(path, (487, 408))
    with pytest.raises(InputError, match="no mask file"):
        fitting_mask(tmp_path / "none.npy", (487, 407))


def test_mistakes_are_told(tmp_path: Path) -> None:
    item = make(tmp_path)
    assert item.imageset is not None
    for name, words in (
        ("none.npy", "There is no mask"),
        ("text.npy", "cannot be read"),
        ("small.npy", "fit"),
    ):
        (tmp_path / "text.npy").write_text("hello")
        np.save(tmp_path / "small.npy", np.ones((3, 3)))
        bad = replace(item, imageset=replace(item.imageset, mask=str(tmp_path / name)))
        with pytest.raises(InputError, match=words):
            mask_of(bad)
    write(tmp_path / "a_1.fake", 0.0, place="other")
    assert len(OTHER) < len(DETECTOR)
    with pytest.raises(InputError, match="does not fit"):
        mask_of(item)


def test_the_trusted_range_holds_for_each_panel(tmp_path: Path) -> None:
    first, second = (replace(panel, trusted_range=(0.0, 100.0)) for panel in DETECTOR.panels)
    item = replace(make(tmp_path), detector=replace(DETECTOR, panels=(first, second)))
    counts = np.zeros((407, 487), dtype=np.int32)
    counts[5, 5:9] = (-1, 0, 100, 101)
    counts[300, 5:9] = (-1, 0, 100, 101)
    mask = np.ones_like(counts, dtype=bool)
    mask[5, 6] = False
    good = valid(counts, mask, item)
    assert good[5, 5:9].tolist() == [False, False, True, False]
    assert good[300, 5:9].tolist() == [False, True, True, False]
    wide = replace(second, trusted_range=(-1.0, 200.0))
    good = valid(counts, mask, replace(item, detector=replace(DETECTOR, panels=(first, wide))))
    assert good[5, 5:9].tolist() == [False, False, True, False]
    assert good[300, 5:9].tolist() == [True, True, True, True]

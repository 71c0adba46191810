"""The trusted range against comparisons written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti_ext.trusted import Area, all_trusted, mark_trusted

LIMITS = np.iinfo(np.int32)
RANGES = [(0.0, 50.0), (-1.5, 7.25), (0.0, math.inf), (-math.inf, 3.0), (5.0, 5.0), (9.0, 2.0), (-1e12, 1e12)]


def plainly(counts: NDArray[np.int32], good: NDArray[np.bool_], area: Area) -> NDArray[np.bool_]:
    x, y, width, height, low, high = area
    out = np.zeros_like(good)
    part = np.s_[y : y + height, x : x + width]
    out[part] = good[part] & (counts[part] >= low) & (counts[part] <= high)
    return out


@pytest.mark.parametrize("trusted", RANGES, ids=str)
def test_equals_comparisons(rng: np.random.Generator, trusted: tuple[float, float]) -> None:
    counts = rng.integers(-5, 60, (37, 83)).astype(np.int32)
    counts.ravel()[rng.integers(0, counts.size, 300)] = rng.choice([LIMITS.min, LIMITS.max, 7, 8, -2], 300)
    good = rng.random(counts.shape) > 0.2
    area = (11, 5, 51, 30, *trusted)
    out = np.zeros_like(good)
    mark_trusted(counts, good, [area], out)
    np.testing.assert_array_equal(out, plainly(counts, good, area))


def test_areas_have_ranges_of_their_own(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 60, (20, 40)).astype(np.int32)
    good = np.ones(counts.shape, dtype=bool)
    left, right = (0, 0, 18, 20, 0.0, 30.0), (22, 4, 18, 16, 10.0, 50.0)
    out = np.zeros_like(good)
    mark_trusted(counts, good, [left, right], out)
    np.testing.assert_array_equal(out, plainly(counts, good, left) | plainly(counts, good, right))


@pytest.mark.parametrize("trusted", RANGES, ids=str)
@pytest.mark.parametrize("share", [0.0, 0.0004, 0.2])
def test_all_are_trusted_where_marking_changes_nothing(
    rng: np.random.Generator, trusted: tuple[float, float], share: float
) -> None:
    answers = set()
    for _ in range(20):
        counts = np.where(rng.random((37, 83)) < share, rng.choice([LIMITS.min, -2, 60, LIMITS.max]), 5)
        good = rng.random(counts.shape) > 0.2
        counts[~good & (rng.random(counts.shape) < 0.1)] = LIMITS.min
        area = (11, 5, 51, 30, *trusted)
        inside = np.zeros_like(good)
        inside[5:35, 11:62] = good[5:35, 11:62]
        counts = counts.astype(np.int32)
        answer = all_trusted(counts, good, [area, (70, 0, 0, 3, 9.0, 2.0)])
        assert answer == np.array_equal(inside, plainly(counts, good, area))
        answers.add(answer)
    if share == 0.0004 and trusted == (0.0, 50.0):
        assert answers == {True, False}


def test_what_is_outside_stays(rng: np.random.Generator) -> None:
    out = np.ones((6, 6), dtype=bool)
    mark_trusted(
        np.full((6, 6), 9, dtype=np.int32), out.copy(), [(1, 1, 2, 3, 0.0, 5.0), (4, 4, 0, 2, 0.0, 5.0)], out
    )
    assert out.sum() == 36 - 6


def test_wrong_arguments_are_errors() -> None:
    counts, good = np.zeros((4, 6), dtype=np.int32), np.ones((4, 6), dtype=bool)
    with pytest.raises(ValueError, match="area"):
        mark_trusted(counts, good, [(3, 0, 4, 4, 0.0, 1.0)], good.copy())
    with pytest.raises(ValueError, match="area"):
        mark_trusted(counts, good, [(-1, 0, 4, 4, 0.0, 1.0)], good.copy())
    with pytest.raises(TypeError, match="counts"):
        mark_trusted(counts.astype(np.int64), good, [], good.copy())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="counts"):
        mark_trusted(counts.ravel(), good, [], good.copy())
    with pytest.raises(ValueError, match="area"):
        all_trusted(counts, good, [(3, 0, 4, 4, 0.0, 1.0)])
    with pytest.raises(TypeError, match="good"):
        mark_trusted(counts, good[:2], [], good.copy())

"""Connected components against scipy.ndimage, and the background sums against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from smalti_ext.components import by_group, label, surroundings


def lists(strong: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Starts and indices of a stack of frames (frames, slow, fast)."""
    per_frame = [np.flatnonzero(frame).astype(np.int32) for frame in strong]
    starts = np.concatenate([[0], np.cumsum([part.size for part in per_frame])]).astype(np.int64)
    return starts, np.concatenate(per_frame)


def same_partition(a: NDArray[np.int64], b: NDArray[np.int64]) -> bool:
    pairs = np.unique(np.column_stack([a, b]), axis=0)
    return len(pairs) == len(np.unique(a)) == len(np.unique(b))


@pytest.mark.parametrize("density", [0.02, 0.2, 0.31, 0.5, 0.9])
def test_equals_scipy(rng: np.random.Generator, density: float) -> None:
    strong = rng.random((7, 23, 31)) < density
    starts, index = lists(strong)
    linked = np.array([False] + [True] * 6)
    group, n = label(starts, linked, index, np.zeros(index.size, dtype=np.int16), 31)
    expected, n_expected = ndimage.label(strong)
    assert n == n_expected
    assert same_partition(group, expected[strong])
    # Groups are numbered by their first pixels.
    first = [int(np.flatnonzero(group == k)[0]) for k in range(n)]
    assert first == sorted(first)


def test_frames_that_are_not_linked_stay_apart(rng: np.random.Generator) -> None:
    strong = rng.random((6, 15, 17)) < 0.3
    starts, index = lists(strong)
    linked = np.array([False, True, False, True, True, False])
    group, n = label(starts, linked, index, np.zeros(index.size, dtype=np.int16), 17)
    pieces = [strong[:2], strong[2:5], strong[5:]]
    expected, offset = [], 0
    for piece in pieces:
        labels, count = ndimage.label(piece)
        expected.append(labels[piece] + offset)
        offset += count
    assert n == offset
    assert same_partition(group, np.concatenate(expected))


def test_panels_that_touch_stay_apart() -> None:
    strong = np.ones((1, 6, 8), dtype=bool)
    starts, index = lists(strong)
    panel = ((index % 8 >= 3) + 2 * (index // 8 >= 4)).astype(np.int16)
    group, n = label(starts, np.array([False]), index, panel, 8)
    assert n == 4
    assert same_partition(group, panel)


@pytest.mark.parametrize(("n", "n_groups"), [(0, 0), (0, 3), (1, 1), (500, 40), (500, 2000)])
def test_pixels_are_ordered_by_group_as_a_stable_sort_does(
    rng: np.random.Generator, n: int, n_groups: int
) -> None:
    group = rng.integers(0, max(n_groups, 1), n)
    order, starts = by_group(group, n_groups)
    np.testing.assert_array_equal(order, np.argsort(group, kind="stable"))
    np.testing.assert_array_equal(starts, np.searchsorted(group[order], np.arange(n_groups + 1)))


@pytest.mark.parametrize("group", [[0, 3], [-1, 0]])
def test_groups_beyond_their_number_are_refused(group: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 2"):
        by_group(np.array(group), 3)


def test_rows_do_not_wrap() -> None:
    index = np.array([7, 8], dtype=np.int32)  # the last pixel of one row, the first of the next
    group, n = label(
        np.array([0, 2], dtype=np.int64), np.array([False]), index, np.zeros(2, dtype=np.int16), 8
    )
    assert n == 2
    assert group.tolist() == [0, 1]


def test_nothing_at_all() -> None:
    group, n = label(
        np.zeros(4, dtype=np.int64),
        np.array([False, True, True]),
        np.empty(0, dtype=np.int32),
        np.empty(0, dtype=np.int16),
        5,
    )
    assert n == 0
    assert group.size == 0


def test_wrong_lists_are_errors() -> None:
    index, panel = np.array([1, 2], dtype=np.int32), np.zeros(2, dtype=np.int16)
    starts, linked = np.array([0, 2], dtype=np.int64), np.array([False])
    with pytest.raises(TypeError, match="index"):
        label(starts, linked, index.astype(np.int64), panel, 5)
    with pytest.raises(ValueError, match="lengths"):
        label(starts, linked, index, panel[:1], 5)
    with pytest.raises(ValueError, match="starts"):
        label(np.array([0, 3], dtype=np.int64), linked, index, panel, 5)
    with pytest.raises(ValueError, match="first frame"):
        label(starts, np.array([True]), index, panel, 5)


def test_surroundings_equal_a_plain_loop(rng: np.random.Generator) -> None:
    counts = rng.poisson(20.0, (30, 40)).astype(np.int32)
    mask = rng.random(counts.shape) > 0.1
    # Runs of neighbours, one across the end of a row, and lone pixels.
    runs = np.concatenate([[5, 6, 7, 38, 39, 40, 41], np.arange(600, 606), rng.choice(counts.size, 20)])
    index = np.unique(runs).astype(np.int32)
    total, pixels = surroundings(counts, mask, index, guard=1, reach=4)
    rows, columns = np.divmod(index.astype(int), 40)
    near = np.zeros(counts.shape, dtype=bool)
    for r, c in zip(rows, columns, strict=True):
        near[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2] = True
    for k, (r, c) in enumerate(zip(rows, columns, strict=True)):
        box = np.s_[max(r - 4, 0) : r + 5, max(c - 4, 0) : c + 5]
        good = mask[box] & ~near[box]
        assert pixels[k] == good.sum()
        assert total[k] == counts[box][good].sum()


def test_surroundings_check_their_arguments() -> None:
    counts, mask = np.zeros((4, 4), dtype=np.int32), np.ones((4, 4), dtype=bool)
    with pytest.raises(ValueError, match="outside"):
        surroundings(counts, mask, np.array([16], dtype=np.int32))
    with pytest.raises(TypeError, match="index"):
        surroundings(counts, mask, np.array([1], dtype=np.int64))
    with pytest.raises(TypeError, match="mask"):
        surroundings(counts, mask[:2], np.array([1], dtype=np.int32))
    with pytest.raises(TypeError, match="counts"):
        surroundings(counts.astype(np.int16), mask, np.array([1], dtype=np.int32))

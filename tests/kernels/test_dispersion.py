"""The dispersion kernels against the oracle that sums every window in exact integers."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti_ext.dispersion import dispersion, dispersion_extended

from . import oracle_dispersion as oracle


def frame(
    rng: np.random.Generator, shape: tuple[int, int], background: float, spots: int, height: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Poisson background with Gaussian spots, a gap, dead pixels and a few absurd values."""
    rows, columns = np.indices(shape)
    expected = np.full(shape, background)
    for _ in range(spots):
        r, c, width = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(0.6, 1.8)
        expected += rng.exponential(height) * np.exp(-((rows - r) ** 2 + (columns - c) ** 2) / (2 * width**2))
    counts = rng.poisson(expected).astype(np.int32)
    mask = rng.random(shape) > 0.02
    gap = int(rng.integers(0, shape[1] - 4))
    mask[:, gap : gap + 3] = False
    counts[rng.random(shape) < 0.002] = 1 << 24
    counts[~mask] = rng.choice([-1, -2, 0, 2**31 - 1, -(2**31)], size=int((~mask).sum()))
    return counts, mask


CASES = [
    {},
    {"kernel_size": (2, 2)},
    {"kernel_size": (4, 2)},
    {"kernel_size": (1, 6)},
    {"kernel_size": (6, 6)},
    {"gain": 2.5},
    {"gain": 0.4, "sigma_background": 3.0},
    {"sigma_background": 0.0, "sigma_strong": 0.0},
    {"min_local": 30},
    {"min_local": 0},
    {"global_threshold": 12.0},
]


@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize(("background", "height"), [(0.05, 8.0), (1.5, 60.0), (40.0, 3000.0), (1500.0, 1e5)])
def test_equals_the_oracle(
    rng: np.random.Generator, options: dict[str, float], background: float, height: float
) -> None:
    for shape in ((41, 37), (9, 64)):
        counts, mask = frame(rng, shape, background, 8, height)
        np.testing.assert_array_equal(
            dispersion(counts, mask, **options), oracle.dispersion(counts, mask, **options)
        )
        for rule in (True, False):
            np.testing.assert_array_equal(
                dispersion_extended(counts, mask, masked_flagged=rule, **options),
                oracle.dispersion_extended(counts, mask, masked_flagged=rule, **options),
            )


def test_negative_counts_count(rng: np.random.Generator) -> None:
    counts = rng.normal(0.5, 6.0, (40, 50)).round().astype(np.int32)
    counts[18:22, 20:24] += 90
    mask = np.ones(counts.shape, dtype=bool)
    for find, slow in (
        (dispersion, oracle.dispersion),
        (dispersion_extended, oracle.dispersion_extended),
    ):
        expected = slow(counts, mask, gain=8.0)
        np.testing.assert_array_equal(find(counts, mask, gain=8.0), expected)
        assert expected.size > 0


def test_largest_counts_do_not_overflow() -> None:
    largest = (1 << 24) - 1
    counts = np.full((30, 30), largest, dtype=np.int32)
    counts[::2, 1::2] = 0
    mask = np.ones(counts.shape, dtype=bool)
    for kernel_size in product((1, 6), (1, 6)):
        np.testing.assert_array_equal(
            dispersion(counts, mask, kernel_size=kernel_size),
            oracle.dispersion(counts, mask, kernel_size=kernel_size),
        )


def test_frames_smaller_than_the_window(rng: np.random.Generator) -> None:
    for shape in ((1, 1), (1, 9), (3, 2), (5, 5)):
        counts = rng.poisson(1.0, shape).astype(np.int32)
        counts[0, 0] = 500
        mask = np.ones(shape, dtype=bool)
        np.testing.assert_array_equal(
            dispersion_extended(counts, mask), oracle.dispersion_extended(counts, mask)
        )


def test_masked_neighbours_do_not_eat_spots() -> None:
    """A spot beside a gap keeps its pixels under the new rule and loses a rim under the old one."""
    rng = np.random.default_rng(5)
    counts = rng.poisson(2.0, (40, 40)).astype(np.int32)
    counts[18:22, 20:24] += 200
    mask = np.ones(counts.shape, dtype=bool)
    mask[:, 24:30] = False
    spot = set((np.arange(18, 22)[:, None] * 40 + np.arange(20, 24)).ravel().tolist())
    new = set(dispersion_extended(counts, mask).tolist())
    old = set(dispersion_extended(counts, mask, masked_flagged=False).tolist())
    assert new == spot
    assert old < new


@pytest.mark.parametrize("find", [dispersion, dispersion_extended])
def test_wrong_arguments_are_errors(find) -> None:
    counts, mask = np.zeros((8, 8), dtype=np.int32), np.ones((8, 8), dtype=bool)
    with pytest.raises(TypeError, match="counts"):
        find(counts.astype(np.int64), mask)
    with pytest.raises(TypeError, match="counts"):
        find(counts[:, ::2], mask[:, ::2].copy())
    with pytest.raises(TypeError, match="mask"):
        find(counts, mask.astype(np.uint8))
    with pytest.raises(TypeError, match="mask"):
        find(counts, mask[:4])
    for kernel_size in ((0, 3), (7, 7)):
        with pytest.raises(ValueError, match="kernel_size"):
            find(counts, mask, kernel_size=kernel_size)


def test_the_threshold_is_exact() -> None:
    """With nine pixels G (n - 1 + 6 sqrt(2 (n - 1))) is 32: windows with 9 y - x^2 = 32 x are on the edge."""
    on_edge = np.array([[1, 0, 0], [0, 6, 2], [0, 0, 0]], dtype=np.int32)  # x = 9, y = 41
    above = np.array([[0, 0, 0], [0, 6, 3], [0, 0, 0]], dtype=np.int32)  # x = 9, y = 45
    mask = np.ones((3, 3), dtype=bool)
    for scale in (1, 1000, 100_000):
        # Scaling counts and gain alike keeps a window on the edge, beyond any clipping too.
        options = {"kernel_size": (1, 1), "sigma_strong": 0.0, "gain": float(scale)}
        assert 4 not in dispersion(on_edge * scale, mask, **options)
        assert 4 in dispersion(above * scale, mask, **options)


def test_windows_beyond_any_clipping(rng: np.random.Generator) -> None:
    """A bright background, all of it above what the quick sums can hold."""
    counts = rng.normal(200_000.0, 450.0, (25, 40)).round().astype(np.int32)
    counts[10:14, 20:25] += 40_000
    mask = rng.random(counts.shape) > 0.03
    expected = oracle.dispersion_extended(counts, mask)
    assert 10 < expected.size < 60
    np.testing.assert_array_equal(dispersion_extended(counts, mask), expected)


def test_frames_of_more_tiles_than_are_walked_over_side_by_side(rng: np.random.Generator) -> None:
    counts, mask = frame(rng, (9, 8300), 0.6, 60, 40.0)
    # Tiles next to one another that are screened in each of the ways: seeds, 16 and 32 bits, none.
    counts[:, 600:1100] = 0
    counts[:, 7000:7600] = rng.poisson(900.0, (9, 600))
    counts[:, 7700:8250] = rng.poisson(90000.0, (9, 550))
    counts[3:6, 8271:8274], mask[2:7, 8270:8275] = 60, True
    found = dispersion_extended(counts, mask, kernel_size=(2, 2))
    assert 4 * 8300 + 8272 in found
    np.testing.assert_array_equal(found, oracle.dispersion_extended(counts, mask, kernel_size=(2, 2)))

"""Rings: thresholds by hand, spots on a steep background, masks and the blur."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti_plugins.spots.dispersion_extended import DispersionExtended
from smalti_plugins.spots.radial_profile import RadialProfile


def steep(rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_], set[int]]:
    """A halo around (61, 48) that falls from 3,000 counts, with spots of 5 pixels."""
    y, x = np.indices((100, 120)) + 0.5
    expected = 3000.0 * np.exp(-np.hypot(x - 61.0, y - 48.0) / 12.0) + 2.0
    spots = set()
    for r, c in ((20, 30), (70, 90), (15, 100), (85, 25)):
        for dr, dc in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
            expected[r + dr, c + dc] += 900.0
            spots.add((r + dr) * 120 + c + dc)
    mask = np.ones(expected.shape, dtype=bool)
    mask[:, 56:66] &= np.abs(y[:, 56:66] - 48.0) > 5.0
    return rng.poisson(expected).astype(np.int32), mask, spots


@pytest.mark.parametrize("centre", [(61.0, 48.0), None])
def test_spots_on_a_steep_background(rng: np.random.Generator, centre: tuple[float, float] | None) -> None:
    counts, mask, spots = steep(rng)
    found = RadialProfile(centre=centre).find(counts, mask)
    assert spots <= set(found.tolist())
    assert np.all(np.diff(found) > 0)
    assert mask.reshape(-1)[found].all()
    if centre is not None:
        assert found.size < 2 * len(spots)


def test_the_threshold_of_a_ring(rng: np.random.Generator) -> None:
    counts = rng.poisson(30.0, (40, 40)).astype(np.int32)
    low, median, high = np.quantile(counts, (0.25, 0.5, 0.75))
    expected = np.flatnonzero(counts > median + 1.5 * (high - low))
    found = RadialProfile(n_bins=1, n_iqr=1.5).find(counts, np.ones(counts.shape, dtype=bool))
    np.testing.assert_array_equal(found, expected)
    # Where all counts are alike, the excess is 2 / gain.
    flat = np.full((9, 9), 7, dtype=np.int32)
    flat[4, 4], flat[2, 2] = 12, 11
    for gain, number in ((1.0, 2), (0.45, 1)):
        assert RadialProfile(n_bins=1, gain=gain).find(flat, flat > 0).size == number


def test_masked_pixels_neither_count_nor_are_found(rng: np.random.Generator) -> None:
    counts, mask, _ = steep(rng)
    spoilt = counts.copy()
    spoilt[~mask] = 10_000_000
    for blur in ("none", "narrow", "wide"):
        finder = RadialProfile(centre=(61.0, 48.0), blur=blur)
        np.testing.assert_array_equal(finder.find(counts, mask), finder.find(spoilt, mask))
    assert RadialProfile().find(counts, np.zeros_like(mask)).size == 0


def test_a_blur_finds_what_is_wide_and_faint(rng: np.random.Generator) -> None:
    expected = np.full((80, 80), 20.0)
    expected[40:45, 40:45] += 18.0
    counts, mask = rng.poisson(expected).astype(np.int32), np.ones((80, 80), dtype=bool)
    inside = np.zeros_like(mask)
    inside[40:45, 40:45] = True

    def hits(finder: RadialProfile) -> tuple[int, int]:
        found = finder.find(counts, mask)
        good = int(inside.reshape(-1)[found].sum())
        return good, found.size - good

    plain, narrow = (hits(RadialProfile(n_bins=1, n_iqr=3.0, blur=blur)) for blur in ("none", "narrow"))
    assert narrow[0] > plain[0] + 5
    assert narrow[1] <= 4


def test_windows_straddle_the_slope_where_rings_do_not(rng: np.random.Generator) -> None:
    counts, mask, spots = steep(rng)
    by_windows = set(DispersionExtended().find(counts, mask).tolist()) - spots
    by_rings = set(RadialProfile(centre=(61.0, 48.0)).find(counts, mask).tolist()) - spots
    assert len(by_rings) < len(by_windows)

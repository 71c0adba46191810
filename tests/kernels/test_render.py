"""The kernels that draw frames: exact against a Python twin, and in distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr
from scipy.stats import poisson

from smalti_ext import render

WORD = 2**64 - 1


def mix(x: int) -> int:
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & WORD
    return x ^ (x >> 31)


def twin_row(mean: float, seed: int, frame: int, row: int, n: int) -> list[int]:
    """One row of a background of even mean, drawn in plain Python."""
    state = mix(mix(mix(mix(seed) ^ 1) ^ frame) ^ row)
    out = []
    for _ in range(n):
        state = (state + 0x9E3779B97F4A7C15) & WORD
        u = (mix(state) >> 11) * 2.0**-53
        # The kernel is given exp(-mean) in single precision.
        p = total = float(np.float32(math.exp(-mean)))
        k = 0
        while u >= total:
            k += 1
            p *= mean / k
            total += p
        out.append(k)
    return out


def frame_of(mean: float, shape: tuple[int, int], seed: int = 5, frame: int = 3) -> NDArray[np.int32]:
    means = np.full(shape, mean, dtype=np.float32)
    out = np.empty(shape, dtype=np.int32)
    render.background(means, np.exp(-means), seed, frame, out)
    return out


@pytest.mark.parametrize("mean", [0.25, 1.5, 8.0])
def test_the_background_equals_its_twin(mean: float) -> None:
    drawn = frame_of(mean, (4, 200), seed=2**63, frame=17)
    assert drawn.tolist() == [twin_row(mean, 2**63, 17, row, 200) for row in range(4)]


@pytest.mark.parametrize("mean", [0.05, 0.5, 3.0, 11.9, 12.0, 40.0, 1e4])
def test_counts_follow_the_poisson_distribution(mean: float) -> None:
    counts = frame_of(mean, (500, 400)).ravel()
    n = counts.size
    assert abs(counts.mean() - mean) < 4.5 * math.sqrt(mean / n)
    spread = math.sqrt((mean + 2 * mean**2) / n)  # of the sample variance, from the 4th moment
    assert abs(counts.var() - mean) < 4.5 * spread
    # Kolmogorov: the largest gap between the sums stays below 2.2 / sqrt(n) but once in 10^4.
    values = np.arange(counts.max() + 1)
    observed = np.cumsum(np.bincount(counts, minlength=values.size)) / n
    assert np.abs(observed - poisson.cdf(values, mean)).max() < 2.2 / math.sqrt(n)


def test_neighbours_rows_frames_and_seeds_are_independent() -> None:
    one = frame_of(2.0, (300, 300)).astype(float) - 2.0
    others = [
        frame_of(2.0, (300, 300), frame=4) - 2.0,
        frame_of(2.0, (300, 300), seed=6) - 2.0,
        np.roll(one, 1, axis=0),
        np.roll(one, 1, axis=1),
    ]
    for other in others:
        assert abs((one * other).mean() / one.var()) < 4.5 / 300


def test_what_is_no_pixel_keeps_its_mark() -> None:
    mean = np.full((3, 4), 5.0, dtype=np.float32)
    mean[0, :], mean[1, 2] = -1.0, -2.0
    out = np.zeros((3, 4), dtype=np.int32)
    render.background(mean, np.exp(-np.maximum(mean, 0)), 1, 1, out)
    render.spots(
        np.array([[2.0, 1.0]]), np.array([1e4]), np.array([[0, 4, 0, 3]], dtype=np.int32), 1.0,
        np.ones((3, 4), dtype=np.float32), 1, 1, 10**6, out,
    )  # fmt: skip
    assert (out[0] == -1).all() and out[1, 2] == -2
    assert (np.delete(out[1:].ravel(), 2) > 0).all()


def draw_spots(
    centres: list[list[float]], counts: float, window: list[int], sigma: float, seed: int = 1, **more: int
) -> NDArray[np.int32]:
    out = np.zeros((40, 60), dtype=np.int32)
    n = len(centres)
    render.spots(
        np.array(centres), np.full(n, counts), np.tile(np.array(window, dtype=np.int32), (n, 1)), sigma,
        np.ones(out.shape, dtype=np.float32), seed, 0, more.get("ceiling", 10**6), out,
    )  # fmt: skip
    return out


def test_a_spot_is_a_gaussian_integrated_over_pixels() -> None:
    """The mean over many drawings against the product of two normal integrals."""
    x, y, sigma, n = 22.3, 17.9, 1.3, 400
    total = np.zeros((40, 60))
    for seed in range(n):
        total += draw_spots([[x, y]], 500.0, [0, 60, 0, 40], sigma, seed)
    across = np.diff(ndtr((np.arange(61) - x) / sigma))
    down = np.diff(ndtr((np.arange(41) - y) / sigma))
    expected = 500.0 * np.outer(down, across)
    pull = (total - n * expected) / np.sqrt(np.maximum(n * expected, 1.0))
    assert np.abs(pull).max() < 4.5
    assert total.sum() == pytest.approx(n * 500.0, abs=4.5 * math.sqrt(n * 500.0))


def test_a_spot_ends_at_the_window_of_its_panel_and_at_the_ceiling() -> None:
    out = draw_spots([[20.0, 10.0]], 1e5, [20, 50, 0, 40], 2.0)
    assert out[:, :20].sum() == 0
    assert out.sum() == pytest.approx(5e4, rel=0.02)
    capped = draw_spots([[20.0, 10.0]], 1e5, [0, 60, 0, 40], 2.0, ceiling=700)
    assert capped.max() == 700


def test_spots_far_outside_leave_no_trace() -> None:
    assert draw_spots([[-500.0, 10.0], [20.0, 900.0]], 1e5, [0, 60, 0, 40], 2.0).sum() == 0


def test_wrong_arrays_are_errors() -> None:
    mean = np.zeros((3, 4), dtype=np.float32)
    out = np.zeros((3, 4), dtype=np.int32)
    with pytest.raises(TypeError, match="mean must be float32"):
        render.background(mean.astype(float), mean, 1, 1, out)
    with pytest.raises(ValueError, match="out must have shape"):
        render.background(mean, mean, 1, 1, out[:2])
    with pytest.raises(ValueError, match="outside the frame"):
        draw_spots([[5.0, 5.0]], 10.0, [0, 61, 0, 40], 1.0)
    with pytest.raises(ValueError, match="sigma"):
        draw_spots([[5.0, 5.0]], 10.0, [0, 60, 0, 40], 26.0)
    with pytest.raises(ValueError, match="counts"):
        draw_spots([[5.0, 5.0]], float("nan"), [0, 60, 0, 40], 1.0)

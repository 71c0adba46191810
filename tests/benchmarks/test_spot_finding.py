"""Time of spot finding per image, single thread: pytest tests/benchmarks --benchmark-enable --benchmark-only.

For comparison, DIALS 3.12 takes 290 to 340 ms for the whole path of a 6 Mpx image on one core, of which
213 to 220 ms are dispersion_extended.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.steps.finding.linking import link
from smalti.steps.finding.measuring import measure
from smalti.steps.finding.pixels import Pixels
from smalti_ext.components import surroundings
from smalti_ext.dispersion import dispersion, dispersion_extended
from smalti_plugins.formats.pilatus import PilatusCbf

SHAPE = (2527, 2463)


@cache
def synthetic(background: float) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """A frame the size of a Pilatus 6M with gaps and 700 spots of 5 x 5 pixels."""
    rng = np.random.default_rng(6)
    expected = np.full(SHAPE, background)
    shape = np.exp(-(np.add.outer(np.arange(-2, 3) ** 2, np.arange(-2, 3) ** 2)) / 2.0)
    for r, c in zip(rng.integers(5, 2520, 700), rng.integers(5, 2455, 700), strict=True):
        expected[r - 2 : r + 3, c - 2 : c + 3] += rng.exponential(100.0) * shape
    counts = rng.poisson(expected).astype(np.int32)
    mask = np.ones(SHAPE, dtype=bool)
    for k in range(1, 5):
        mask[:, k * 494 - 7 : k * 494] = False
    for k in range(1, 12):
        mask[k * 212 - 17 : k * 212] = False
    counts[~mask] = -1
    return counts, mask


@pytest.mark.parametrize("background", [0.05, 1.0, 20.0])
@pytest.mark.parametrize("find", [dispersion, dispersion_extended])
def test_kernel_on_six_megapixels(benchmark: Any, find: Any, background: float) -> None:
    counts, mask = synthetic(background)
    strong = benchmark(find, counts, mask)
    assert 3000 < strong.size < 40000


def test_background_around_strong_pixels(benchmark: Any) -> None:
    counts, mask = synthetic(1.0)
    index = dispersion_extended(counts, mask).astype(np.int32)
    total, pixels = benchmark(surroundings, counts, mask, index)
    assert total.sum() / pixels.sum() == pytest.approx(1.0, abs=0.1)


def test_linking_and_measuring_100_frames(benchmark: Any) -> None:
    rng = np.random.default_rng(7)
    frames = []
    for k in range(100):
        index = np.unique(rng.integers(0, SHAPE[0] * SHAPE[1], 1000)[:, None] + np.arange(5)).astype(np.int32)
        n = index.size
        frames.append(
            (
                Pixels(
                    np.full(n, k, dtype=np.int32),
                    index,
                    rng.integers(1, 1000, n).astype(np.int32),
                    np.zeros(n, dtype=np.int16),
                    np.zeros(n),
                    np.ones(n, dtype=np.int32),
                    np.zeros(n, dtype=bool),
                    np.zeros(n, dtype=bool),
                ),
                k > 0,
            )
        )

    def run() -> int:
        return sum(len(measure(groups, SHAPE[1]).size) for groups in link(iter(frames), SHAPE[1]))

    assert 90_000 < benchmark(run) <= 100_000


@pytest.mark.data
def test_read_and_find_a_real_image(benchmark: Any, data: Path, tmp_path: Path) -> None:
    """A Pilatus 2M image, decompressed beforehand: read, mask, find."""
    path = tmp_path / "image_00001.cbf"
    path.write_bytes(gzip.decompress((data / "l_cysteine" / "l-cyst_01_00001.cbf.gz").read_bytes()))
    series = PilatusCbf().open([path])

    def run() -> int:
        counts = series.read(0)
        return dispersion_extended(counts, counts >= 0).size

    assert benchmark(run) == 89

"""Reading a frame of six million pixels: decoding alone, and the whole way from the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from smalti.models import LAYOUTS
from smalti.steps.simulating.cbf import cbf_bytes
from smalti_ext.byte_offset import decode, encode
from smalti_plugins.formats.pilatus import PilatusCbf

WORDS = "# Detector: PILATUS3 6M, S/N 60-9999\n# Pixel_size 172e-6 m x 172e-6 m\n# Beam_xy (1, 2) pixels"


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """A frame like most: few counts, rare spots, so that escapes are rare too."""
    fast, slow = next(layout.frame for layout in LAYOUTS if layout.name == "PILATUS 6M")
    rng = np.random.default_rng(1)
    frame = rng.poisson(2.0, (slow, fast)).astype(np.int32)
    spots = rng.integers(0, frame.size, 2000)
    frame.ravel()[spots] = rng.integers(200, 100000, 2000)
    return frame


def test_decoding(benchmark: BenchmarkFixture, counts: np.ndarray) -> None:
    payload, out = encode(counts), np.empty_like(counts)
    benchmark(decode, payload, out)
    np.testing.assert_array_equal(out, counts)


def test_from_the_file(benchmark: BenchmarkFixture, counts: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a_0001.cbf"
    path.write_bytes(cbf_bytes("a_0001", counts, WORDS))
    series = PilatusCbf().open([path])
    frame = benchmark(series.read, 0)
    np.testing.assert_array_equal(frame, counts)


def test_header(benchmark: BenchmarkFixture, counts: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a_0001.cbf"
    path.write_bytes(cbf_bytes("a_0001", counts, WORDS))
    header = benchmark(PilatusCbf().open([path]).header, 0)
    assert len(header.detector) == 60

"""Reading a frame of an EIGER 16M from HDF5: chunks decoded straight into the frame, beside h5py."""

from __future__ import annotations

from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from smalti_plugins.formats.nexus._frames import Piece, read_frame

SHAPE = (4371, 4150)
FILTERS: dict[str, Any] = {
    "bslz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "lz4": hdf5plugin.LZ4(),
    "none": {},
}


@pytest.fixture(scope="module", params=[(name, kind) for name in FILTERS for kind in ("u2", "u4")], ids=str)
def piece(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Piece:
    """A frame with 0.3 counts a pixel, rare spots, and a gap every 551 rows."""
    name, kind = request.param
    rng = np.random.default_rng(1)
    frame = rng.poisson(0.3, SHAPE).astype(kind)
    frame.ravel()[rng.integers(0, frame.size, 2000)] = 500
    frame[514::551] = np.iinfo(kind).max
    path = tmp_path_factory.mktemp("eiger") / "data.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (1, *SHAPE), kind, chunks=(1, *SHAPE), **FILTERS[name])
        data[0] = frame
    return Piece(path, "data", 0, 1, SHAPE)


def test_directly(benchmark: BenchmarkFixture, piece: Piece) -> None:
    benchmark(read_frame, piece, 0)


def test_by_h5py(benchmark: BenchmarkFixture, piece: Piece) -> None:
    with h5py.File(piece.file, "r", locking=False) as file:
        data = file[piece.dataset]
        frame = benchmark(lambda: data[0])
    np.testing.assert_array_equal(frame, read_frame(piece, 0))

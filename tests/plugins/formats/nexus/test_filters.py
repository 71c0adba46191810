"""Chunks undone by the codecs themselves: the same values as HDF5 gives, whatever the filter was told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from smalti_plugins.formats.nexus import _filters
from smalti_plugins.formats.nexus._filters import Pipeline, pipeline
from smalti_plugins.formats.nexus._frames import Piece, read_frame

FILTERS: dict[str, Any] = {
    "bslz4": hdf5plugin.Bitshuffle(cname="lz4"),
    "bslz4, small blocks": hdf5plugin.Bitshuffle(nelems=64, cname="lz4"),
    "bszstd": hdf5plugin.Bitshuffle(cname="zstd"),
    "shuffled": hdf5plugin.Bitshuffle(cname="none"),
    "shuffled, small blocks": hdf5plugin.Bitshuffle(nelems=128, cname="none"),
    "lz4": hdf5plugin.LZ4(),
    "lz4, small blocks": hdf5plugin.LZ4(nbytes=1000),
    "zstd": hdf5plugin.Zstd(),
    "none": {},
}


def frame(shape: tuple[int, int], kind: str, *, noise: bool = False) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(3)
    top = int(np.iinfo(kind).max)
    counts = rng.integers(0, top, shape) if noise else rng.poisson(0.5, shape)
    counts[0, 0] = top
    return counts.astype(kind)


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i4"])
@pytest.mark.parametrize("noise", [False, True])
def test_every_filter_gives_what_hdf5_gives(tmp_path: Path, name: str, kind: str, noise: bool) -> None:
    """Also of frames whose values do not fill the blocks: 3 x 7 leaves five, noise cannot be compressed."""
    for shape in ((44, 60), (3, 7), (1, 1), (37, 101)):
        path = tmp_path / f"{shape[0]}.h5"
        with h5py.File(path, "w") as file:
            chunks = (1, *shape)
            data = file.create_dataset("data", (2, *shape), kind, chunks=chunks, **FILTERS[name])
            data[0], data[1] = frame(shape, kind, noise=noise), 7
        with h5py.File(path, locking=False) as file:
            dataset = file["data"]
            found = pipeline(dataset)
            assert found is not None
            mask, raw = dataset.id.read_direct_chunk((0, 0, 0))
            out = np.zeros(shape, kind)
            assert found.undo(raw, mask, out)
            np.testing.assert_array_equal(out, dataset[0])
        np.testing.assert_array_equal(read_frame(Piece(path, "data", 0, 2, shape), 0), out)
        assert (read_frame(Piece(path, "data", 0, 2, shape), 1) == 7).all()


def test_a_chunk_that_was_written_without_its_filter(tmp_path: Path) -> None:
    counts = frame((44, 60), "u2")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("data", (1, 44, 60), "u2", chunks=(1, 44, 60), **FILTERS["bslz4"])
        data.id.write_direct_chunk((0, 0, 0), counts.tobytes(), filter_mask=1)
    found = read_frame(Piece(tmp_path / "a.h5", "data", 0, 1, (44, 60)), 0)
    np.testing.assert_array_equal(found, counts)


@pytest.mark.parametrize("extra", [{"shuffle": True}, {"compression": "gzip"}])
def test_what_only_hdf5_can_undo_is_left_to_it(tmp_path: Path, extra: dict[str, Any]) -> None:
    counts = frame((44, 60), "u2")
    filters = {**({} if "compression" in extra else FILTERS["lz4"]), **extra}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("data", data=counts[None], chunks=(1, 44, 60), **filters)
        assert pipeline(file["data"]) is None
    np.testing.assert_array_equal(read_frame(Piece(tmp_path / "a.h5", "data", 0, 1, (44, 60)), 0), counts)


def test_codecs_that_are_not_there_are_left_to_hdf5(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Pipeline(32008, (0, 4, 2, 0, 2)).known and not Pipeline(32008, (0, 4, 2, 0, 9)).known
    monkeypatch.setattr(_filters, "_library", lambda name: object())
    assert not any(Pipeline(number, (0, 4, 2, 0, 2)).known for number in (32004, 32008, 32015))


def test_damage_writes_nothing_to_the_standard_output(tmp_path: Path, capfd: Any) -> None:
    """The filter of LZ4 does, into the JSON of whoever reads it."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        counts = frame((44, 60), "u2")[None]
        data = file.create_dataset("data", data=counts, chunks=(1, 44, 60), **FILTERS["lz4"])
        found, (mask, raw) = pipeline(data), data.id.read_direct_chunk((0, 0, 0))
    assert found is not None
    out = np.zeros((44, 60), "u2")
    assert not any(found.undo(raw[:k] + b"\xff" * 9 + raw[k + 9 :], mask, out) for k in range(16, 200, 20))
    assert capfd.readouterr() == ("", "")

"""Reflection tables in HDF5 files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.storage import read_reflections, write_reflections

from .reflection_bytes import columns, packed, same, write


def test_hdf5_keeps_everything(tmp_path: Path) -> None:
    data = columns() | {"new": ["vec5<half>", [3, bytes(range(30))]]}
    table = read_reflections(write(tmp_path, packed(data))).with_columns(
        {"a/b": np.arange(3, dtype=np.int64)}
    )
    table = table.with_columns(history=({"command": "index", "long": "x" * 100_000},))
    write_reflections(tmp_path / "out.h5", table)
    back = read_reflections(tmp_path / "out.h5")
    same(table, back)
    same(table.take(np.array([2, 0])), back.take(np.array([2, 0])))


def test_hdf5_is_contiguous_with_units(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_reflections(tmp_path / "out.h5", read_reflections(write(tmp_path, packed())))
    with h5py.File(tmp_path / "out.h5") as file:
        column = file["columns/xyzobs.px.value"]
        assert column.chunks is None and column.shape == (3, 3)
        assert column.attrs["unit"] == "px, px, image"


def test_damaged_hdf5_is_refused_in_words(tmp_path: Path) -> None:
    write_reflections(tmp_path / "out.h5", read_reflections(write(tmp_path, packed())))
    whole = (tmp_path / "out.h5").read_bytes()
    for length in (0, 100, len(whole) // 2):
        with pytest.raises(InputError, match=r"cut\.h5"):
            read_reflections(write(tmp_path, whole[:length], "cut.h5"))
    with pytest.raises(InputError, match="no file"):
        read_reflections(tmp_path / "none.h5")


@pytest.mark.data
def test_hdf5_of_real_table(data: Path, tmp_path: Path) -> None:
    table = read_reflections(data / "tables" / "centroid_indexed" / "data.refl")
    write_reflections(tmp_path / "out.h5", table)
    same(table, read_reflections(tmp_path / "out.h5"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_hdf5_on_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of HDF5 brought the whole process down, when it was left to write to the disk itself."""
    from smalti.storage import atomic

    table = read_reflections(write(tmp_path, packed()))
    real = Path.touch
    monkeypatch.setattr(
        atomic.Path,
        "touch",
        lambda path, **_: path.symlink_to("/dev/full") if ".part" in path.name else real(path),
    )
    with pytest.raises(InputError, match="No space left"):
        write_reflections(tmp_path / "out.h5", table)
    assert not (tmp_path / "out.h5").exists()

"""A sample of mutated NeXus files: each is read, or refused clearly, in processes that may die."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.errors import InputError
from smalti_plugins.formats.nexus._probe import survives
from smalti_plugins.formats.nexus.reader import Nxmx

from .fuzzing_nxmx import run
from .nxmx_files import written


def test_mutations_end_well(tmp_path: Path) -> None:
    ends = run(600, 3, tmp_path, every=8)
    known = {"chunk decoded", "chunk refused"}
    for how in ("bytes", "rebuilt"):
        known |= {f"{how} {end}" for end in ("read", "refused", "read in part", "passed over")}
        known |= {f"{how} kills HDF5, seen before (SIG{end})" for end in ("SEGV", "ABRT", "ALRM", "PROF")}
    assert set(ends) <= known, set(ends) - known
    assert min(ends[name] for name in ("chunk decoded", "chunk refused", "bytes read", "rebuilt refused")) > 2


def test_a_dataset_put_together_of_itself_is_refused(tmp_path: Path) -> None:
    def circle(file: h5py.File) -> None:
        del file["entry/data/data"]
        layout = h5py.VirtualLayout((5, 44, 60), "u4")
        layout[0:5] = h5py.VirtualSource(".", "/entry/data/data", (5, 44, 60), "u4")
        file["entry/data"].create_virtual_dataset("data", layout)

    series = Nxmx().open([written(tmp_path, change=circle)])
    with pytest.raises(InputError, match="put together of itself"):
        series.read(0)


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("entry/data/data", (10**6, 200_000, 200_000), "200000 x 200000 pixels"),
        ("entry/data/data", (10**12, 44, 60), "1000000000000 images"),
        ("entry/instrument/beam/incident_wavelength", (2**40,), "1099511627776 values"),
        ("entry/instrument/detector/pixel_mask", (2**30, 44, 60), "too many for a mask"),
    ],
)
def test_sizes_that_no_one_has_are_refused_before_memory_is_taken(
    tmp_path: Path, name: str, shape: tuple[int, ...], words: str
) -> None:
    def vast(file: h5py.File) -> None:
        file.pop(name, None)
        file.create_dataset(name, shape, "u4", chunks=tuple(min(n, 64) for n in shape))

    path = written(tmp_path, change=vast, mask=np.ones((44, 60), dtype=bool))
    with pytest.raises(InputError, match=words):
        Nxmx().open([path]).header(0)


def test_a_file_that_kills_hdf5_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    head = path.read_bytes()[:100]
    assert survives(path) and Nxmx().match(path, head)
    script = tmp_path / "dies.py"
    script.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr("smalti_plugins.formats.nexus._probe.__file__", str(script))
    path.touch()
    with pytest.raises(InputError, match=r"example_master\.h5 is damaged: HDF5 crashes"):
        Nxmx().match(path, head)

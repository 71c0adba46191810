"""Containers that are still being written: files that come one by one, and one that grows."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.models import Experiment, Experiments
from smalti.steps.finding import Execution, FindOptions, Found, find_spots, waiting
from smalti.steps.importing import ImportOptions, import_images
from smalti.steps.simulating import SimulateOptions, simulate
from smalti.storage import NxmxLayout, write_nxmx
from smalti_plugins.formats.nexus.reader import Nxmx
from smalti_plugins.spots.dispersion_extended import DispersionExtended

READERS = (Nxmx(),)

# Copies a file, leaves two of its images, and adds the others with readers at work.
WRITER = """
import sys, time, h5py, hdf5plugin
with h5py.File(sys.argv[1], locking=False) as old, h5py.File(sys.argv[2], "w", libver="latest") as new:
    frames = old["entry/data/data"][()]
    old.copy("entry", new)
    del new["entry/data/data"]
    data = new.create_dataset(
        "entry/data/data", (2, *frames.shape[1:]), frames.dtype, maxshape=(None, *frames.shape[1:]),
        chunks=(1, *frames.shape[1:]), **hdf5plugin.Bitshuffle(cname="lz4"),
    )
    data[:] = frames[:2]
    new.swmr_mode = True
    print("two are there", flush=True)
    sys.stdin.readline()
    for k in range(2, len(frames)):
        time.sleep(0.05)
        data.resize(k + 1, axis=0)
        data[k] = frames[k]
        data.flush()
    sys.stdin.read()
"""
COUNT = 6


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, list[NDArray[np.int32]]]:
    """Six images and their models."""
    options = SimulateOptions(
        layout="PILATUS 100K",
        n_images=COUNT,
        distance=80.0,
        counts=3000.0,
        beam_stop=0.0,
        image_format="nxmx",
    )
    folder = tmp_path_factory.mktemp("whole")
    simulate(options, folder)
    path = folder / "simulated_master.h5"
    series = Nxmx().open([path])
    frames = [series.read(k) for k in range(COUNT)]
    return import_images([path], READERS, ImportOptions()).experiments[0], frames


Written = Callable[[NxmxLayout], Path]


@pytest.fixture
def written(simulated: tuple[Experiment, list[NDArray[np.int32]]], tmp_path: Path) -> Written:
    """Write a master, and the images two to a data file."""

    def write(layout: NxmxLayout) -> Path:
        path = tmp_path / "simulated_master.h5"
        write_nxmx(path, *simulated, layout=layout, frames_of=2)
        return path

    return write


def find(experiments: Experiments, patience: float = 0.0) -> Found:
    return find_spots(
        experiments,
        READERS,
        DispersionExtended(),
        FindOptions(jobs=2),
        execution=Execution(patience=patience),
    )


def while_running(work: Callable[[], None], follow: Callable[[], Found]) -> Found:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        return follow()
    finally:
        thread.join()


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    monkeypatch.setattr(waiting, "SETTLES", 0.2)


def assert_same(a: Found, b: Found) -> None:
    assert a.reflections.n_rows > 10 and not a.warnings
    for name in a.reflections:
        np.testing.assert_array_equal(a.reflections[name], b.reflections[name], err_msg=name)


def test_a_master_without_data_is_imported_where_they_are_expected(tmp_path: Path, written: Written) -> None:
    path = written("virtual")
    whole = import_images([path], READERS, ImportOptions()).experiments
    alone = tmp_path / "alone" / path.name
    alone.parent.mkdir()
    shutil.copy(path, alone)
    with pytest.raises(InputError, match=r"data_000001\.h5 is not there"):
        import_images([alone], READERS, ImportOptions())
    early = import_images([alone], READERS, ImportOptions(expect=COUNT))
    (item,) = early.experiments
    assert (item.scan, item.detector, item.beam) == (whole[0].scan, whole[0].detector, whole[0].beam)
    assert "simulated_data_000001.h5 is not there, nor are 2 more" in early.warnings[0]


@pytest.mark.parametrize("layout", ["external", "virtual"])
def test_data_files_that_come_later_are_waited_for(
    tmp_path: Path, written: Written, layout: NxmxLayout
) -> None:
    path = written(layout)
    experiments = import_images([path], READERS, ImportOptions()).experiments
    whole = find(experiments)
    late = sorted(tmp_path.glob("*_data_*.h5"))[1:]
    for file in late:
        shutil.move(file, file.with_suffix(".later"))

    def deliver() -> None:
        for file in late:
            time.sleep(0.1)
            content = file.with_suffix(".later").read_bytes()
            file.write_bytes(content[: len(content) // 2])  # half of it is there for a while
            time.sleep(0.05)
            shutil.move(file.with_suffix(".later"), file)

    assert_same(while_running(deliver, lambda: find(experiments, patience=30.0)), whole)


def test_a_file_with_a_writer_at_work_is_followed(tmp_path: Path, written: Written) -> None:
    """Single writer, multiple readers: the dataset grows while it is read."""
    path = written("single")
    whole = find(import_images([path], READERS, ImportOptions()).experiments)
    growing = tmp_path / "growing_master.h5"
    command = [sys.executable, "-c", WRITER, str(path), str(growing)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdin is not None and writer.stdout is not None
        assert writer.stdout.readline().strip() == b"two are there"
        experiments = import_images([growing], READERS, ImportOptions(expect=COUNT)).experiments
        scan, images = experiments[0].scan, experiments[0].imageset
        assert scan is not None and scan.n_images == COUNT
        assert images is not None and images.indices == tuple(range(COUNT))
        writer.stdin.write(b"go on\n")
        writer.stdin.flush()
        found = find(experiments, patience=30.0)
        writer.stdin.close()
    assert not found.warnings
    np.testing.assert_array_equal(found.reflections["bbox"], whole.reflections["bbox"])


def test_a_run_that_ends_early_is_searched_as_far_as_it_goes(tmp_path: Path, written: Written) -> None:
    path = written("external")
    experiments = import_images([path], READERS, ImportOptions()).experiments
    (tmp_path / "simulated_data_000003.h5").unlink()
    found = find(experiments, patience=0.3)
    assert "ended early" in found.warnings[0] and "has not come" in found.warnings[0]
    assert found.reflections["bbox"][:, 5].max() == 4


def test_a_damaged_image_is_not_waited_for_when_the_next_is_there(tmp_path: Path, written: Written) -> None:
    path = written("single")
    with h5py.File(path) as file:
        info = file["entry/data/data"].id.get_chunk_info(2)
    content = bytearray(path.read_bytes())
    content[info.byte_offset + 8 : info.byte_offset + 12] = b"\xff" * 4
    path.write_bytes(bytes(content))
    experiments = import_images([path], READERS, ImportOptions()).experiments
    with pytest.raises(InputError, match="Image 3"):
        find(experiments, patience=30.0)

"""Images that are cut short, damaged, empty or missing, also the first: named, counted, the rest found."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.steps.finding import Execution, FindOptions, Found, find_spots
from smalti.steps.importing import ImportOptions, import_images, open_series
from smalti.steps.simulating import SimulateOptions, simulate
from smalti_plugins.formats.nexus.reader import Nxmx
from smalti_plugins.formats.pilatus import PilatusCbf
from smalti_plugins.spots.dispersion_extended import DispersionExtended

READERS = (PilatusCbf(), Nxmx())


def made(folder: Path, image_format: str = "cbf", *, stills: bool = False) -> Experiments:
    options = SimulateOptions(
        layout="PILATUS 100K", n_images=6, distance=80.0, counts=3e3, beam_stop=0.0,
        image_format=image_format,  # type: ignore[arg-type]
    )  # fmt: skip
    simulate(options, folder)
    files = [folder / ("simulated_#####.cbf" if image_format == "cbf" else "simulated_master.h5")]
    return import_images(files, READERS, ImportOptions(stills=stills)).experiments


def find(experiments: Experiments, on_bad_image: str) -> Found:
    options = FindOptions(jobs=2, on_bad_image=on_bad_image)  # type: ignore[arg-type]
    return find_spots(experiments, READERS, DispersionExtended(), options)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def within_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def escapes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = b"\x80" * 4000
    path.write_bytes(bytes(data))


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def removed(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [cut, within_the_header, escapes, emptied, removed])
@pytest.mark.parametrize("numbers", [(1, 2), (4,)])
def test_a_bad_cbf_stops_or_is_skipped(
    tmp_path: Path, damage: Callable[[Path], None], numbers: tuple[int, ...]
) -> None:
    experiments = made(tmp_path)
    whole = find(experiments, "stop")
    for number in numbers:
        damage(tmp_path / f"simulated_{number:05d}.cbf")
    with pytest.raises(InputError, match=f"simulated_{numbers[0]:05d}"):
        find(experiments, "stop")
    found = find(experiments, "skip")
    assert [f"simulated_{n:05d}.cbf" in line for n, line in zip(numbers, found.refused, strict=True)]
    assert found.n_images == 6 - len(numbers)
    strong, all_strong = found.images[0].strong, whole.images[0].strong
    assert strong == tuple(-1 if k + 1 in numbers else n for k, n in enumerate(all_strong))


def test_a_still_that_is_missing_is_skipped(tmp_path: Path) -> None:
    experiments = made(tmp_path, stills=True)
    for number in (1, 3):
        removed(tmp_path / f"simulated_{number:05d}.cbf")
    with pytest.raises(InputError, match="simulated_00001"):
        find(experiments, "stop")
    found = find(experiments, "skip")
    assert len(found.refused) == 2 and found.n_images == 4
    assert set(np.unique(found.reflections["id"])) == {1, 3, 4, 5}


def test_a_damaged_chunk_stops_or_is_skipped(tmp_path: Path) -> None:
    experiments = made(tmp_path, "nxmx")
    (data,) = tmp_path.glob("*_data_*.h5")
    with h5py.File(data, locking=False) as file:
        info = file["entry/data/data"].id.get_chunk_info(2)
    content = bytearray(data.read_bytes())
    content[info.byte_offset + 8 : info.byte_offset + 12] = b"\xff" * 4
    data.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"Image 3 of .*data_000001.h5 cannot be read"):
        find(experiments, "stop")
    found = find(experiments, "skip")
    assert len(found.refused) == 1 and found.n_images == 5


def test_a_data_file_that_is_missing_or_cut_is_named(tmp_path: Path) -> None:
    experiments = made(tmp_path, "nxmx")
    (data,) = tmp_path.glob("*_data_*.h5")
    cut(data)
    with pytest.raises(InputError, match=r"simulated_data_000001\.h5"):
        find(experiments, "stop")
    data.unlink()
    with pytest.raises(InputError, match=r"simulated_data_000001\.h5"):
        find(experiments, "stop")


def test_images_that_come_compressed_are_read(tmp_path: Path) -> None:
    """Of a series that was opened before they came, as when images are followed."""
    experiments = made(tmp_path)
    (item,) = experiments
    assert item.imageset is not None
    whole = find(experiments, "stop")
    series = open_series(item.imageset, READERS, item.scan)
    path = tmp_path / "simulated_00004.cbf"
    counts = series.read(3)
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    np.testing.assert_array_equal(series.read(3), counts)
    assert series.header(3).size == (counts.shape[1], counts.shape[0])
    again = find_spots(
        experiments, READERS, DispersionExtended(), FindOptions(), execution=Execution(patience=5.0)
    )
    np.testing.assert_array_equal(again.reflections["bbox"], whole.reflections["bbox"])

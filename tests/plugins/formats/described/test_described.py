"""Detectors described by a TOML file: placed as told, read from many formats, refused in words."""

from __future__ import annotations

from pathlib import Path

import fabio
import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import InputError, UsageError
from smalti.geometry.rotation import rotation
from smalti.models import Detector
from smalti.solution import Match
from smalti.steps.importing import ImportOptions, import_images, open_series
from smalti.storage import read_experiments, write_experiments
from smalti_plugins.formats.described.reader import Described
from smalti_plugins.formats.generic import FabioGeneric

HEAD = """
name = "Test 4"
size = [60, 44]
pixel_size = [0.1, 0.2]
trusted_range = [0, 5000]
gain = 2.0
[sensor]
material = "Si"
thickness = 0.3
[geometry]
distance = 120.0
beam_centre = [20.0, 11.0]
wavelength = 1.1
"""
GRID = "[modules]\nsize = [28, 20]\ngap = [4, 4]\ngrid = [2, 2]\n"
PANELS = """
[[groups]]
name = "left"
origin = [0.5, 0.0, 0.1]
fast = [0.0, 1.0, 0.0]
slow = [-1.0, 0.0, 0.0]
[[panels]]
name = "a"
window = [0, 0]
size = [28, 20]
group = "left"
origin = [1.0, 2.0, 3.0]
[[panels]]
name = "b"
window = [32, 0]
size = [28, 20]
"""
FABIO = """
[header]
wavelength = { key = "wave", factor = 0.1 }
start = "omega"
width = "step"
exposure = "time"
"""
HDF5 = """
[images]
container = "hdf5"
data = "/run/images"
mask = "/run/bad"
[header]
energy = { key = "/run/energy", factor = 1000.0 }
start = "/run/omega"
width = "/run/width"
distance = "/run/z"
"""


def described(folder: Path, *parts: str) -> Described:
    """Write a description and give its reader."""
    path = folder / "detector.toml"
    # Tables follow what is at the top level, whatever the order of the parts.
    path.write_text(HEAD + "".join(parts))
    return Described(path)


def frames(count: int = 3) -> list[NDArray[np.int32]]:
    """Give some frames."""
    rng = np.random.default_rng(11)
    return [rng.integers(0, 900, (44, 60)).astype(np.int32) for _ in range(count)]


def edf_files(folder: Path) -> list[Path]:
    """Write frames as EDF, with what the header says in its own words."""
    paths = []
    for k, frame in enumerate(frames()):
        words = {"wave": "9.8 nm", "omega": f"{-5.0 - 0.5 * k}", "step": "-0.5", "time": "0.25"}
        paths.append(folder / f"x_{k + 1:03d}.edf")
        fabio.edfimage.EdfImage(data=frame, header=words).write(str(paths[-1]))
    return paths


def hdf5_file(folder: Path) -> Path:
    """Write frames into one HDF5 file of no known layout."""
    path = folder / "run.h5"
    with h5py.File(path, "w") as file:
        file["run/images"] = np.stack(frames()).astype(np.uint32)
        file["run/energy"], file["run/z"], file["run/width"] = 12.0, 150.0, 0.1
        file["run/omega"] = [1.0, 1.1, 1.2]
        bad = np.zeros((44, 60), np.uint8)
        bad[3, 4] = 1
        file["run/bad"] = bad
    return path


def place(detector: Detector, number: int) -> NDArray[np.float64]:
    """Columns fast, slow, origin of a panel in the laboratory."""
    return np.asarray(detector.stacked()[number])


def test_a_grid_of_modules_stands_as_told(tmp_path: Path) -> None:
    reader = described(tmp_path, GRID, FABIO)
    header = reader.open(edf_files(tmp_path)).header(1)
    assert len(header.detector) == 4 and header.size == (60, 44)
    np.testing.assert_allclose(
        place(header.detector, 3).T, [[1, 0, 0], [0, -1, 0], [-2.0 + 3.2, 2.2 - 4.8, -120.0]], atol=1e-12
    )
    panel = header.detector.panels[3]
    assert panel.window == (32, 24) and panel.trusted_range == (0.0, 5000.0) and panel.gain == 2.0
    assert panel.mu > 0.0 and panel.parallax and panel.identifier == "Test 4"
    assert header.beam.wavelength == pytest.approx(0.98) and header.exposure == 0.25


def test_a_sweep_backwards_turns_the_axis(tmp_path: Path) -> None:
    header = described(tmp_path, FABIO).open(edf_files(tmp_path)).header(1)
    assert header.goniometer is not None and header.goniometer.rotation_axis == (-1.0, 0.0, 0.0)
    assert np.degrees(header.start) == pytest.approx(5.5) and np.degrees(header.width) == pytest.approx(0.5)


def test_panels_hang_in_their_groups(tmp_path: Path) -> None:
    detector = described(tmp_path, FABIO, PANELS).open(edf_files(tmp_path)).header(0).detector
    assert [node.name for node in detector.nodes(1)] == ["left", "b"]
    # The group is turned by a quarter about the normal, which in the laboratory looks against the beam.
    corner = np.array([-2.0, 2.2, -120.0])
    frame = np.column_stack([[1, 0, 0], [0, -1, 0], [0, 0, -1]]).astype(float)
    quarter = rotation((0.0, 0.0, 1.0), np.pi / 2)
    want = corner + frame @ (np.array([0.5, 0.0, 0.1]) + quarter @ [1.0, 2.0, 3.0])
    np.testing.assert_allclose(place(detector, 0)[:, 2], want, atol=1e-12)
    np.testing.assert_allclose(place(detector, 0)[:, 0], frame @ [0.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(place(detector, 1)[:, 2], corner + [3.2, 0.0, 0.0], atol=1e-12)


def test_images_in_hdf5_bring_values_of_each_frame(tmp_path: Path) -> None:
    series = described(tmp_path, HDF5).open([hdf5_file(tmp_path)])
    assert len(series) == 3
    header = series.header(2)
    assert np.degrees(header.start) == pytest.approx(1.2) and place(header.detector, 0)[2, 2] == -150.0
    assert header.beam.wavelength == pytest.approx(12.398419843 / 12.0)
    np.testing.assert_array_equal(series.read(2), frames()[2])
    mask = series.mask()
    assert mask is not None and not mask[3, 4] and mask.sum() == mask.size - 1


@pytest.mark.parametrize("hdf5", [False, True])
def test_images_are_opened_again_with_their_description(
    tmp_path: Path, hdf5: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    described(tmp_path, HDF5 if hdf5 else FABIO)
    images = [hdf5_file(tmp_path)] if hdf5 else edf_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    readers = [FabioGeneric(), Described(Path("detector.toml"))]
    imported = import_images(images, readers, ImportOptions())
    assert imported.readers == ("described",) and imported.n_images == 3
    write_experiments(tmp_path / "imported.expt", imported.experiments)
    monkeypatch.chdir("/")
    (item,) = read_experiments(tmp_path / "imported.expt")
    assert item.imageset is not None and item.scan is not None and item.scan.n_images == 3
    series = open_series(item.imageset, [FabioGeneric(), Described()], item.scan)
    np.testing.assert_array_equal(series.read(1), frames()[1])


def test_without_a_description_it_claims_nothing(tmp_path: Path) -> None:
    path = edf_files(tmp_path)[0]
    assert Described().match(path, path.read_bytes()[:4096]) is Match.NO
    with pytest.raises(UsageError, match="It needs the description"):
        Described().open([path])
    assert described(tmp_path).match(path, path.read_bytes()[:4096]) is Match.INSTRUMENT
    assert described(tmp_path, HDF5).match(path, path.read_bytes()[:4096]) is Match.NO


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("[modules]\nsize = [28, 20]\ngap = [4, 4]\ngrid = [3, 2]\n", "take 92 x 44 pixels of 60 x 44"),
        (PANELS.replace("[32, 0]", "[40, 0]"), "'b' reaches out of the frame"),
        (PANELS.replace('group = "left"', 'group = "right"'), "'right', which is not described"),
        (PANELS.replace("fast = [0.0, 1.0, 0.0]", "fast = [1.0, 1.0, 0.0]\n"), "not at right angles"),
        (GRID + PANELS, "not both"),
        ('[header]\nwavelenth = "wave"\n', "'wavelenth', which is none of"),
        ("[images]\ncontainer = 'hdf5'\n", "need the path"),
        ("[modules]\nsize = 3\n", "modules.size"),
        ("colour = 'red'\n", "colour"),
        ("= nonsense", "is no TOML"),
    ],
)
def test_what_a_description_cannot_mean_is_refused(tmp_path: Path, part: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        described(tmp_path, part).open(edf_files(tmp_path)).header(0)


def test_headers_and_images_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = edf_files(tmp_path)[0]
    with pytest.raises(InputError, match=r"x_001\.edf has no field 'lambda'"):
        described(tmp_path, '[header]\nwavelength = "lambda"\n').open([path]).header(0)
    words = {"wave": "unknown"}
    fabio.edfimage.EdfImage(data=frames()[0], header=words).write(str(path))
    with pytest.raises(InputError, match="holds no number"):
        described(tmp_path, '[header]\nwavelength = "wave"\n').open([path]).header(0)
    fabio.edfimage.EdfImage(data=frames()[0][:30], header=words).write(str(path))
    for act in ("header", "read"):
        with pytest.raises(InputError, match="60 x 30 pixels, described are 60 x 44"):
            getattr(described(tmp_path).open([path]), act)(0)
    with pytest.raises(InputError, match="There is no file"):
        Described(tmp_path / "none.toml").open([path])


def test_hdf5_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = hdf5_file(tmp_path)
    with pytest.raises(InputError, match="no dataset /run/pictures"):
        len(described(tmp_path, HDF5.replace("/run/images", "/run/pictures")).open([path]))
    with h5py.File(path, "r+") as file:
        del file["run/images"]
        file["run/images"] = np.zeros((3, 5, 6), np.uint16)
    with pytest.raises(InputError, match=r"frames of 60 x 44"):
        len(described(tmp_path, HDF5).open([path]))

"""What smalti and dials.import make of the same images; the known differences are in decision 0020."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from smalti.files import read_whole
from smalti.models import Detector, Experiment, Experiments
from smalti.steps.importing import ImportOptions, import_images
from smalti.steps.panelling import to_modules, to_single
from smalti.storage import read_experiments
from smalti_plugins.formats.described.reader import Described
from smalti_plugins.formats.generic import FabioGeneric
from smalti_plugins.formats.imgcif import ImgCifReader
from smalti_plugins.formats.pilatus import PilatusCbf

pytestmark = [pytest.mark.data, pytest.mark.dials]

READERS = (PilatusCbf(), ImgCifReader(), FabioGeneric())
FRAMES = (
    "DLS_I03_smargon_0001.cbf.gz",
    "DLS_I23_P12M_thau_00001.cbf.gz",
    "dlsnxs2cbf_therm_0001.cbf.gz",
    "run2_1_00148.cbf.bz2",
)


def imported_by_dials(files: list[Path], dials: str, folder: Path, *words: str) -> Experiments:
    out = folder / "dials.expt"
    command = [f"{dials}/dials.import", *map(str, files), f"output.experiments={out}", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return read_experiments(out)


def of(experiments: Experiments, template: Path) -> list[Experiment]:
    """The experiments of one template, named by any of its images."""
    start = template.name.split(".")[0].rstrip("0123456789")
    return [
        item
        for item in experiments
        if item.imageset is not None and Path(item.imageset.path(1)).name.startswith(start)
    ]


@pytest.fixture(scope="module")
def backwards(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of a backward scan, under a name with a number: dials.import fails on one without."""
    path = tmp_path_factory.mktemp("backwards") / "omega_scan_0019.cbf"
    path.write_bytes((data / "formats" / "omega_scan.cbf").read_bytes())
    return path


@pytest.fixture(scope="module")
def modules(data: Path, dials: str, backwards: Path, tmp_path_factory: pytest.TempPathFactory) -> Experiments:
    """All images, several panels where DIALS can; one call, for it takes seconds to start."""
    files = [data / "formats" / name for name in FRAMES]
    files += sorted((data / "l_cysteine").glob("*.cbf.gz"))
    files += sorted((data / "thaumatin_grid").glob("*.bz2"))[:2]
    folder = tmp_path_factory.mktemp("modules")
    return imported_by_dials([*files, backwards], dials, folder, "format.multi_panel=True")


@pytest.fixture(scope="module")
def singles(data: Path, dials: str, tmp_path_factory: pytest.TempPathFactory) -> Experiments:
    files = [data / "formats" / name for name in FRAMES]
    return imported_by_dials(files, dials, tmp_path_factory.mktemp("singles"))


def holder(detector: Detector, corner: tuple[int, int], size: tuple[int, int]) -> int:
    """The panel of a detector that holds a window of the raw frame."""
    for number, panel in enumerate(detector.panels):
        (u, v), (p, q) = panel.window, panel.image_size
        if (
            u <= corner[0]
            and v <= corner[1]
            and corner[0] + size[0] <= u + p
            and corner[1] + size[1] <= v + q
        ):
            return number
    raise AssertionError(f"no panel holds the window at {corner}")


def apart(ours: Detector, theirs: Detector) -> float:
    """Largest distance in mm between where two detectors have the corners of our panels."""
    worst = 0.0
    ours_d, theirs_d = ours.stacked(), theirs.stacked()
    for k, panel in enumerate(ours.panels):
        number = holder(theirs, panel.window, panel.image_size)
        other = theirs.panels[number]
        shift = np.subtract(panel.window, other.window)
        for part in ((0, 0), (1, 0), (0, 1), (1, 1)):
            px = np.multiply(part, panel.image_size)
            a = ours_d[k] @ np.array([*(px * panel.pixel_size), 1.0])
            b = theirs_d[number] @ np.array([*((px + shift) * other.pixel_size), 1.0])
            worst = max(worst, float(np.linalg.norm(a - b)))
    return worst


def agree(ours: list[Experiment], theirs: list[Experiment], *, stills: bool = False) -> None:
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs, strict=True):
        assert a.beam.wavelength == pytest.approx(b.beam.wavelength, abs=1e-9)
        np.testing.assert_allclose(a.beam.unit_s0, b.beam.unit_s0, atol=1e-12)
        assert apart(a.detector, b.detector) < 1e-6
        panel, other = a.detector.panels[0], b.detector.panels[0]
        assert (panel.thickness, panel.material) == (pytest.approx(other.thickness), other.material)
        assert panel.mu == pytest.approx(other.mu, rel=1e-6)
        assert panel.parallax == other.parallax
        if stills:
            continue
        assert a.goniometer is not None and b.goniometer is not None
        assert a.scan is not None and b.scan is not None
        np.testing.assert_allclose(a.goniometer.F, b.goniometer.F, atol=1e-6)
        np.testing.assert_allclose(a.goniometer.S, b.goniometer.S, atol=1e-6)
        np.testing.assert_allclose(a.goniometer.axis, b.goniometer.axis, atol=1e-9)
        assert a.scan.image_range == b.scan.image_range
        np.testing.assert_allclose(a.scan.oscillation, b.scan.oscillation, atol=1e-12)
        np.testing.assert_allclose(a.scan.exposure_times, b.scan.exposure_times)
        np.testing.assert_allclose(a.scan.epochs, b.scan.epochs, atol=1e-3)


@pytest.mark.parametrize("name", FRAMES)
def test_single_frames(name: str, data: Path, modules: Experiments) -> None:
    path = data / "formats" / name
    agree(list(import_images([path], READERS).experiments), of(modules, path))


@pytest.mark.parametrize("name", FRAMES)
def test_single_frames_as_single_panels(name: str, data: Path, singles: Experiments) -> None:
    """One panel with the gaps masked; for the barrel one for each of its 24 rows."""
    path = data / "formats" / name
    ours = list(import_images([path], READERS, ImportOptions(panels="single")).experiments)
    theirs = of(singles, path)
    agree(ours, theirs)
    assert len(ours[0].detector) == len(theirs[0].detector)
    if len(ours[0].detector) == 1:
        assert ours[0].detector.panels[0].mask == theirs[0].detector.panels[0].mask


def test_two_sweeps_with_arm_and_kappa(data: Path, modules: Experiments) -> None:
    ours = import_images([data / "l_cysteine"], READERS).experiments
    agree(list(ours), of(modules, Path("l-cyst_0")))
    assert [len(item.detector) for item in ours] == [24, 24]
    assert ours[0].detector is ours[1].detector and ours[0].beam is ours[1].beam
    assert ours[0].goniometer is not ours[1].goniometer


def test_stills(data: Path, modules: Experiments) -> None:
    files = sorted((data / "thaumatin_grid").glob("*.bz2"))[:2]
    ours, theirs = list(import_images(files, READERS).experiments), of(modules, files[0])
    agree(ours, theirs, stills=True)
    # The panels have the same numbers, so that tables can be exchanged.
    windows = [[panel.window for panel in item.detector.panels] for item in (ours[0], theirs[0])]
    assert windows[0] == windows[1]


def test_a_backward_scan_differs_as_decided(backwards: Path, modules: Experiments) -> None:
    """DIALS turns the angles of a backward scan but not its axis: decision 0020."""
    ours = import_images([backwards], READERS).experiments[0]
    (theirs,) = of(modules, backwards)
    assert apart(ours.detector, theirs.detector) < 1e-6
    assert ours.scan is not None and theirs.scan is not None
    np.testing.assert_allclose(ours.scan.oscillation, theirs.scan.oscillation)
    assert ours.goniometer is not None and theirs.goniometer is not None
    np.testing.assert_allclose(ours.goniometer.F, theirs.goniometer.F, atol=1e-9)
    np.testing.assert_allclose(ours.goniometer.axis, -theirs.goniometer.axis, atol=1e-9)
    # The header itself: omega begins at -10 deg and goes on by -0.5 deg about +x.
    assert b"SCAN1 GONIOMETER_OMEGA -10.0000 -0.5000" in backwards.read_bytes()


def test_smv_with_the_scan_told(data: Path, dials: str, tmp_path: Path) -> None:
    files = sorted((data / "snase").glob("*.img.gz"))
    ours = import_images(files, READERS, ImportOptions(start=0.0, width=1.0)).experiments
    words = ("geometry.scan.oscillation=0,1", "geometry.goniometer.axis=1,0,0")
    theirs = imported_by_dials(files, dials, tmp_path, *words)
    assert len(ours) == len(theirs) == 1
    agree(list(ours), list(theirs))


def test_a_refined_detector_of_dials_divides(data: Path) -> None:
    whole = read_experiments(data / "tables" / "i04_weak" / "data.expt")[0].detector
    assert len(whole) == 1
    division = to_modules(whole)
    assert len(division.fine) == 60
    assert apart(division.fine, whole) < 1e-9
    assert apart(division.fine, to_single(division.fine).coarse) < 1e-9


def test_a_tree_of_axes(data: Path, dials: str, tmp_path: Path) -> None:
    """The CS-PAD: quadrants, sensors and ASICs with the same names, frames and order."""
    (packed,) = (data / "cspad_lysozyme").glob("*.cbf.gz")
    path = tmp_path / packed.stem  # DIALS does not read this format compressed
    path.write_bytes(read_whole(packed))
    ours = import_images([path], READERS)
    assert ours.readers == ("imgcif",) and ours.warnings == ()
    (ours_one,) = ours.experiments
    (theirs_one,) = imported_by_dials([path], dials, tmp_path)
    assert ours_one.is_still and theirs_one.is_still
    assert ours_one.beam.wavelength == pytest.approx(theirs_one.beam.wavelength, abs=1e-9)
    np.testing.assert_allclose(ours_one.beam.unit_s0, theirs_one.beam.unit_s0, atol=1e-12)
    mine, other = ours_one.detector, theirs_one.detector
    np.testing.assert_allclose(mine.stacked(), other.stacked(), atol=1e-9)
    assert [len(mine.nodes(level)) for level in range(4)] == [1, 4, 32, 64]
    for a, b in zip(mine.walk(), other.walk(), strict=True):
        assert (a.path, a.name, a.panels) == (b.path, b.name, b.panels)
        np.testing.assert_allclose(a.rotation, b.rotation, atol=1e-9)
        np.testing.assert_allclose(a.origin, b.origin, atol=1e-9)
    for p, q in zip(mine.panels, other.panels, strict=True):
        assert (p.image_size, p.pixel_size, p.gain) == (q.image_size, q.pixel_size, q.gain)
        # DIALS 3.12 leaves its limits out, 0 and 16383; ours are the same counts, the upper one included.
        assert (p.trusted_range, q.trusted_range) == ((0.5, 16383.0), (0.0, 16383.0))


def test_a_described_detector_of_chips(data: Path, dials: str, tmp_path: Path) -> None:
    """Where DIALS has a class for one instrument smalti has a description, that of the documentation."""
    path = data / "formats" / "TIMEPIX_SU_512-stdgoni_0001.img"
    description = Path(__file__).parents[3] / "docs" / "how-to" / "timepix.toml"
    (ours,) = import_images([path], [Described(description)]).experiments
    (theirs,) = imported_by_dials([path], dials, tmp_path)
    assert [panel.window for panel in ours.detector.panels] == [p.window for p in theirs.detector.panels]
    assert apart(ours.detector, theirs.detector) < 1e-9
    assert ours.beam.wavelength == theirs.beam.wavelength
    assert ours.goniometer is not None and theirs.goniometer is not None
    np.testing.assert_allclose(ours.goniometer.laboratory_axis, theirs.goniometer.laboratory_axis, atol=1e-6)
    assert ours.scan is not None and theirs.scan is not None
    np.testing.assert_allclose(ours.scan.oscillation, theirs.scan.oscillation)
    np.testing.assert_allclose(ours.scan.exposure_times, theirs.scan.exposure_times)

"""Master files of EIGERs from before NXmx: frames, geometry and mask, ours and those of dials.import."""

from __future__ import annotations

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from smalti.steps.importing import ImportOptions, import_images
from smalti.storage import read_experiments
from smalti_plugins.formats.nexus.reader import Nxmx

from .nxmx_files import frames
from .old_masters import old_master


@pytest.mark.parametrize("bits", [16, 32])
def test_frames_of_linked_files_come_in_order(tmp_path: Path, bits: int) -> None:
    series = Nxmx().open([old_master(tmp_path, bits)])
    assert len(series) == 5
    for index, want in enumerate(frames()):
        np.testing.assert_array_equal(series.read(index), want)


def test_what_the_master_says(tmp_path: Path) -> None:
    series = Nxmx().open([old_master(tmp_path)])
    header = series.header(2)
    (panel,) = header.detector.panels
    np.testing.assert_allclose(header.detector.stacked()[0, :, 2], (-3.15, 2.025, -125.0), atol=1e-6)
    assert panel.image_size == (60, 44) and panel.pixel_size == pytest.approx((0.1, 0.1))
    assert panel.material == "Si" and panel.thickness == pytest.approx(0.45)
    assert panel.trusted_range[1] == 50000.0
    assert header.beam.wavelength == pytest.approx(0.98)
    assert np.degrees([header.start, header.width]) == pytest.approx([30.5, 0.25])
    good = series.mask()
    assert good is not None and not good[20:24].any() and not good[3, 5]
    assert good.sum() == good.size - 4 * 60 - 1


def test_modules_win_over_what_old_files_have(tmp_path: Path) -> None:
    """Files from version 1.8 on have modules and chains beside all that the old ones have: these win."""
    from .nxmx_files import experiment, written

    path = written(tmp_path, "external")
    with h5py.File(path, "r+") as file:
        home = file["entry/instrument/detector"]
        home["beam_center_x"], home["beam_center_y"], home["detector_distance"] = 1.0, 2.0, 9.0
        home.create_group("detectorSpecific")["nimages"] = 5
    header = Nxmx().open([path]).header(0)
    np.testing.assert_allclose(header.detector.stacked(), experiment().detector.stacked(), atol=1e-12)


@pytest.mark.dials
def test_dials_makes_the_same_of_an_old_master(tmp_path: Path, dials: str) -> None:
    # It opens such files of the sizes of EIGERs only.
    path = old_master(tmp_path, images=[np.ones((1065, 1030), np.int32)] * 3)
    command = [f"{dials}/dials.import", str(path), "output.experiments=theirs.expt"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    (theirs,) = read_experiments(tmp_path / "theirs.expt")
    (ours,) = import_images([path], [Nxmx()], ImportOptions()).experiments
    assert len(theirs.detector) == 1 and len(ours.detector) == 1
    np.testing.assert_allclose(ours.detector.stacked(), theirs.detector.stacked(), atol=1e-6)
    assert ours.beam.wavelength == pytest.approx(theirs.beam.wavelength, abs=1e-6)
    assert ours.goniometer is not None and theirs.goniometer is not None
    np.testing.assert_allclose(ours.goniometer.laboratory_axis, theirs.goniometer.laboratory_axis, atol=1e-9)
    assert ours.scan is not None and theirs.scan is not None
    assert ours.scan.image_range == theirs.scan.image_range
    # DIALS 3.12 counts the angle from zero in such files; they say that omega begins at 30 deg.
    np.testing.assert_allclose(np.degrees(ours.scan.oscillation), (30.0, 0.25), atol=1e-5)
    np.testing.assert_allclose(np.degrees(theirs.scan.oscillation), (0.0, 0.25), atol=1e-5)

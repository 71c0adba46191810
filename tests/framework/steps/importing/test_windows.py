"""Panels of models that do not say where they are on the raw frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.steps.finding import FindOptions, find_spots
from smalti.steps.importing import ImportOptions, import_images, with_windows
from smalti.steps.simulating import SimulateOptions, simulate
from smalti_plugins.formats.nexus.reader import Nxmx
from smalti_plugins.spots.dispersion_extended import DispersionExtended

READERS = (Nxmx(),)


@pytest.fixture
def imported(tmp_path: Path) -> Experiments:
    options = SimulateOptions(
        layout="PILATUS 300K", n_images=3, distance=80.0, counts=3000.0, beam_stop=0.0, image_format="nxmx"
    )
    simulate(options, tmp_path)
    return import_images([tmp_path / "simulated_master.h5"], READERS, ImportOptions()).experiments


def without_windows(experiments: Experiments) -> Experiments:
    """As DIALS writes them."""
    (item,) = experiments
    panels = tuple(replace(panel, window=(0, 0)) for panel in item.detector.panels)
    return Experiments((replace(item, detector=replace(item.detector, panels=panels)),))


def test_spots_are_found_with_a_model_that_has_no_windows(imported: Experiments) -> None:
    bare = without_windows(imported)
    finder, options = DispersionExtended(), FindOptions(jobs=1)
    with pytest.raises(InputError, match="lies over another one"):
        find_spots(bare, READERS, finder, options)
    placed = with_windows(bare, READERS)
    assert placed[0].detector == imported[0].detector
    ours, theirs = (find_spots(item, READERS, finder, options).reflections for item in (imported, placed))
    assert ours.n_rows > 10
    np.testing.assert_array_equal(ours["bbox"], theirs["bbox"])


def test_a_refined_model_keeps_its_places(imported: Experiments) -> None:
    (item,) = without_windows(imported)
    frames = item.detector.stacked()
    frames[:, :, 2] += (0.3, -0.4, 5.0)
    moved = replace(item, detector=item.detector.with_panel_frames(frames))
    (placed,) = with_windows(Experiments((moved,)), READERS)
    np.testing.assert_array_equal(placed.detector.stacked(), moved.detector.stacked())
    windows = [panel.window for panel in imported[0].detector.panels]
    assert [panel.window for panel in placed.detector.panels] == windows


def test_panels_in_another_order_get_no_windows(imported: Experiments) -> None:
    (item,) = without_windows(imported)
    turned = replace(item, detector=item.detector.with_panel_frames(item.detector.stacked()[::-1]))
    experiments = Experiments((turned,))
    assert with_windows(experiments, READERS)[0].detector == turned.detector


def test_models_with_windows_stay_as_they_are(imported: Experiments) -> None:
    assert with_windows(imported, READERS) is imported

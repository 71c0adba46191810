"""Distance and tilts of the detector in narrow sweeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.indexing import IndexOptions, index

from .made_up import COMPONENTS, FAST, SMALL_CELL, sweep

NOTE = "distance and tilts as before"


def narrow(rng, further):
    """Six degrees, the header's detector ``further`` mm beyond the true one; spots scatter systematically."""
    experiments, spots, _ = sweep(rng, n=400, images=20, d_min=2.0)
    detector = experiments[0].detector
    normal = np.cross(*detector.stacked()[0, :, :2].T)
    away = further * normal * np.sign(normal @ detector.stacked()[0, :, 2])
    moved = detector.moved({(): (np.eye(3), away)})
    return Experiments((replace(experiments[0], detector=moved),)), spots


def distance(experiments):
    frame = experiments[0].detector.stacked()[0]
    return abs(np.cross(frame[:, 0], frame[:, 1]) @ frame[:, 2])


def run(experiments, spots):
    return index(experiments, spots, FAST, *COMPONENTS, IndexOptions(max_cell=75.0))


def test_a_header_that_explains_the_spots_keeps_its_distance(rng):
    experiments, spots = narrow(rng, 0.0)
    result = run(experiments, spots)
    assert distance(result.experiments) == pytest.approx(distance(experiments), abs=0.02)
    assert result.cycles[-1].note.startswith(NOTE)
    assert NOTE in result.text()
    assert result.summary()["macrocycles"][-1]["note"] == result.cycles[-1].note
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(SMALL_CELL[:3]), rel=3e-3)


def test_a_header_that_is_clearly_wrong_does_not(rng):
    experiments, spots = narrow(rng, 12.0)
    result = run(experiments, spots)
    assert result.cycles[-1].note == ""
    assert distance(result.experiments) == pytest.approx(distance(experiments) - 12.0, abs=1.5)
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(SMALL_CELL[:3]), rel=8e-3)


def test_a_wide_sweep_is_refined_freely(rng):
    experiments, spots, _ = sweep(rng, n=400, images=60)
    assert all(cycle.note == "" for cycle in run(experiments, spots).cycles)

"""Distances and tolerances."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import j0

from smalti.models import Experiments
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.scale import (
    CROSSING,
    beam_tolerances,
    cell_scale,
    distance_of,
    rescaled,
    scale_warning,
)
from smalti.testing import synthetic

from .made_up import COMPONENTS, FAST, SMALL_CELL, sweep


def further(experiments, factor):
    """The header says a distance that is ``factor`` times the true one."""
    item = experiments[0]
    step = item.beam.unit_s0 * distance_of(item) * (factor - 1.0)
    moved = item.detector.moved({(): (np.eye(3), step)})
    return replace(experiments, items=(replace(item, detector=moved),))


def test_the_crossing_is_where_bessel_has_it():
    x = brentq(lambda x: abs(j0(x)) - abs(j0(2 * x)), 1.0, 2.0)
    assert x / (2 * np.pi) == pytest.approx(CROSSING, abs=1e-4)


def test_the_tolerance_of_the_tutorial():
    truth = synthetic.experiment(
        synthetic.detector(), synthetic.crystal(synthetic.THAUMATIN, orientation=(0.0, np.pi / 2, 0.0))
    )
    (pixels,) = beam_tolerances([truth])
    # 1.85 mm for a = 57.834 at 400 mm and 0.9686 Angstrom, with a across the spindle and c along it
    assert pixels * 0.172 == pytest.approx(0.2765 * 0.9686 * 400.0 / 57.834, rel=2e-3)


def test_detectors_move_along_the_beam_and_stay_shared():
    item = synthetic.experiment(synthetic.detector(), synthetic.crystal())
    one, two = rescaled([item, replace(item, scan=replace(item.scan))], 1.02)
    assert one.detector is two.detector
    assert distance_of(one) == pytest.approx(400.0 / 1.02)
    assert one.detector.stacked()[0, :2, 2] == pytest.approx(item.detector.stacked()[0, :2, 2])


def test_scale_is_that_of_the_primitive_cells():
    known = KnownLattice.parse("I4", (44.0, 44.0, 61.0, 90.0, 90.0, 90.0))
    basis = 1.03 * np.array([[-22.0, 22.0, 30.5], [22.0, -22.0, 30.5], [22.0, 22.0, -30.5]])
    assert cell_scale(basis, known) == pytest.approx(1.03)
    assert cell_scale(basis, KnownLattice()) == 1.0
    assert scale_warning(1.004, False) == ()
    assert "3.0 % longer" in scale_warning(1.03, False)[0]


@pytest.mark.parametrize("factor", [0.93, 1.05])
def test_a_known_cell_mends_the_distance(factor, rng):
    experiments, spots, truth = sweep(rng, n=1200, images=200)
    wrong = further(experiments, factor)
    options = IndexOptions(unit_cell=SMALL_CELL, distance_from_cell=True, cycles=2)
    result = index(wrong, spots, FAST, *COMPONENTS, options)
    assert distance_of(result.experiments[0]) == pytest.approx(250.0, rel=2e-3)
    assert sorted(result.crystal.cell[:3]) == pytest.approx(sorted(SMALL_CELL[:3]), rel=2e-3)
    assert any("axes found are" in warning for warning in result.warnings)


def test_a_wrong_distance_is_told_where_the_cell_is_known(rng):
    experiments, spots, _ = sweep(rng, n=800, images=150)
    options = IndexOptions(unit_cell=SMALL_CELL, cycles=1)
    result = index(further(experiments, 1.04), spots, FAST, *COMPONENTS, options)
    assert any("distance_from_cell=true" in warning for warning in result.warnings)
    assert "0.28 lambda D / a_perp" in result.text()
    assert result.summary()["beam_shifts"][0]["tolerance_px"] > 1.0
    assert isinstance(result.experiments, Experiments)

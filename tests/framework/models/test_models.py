"""Beam, goniometer, scan, crystal, experiments."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Crystal, Experiment, Experiments, Goniometer, ImageSet, Scan
from smalti.testing.synthetic import detector


def test_the_beam_travels_away_from_the_source() -> None:
    beam = Beam((0.0, 0.0, 2.0), 0.5)
    np.testing.assert_allclose(beam.s0, (0.0, 0.0, -2.0))
    with pytest.raises(FrozenInstanceError):
        beam.wavelength = 1.0  # type: ignore[misc]


def test_axes_before_the_scan_axis_are_fixed_those_after_set_it() -> None:
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    angles = (0.3, 0.7, -0.2)
    goniometer = Goniometer.multi_axis(axes, angles, ("phi", "kappa", "omega"), 1)
    np.testing.assert_allclose(goniometer.F, rotation(axes[0], 0.3))
    np.testing.assert_allclose(goniometer.S, rotation(axes[2], -0.2))
    np.testing.assert_allclose(goniometer.laboratory_axis, rotation(axes[2], -0.2) @ axes[1])


def test_the_first_image_starts_at_the_first_angle() -> None:
    scan = Scan((5, 14), (0.1, 0.02))
    assert scan.n_images == 10
    assert scan.array_range == (4, 14)
    assert scan.angle(4.0) == pytest.approx(0.1)
    assert scan.angle_range == pytest.approx((0.1, 0.3))
    np.testing.assert_allclose(scan.array_index(scan.angle([4.5, 13.9])), [4.5, 13.9])


@pytest.mark.parametrize("cell", [(57.8, 57.8, 150.0, 90, 90, 90), (40.0, 50.0, 60.0, 80, 95, 105)])
def test_crystal_factors_into_orientation_and_cell(cell: tuple[float, ...]) -> None:
    U = rotation((1.0, -0.3, 0.8), 1.2)
    crystal = Crystal.from_A(U @ B_from_cell(cell))
    np.testing.assert_allclose(crystal.cell, cell, rtol=1e-12)
    np.testing.assert_allclose(crystal.U, U, atol=1e-12)
    np.testing.assert_allclose(crystal.B, B_from_cell(cell), atol=1e-15)
    # PDB convention: a along x means that B is lower triangular and its first row is 1/a.
    assert crystal.B[0, 0] == pytest.approx(1.0 / cell[0])
    np.testing.assert_allclose(np.triu(crystal.B, 1), 0.0, atol=1e-15)


def test_sharing_is_identity_not_equality() -> None:
    shared, other = Beam(), Beam()
    plain = detector("PILATUS 100K")
    experiments = Experiments(tuple(Experiment(beam, plain) for beam in (shared, shared, other)))
    assert len(experiments.unique("beam")) == 2
    assert len(experiments.unique("detector")) == 1
    assert experiments.unique("crystal") == ()


def test_image_paths_follow_the_template() -> None:
    assert ImageSet("a/b_####.cbf").path(7) == "a/b_0007.cbf"
    assert ImageSet(images=("x.cbf", "y.cbf")).path(2) == "y.cbf"


def test_stills_are_recognised() -> None:
    plain = detector("PILATUS 100K")
    assert Experiment(Beam(), plain).is_still
    assert Experiment(Beam(), plain, Goniometer(), Scan((1, 1), (0.0, 0.0))).is_still
    assert not Experiment(Beam(), plain, Goniometer(), Scan((1, 1), (0.0, 0.1))).is_still

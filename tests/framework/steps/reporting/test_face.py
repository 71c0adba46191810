"""Detectors on paper: flat, rolled about an axis, and facing several ways."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Panel, vector
from smalti.steps.reporting.cells import divide
from smalti.steps.reporting.face import face_of
from smalti.testing import synthetic

BEAM = Beam(wavelength=1.0)
DISTANCE = 250.0


def towards(*turns):
    """A panel of 100 x 20 mm that stands across the beam and is then turned about the sample."""
    R = np.eye(3)
    for axis, angle in turns:
        R = rotation(axis, np.radians(angle)) @ R
    corner = R @ np.array([-50.0, 10.0, -DISTANCE])
    fast, slow = R @ [1.0, 0.0, 0.0], R @ [0.0, -1.0, 0.0]
    return Panel("p", vector(fast), vector(slow), vector(corner), (1000, 200), (0.1, 0.1))


def overlap(face):
    """Largest overlap of any two outlines' bounding boxes, mm."""
    corners = face.corners()
    low, high = corners.min(axis=1), corners.max(axis=1)
    both = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    depth = both.min(axis=2)
    np.fill_diagonal(depth, -np.inf)
    return depth.max()


def test_a_flat_detector_is_drawn_as_its_image_shows_it():
    face = face_of(synthetic.detector("PILATUS 2M", 300.0, beam_centre=(700.0, 800.0)), BEAM)
    assert face.kind == "flat"
    left, top, right, bottom = face.bounds()
    assert (right - left, bottom - top) == pytest.approx((1475 * 0.172, 1679 * 0.172))
    # Fast to the right, slow downwards, and the beam where it was put.
    assert face.linear[0] == pytest.approx(np.eye(2), abs=1e-12)
    assert face.beam - [left, top] == pytest.approx([700 * 0.172, 800 * 0.172], abs=1e-9)
    assert overlap(face) < 0


@pytest.mark.parametrize("axis", [(1, 0, 0), (0.2, 1, 0)])
def test_a_tilted_detector_keeps_its_shape(axis):
    detector = synthetic.detector("PILATUS 2M", 300.0)
    R = rotation(axis, 0.5)
    face = face_of(detector.moved({(): (R, np.zeros(3))}), BEAM)
    assert face.kind == "flat"
    assert np.linalg.det(face.linear[0]) == pytest.approx(1.0, abs=1e-9)
    left, top, right, bottom = face.bounds()
    assert right - left == pytest.approx(1475 * 0.172, abs=1e-6)


def test_a_barrel_is_unrolled():
    step = 5.0
    angles = step * np.arange(-9, 10)
    detector = Detector.flat(tuple(towards(((1, 0, 0), angle)) for angle in angles))
    face = face_of(detector, BEAM)
    assert face.kind == "unrolled"
    assert face.linear == pytest.approx(np.tile(np.eye(2), (19, 1, 1)), abs=1e-9)
    centres = face.centres()
    assert centres[:, 0] == pytest.approx(centres[0, 0])
    # Arc length between neighbours, so that the panels lie beside one another.
    assert np.abs(np.diff(centres[:, 1])) == pytest.approx(DISTANCE * np.radians(step), rel=1e-9)
    assert centres[9] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert face.beam == pytest.approx([0.0, 0.0])
    assert overlap(face) < 0


def test_panels_that_face_several_ways_keep_their_angle_from_the_beam():
    turns = [(0, 0), (25, 0), (-25, 0), (0, 40), (0, -40), (25, 40)]
    panels = tuple(towards(((0, 1, 0), along), ((1, 0, 0), up)) for up, along in turns)
    detector = Detector.flat(panels)
    face = face_of(detector, BEAM)
    assert face.kind == "spread"
    centres = detector.stacked() @ np.array([50.0, 10.0, 1.0])
    off = np.arccos(centres @ BEAM.unit_s0 / np.linalg.norm(centres, axis=1))
    assert np.linalg.norm(face.centres(), axis=1) == pytest.approx(DISTANCE * off, abs=1e-6)
    assert np.abs(np.linalg.det(face.linear)) == pytest.approx(1.0, abs=1e-6)


def test_points_and_vectors_go_with_their_panel():
    face = face_of(synthetic.detector("PILATUS 2M", 300.0), BEAM)
    panel, mm = np.array([3, 3, 20]), np.array([[1.0, 2.0], [11.0, 2.0], [5.0, 5.0]])
    place = face.place(panel, mm)
    assert place[1] - place[0] == pytest.approx([10.0, 0.0], abs=1e-9)
    assert face.direction(panel[:1], np.array([[10.0, 0.0]]))[0] == pytest.approx(
        place[1] - place[0], abs=1e-9
    )


@pytest.mark.parametrize("n", [0, 500, 10**7])
def test_cells_tile_every_panel_and_stay_few(n):
    face = face_of(synthetic.detector("PILATUS 6M", 300.0), BEAM)
    cells = divide(face, n)
    assert 60 <= cells.n <= 1400
    assert cells.size * cells.grid == pytest.approx(face.size)
    assert cells.panels().tolist() == sorted(cells.panels().tolist())
    # The middle of each cell is in that cell.
    assert cells.index(cells.panels(), cells.middles()).tolist() == list(range(cells.n))
    edge = np.array([[face.size[0, 0], face.size[0, 1]]])
    assert cells.index(np.array([0]), edge)[0] == cells.grid[0].prod() - 1

"""The search for the orientation of a known cell, with few spots."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.geometry.lattice import cell_of, multiple, niggli
from smalti_plugins.indexers._directions import half_sphere
from smalti_plugins.indexers.known_cell import KnownCell

from .clouds import cloud, orientation_matrix

CELLS = {
    "tetragonal": (57.8, 57.8, 150.0, 90.0, 90.0, 90.0),
    "triclinic": (31.2, 42.5, 55.1, 83.0, 97.0, 104.0),
    "monoclinic": (20.0, 30.0, 41.0, 90.0, 100.0, 90.0),
    "small": (5.42, 8.13, 12.02, 90.0, 90.0, 90.0),
    "body-centred": (90.83, 90.83, 90.83, 109.4712, 109.4712, 109.4712),
}


@pytest.mark.parametrize("name", list(CELLS))
@pytest.mark.parametrize("n", [35, 60])
def test_a_few_dozen_spots_tell_the_orientation(name, n, rng):
    A = orientation_matrix(CELLS[name], (2.1, 0.6, 1.7))
    points = cloud(A, rng, n=n, d_min=0.8 if name == "small" else 4.0, span=30.0)
    reduced = niggli(np.linalg.inv(A))[0]
    known = tuple(np.array(cell_of(reduced)) * [1.01, 1.01, 1.01, 1, 1, 1])
    best = KnownCell().candidates(points, 200.0, known)[0]
    assert multiple(np.linalg.inv(best.A), reduced, 0.04) == 1


def test_spurious_spots_and_a_wrong_beam_do_no_harm(rng):
    A = orientation_matrix(CELLS["triclinic"])
    points = cloud(A, rng, n=200, d_min=4.0, spurious=0.4, offset=0.01)
    best = KnownCell().candidates(points, 80.0, cell_of(niggli(np.linalg.inv(A))[0]))[0]
    assert multiple(np.linalg.inv(best.A), np.linalg.inv(A), 0.06) == 1


def test_without_the_cell_it_says_what_to_do(rng):
    points = cloud(orientation_matrix(CELLS["small"]), rng, n=60, d_min=0.8)
    with pytest.raises(UsageError) as caught:
        KnownCell().candidates(points, 30.0)
    assert "--unit-cell" in caught.value.fix


def test_directions_cover_half_the_sphere(rng):
    step = np.radians(2.0)
    directions = half_sphere(step)
    assert np.linalg.norm(directions, axis=1) == pytest.approx(1.0)
    probes = rng.normal(size=(500, 3))
    probes /= np.linalg.norm(probes, axis=1)[:, None]
    nearest = np.arccos(np.abs(probes @ directions.T).max(axis=1))
    assert nearest.max() < 1.2 * step

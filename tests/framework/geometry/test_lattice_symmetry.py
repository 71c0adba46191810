"""Bravais lattices near a primitive basis."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from smalti.geometry.lattice import cell_of, primitive
from smalti.geometry.lattice_symmetry import (
    BRAVAIS,
    bravais_lattices,
    constrained_cell,
    settings,
    symmetrised,
)
from smalti.geometry.reciprocal import B_from_cell

CELLS = {
    "aP": (7.0, 8.0, 9.0, 80.0, 95.0, 103.0),
    "mP": (20.0, 30.0, 41.0, 90.0, 100.0, 90.0),
    "mC": (60.0, 33.0, 41.0, 90.0, 112.0, 90.0),
    "oP": (5.42, 8.13, 12.02, 90.0, 90.0, 90.0),
    "oC": (20.0, 55.0, 33.0, 90.0, 90.0, 90.0),
    "oI": (30.0, 44.0, 61.0, 90.0, 90.0, 90.0),
    "oF": (30.0, 44.0, 61.0, 90.0, 90.0, 90.0),
    "tP": (57.8, 57.8, 150.0, 90.0, 90.0, 90.0),
    "tI": (7.31, 7.31, 6.82, 90.0, 90.0, 90.0),
    "hP": (50.0, 50.0, 130.0, 90.0, 90.0, 120.0),
    "hR": (58.373, 58.373, 155.939, 90.0, 90.0, 120.0),
    "cP": (30.0, 30.0, 30.0, 90.0, 90.0, 90.0),
    "cI": (90.83, 90.83, 90.83, 90.0, 90.0, 90.0),
    "cF": (90.83, 90.83, 90.83, 90.0, 90.0, 90.0),
}


def turned(cell, centring, rng):
    """A primitive basis in a random orientation and an unreduced choice of axes."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    basis = np.linalg.inv(B_from_cell(cell)) @ (q * np.sign(np.linalg.det(q)))
    return np.array([[1, 1, 0], [0, 1, 2], [0, 0, 1]]) @ primitive(basis, centring)


@pytest.mark.parametrize("name", list(BRAVAIS))
def test_each_bravais_lattice_is_found_with_its_conventional_cell(name, rng):
    system, centring = BRAVAIS[name]
    basis = turned(CELLS[name], centring, rng)
    found = {item.bravais: item for item in bravais_lattices(basis, 3.0)}
    setting = found[name]
    assert setting.distortion == pytest.approx(0.0, abs=1e-4)
    assert cell_of(setting.change @ basis) == pytest.approx(setting.cell)
    assert np.linalg.det(setting.change) > 0
    assert gemmi.UnitCell(*setting.cell).volume == pytest.approx(gemmi.UnitCell(*CELLS[name]).volume)
    if name[0] not in "am":
        assert sorted(setting.cell[:3]) == pytest.approx(sorted(CELLS[name][:3]))
    if name == "mP":
        assert setting.cell == pytest.approx(CELLS[name])


def test_symmetry_agrees_with_gemmi(rng):
    order = {
        "triclinic": 1,
        "monoclinic": 2,
        "orthorhombic": 4,
        "tetragonal": 8,
        "hexagonal": 12,
        "cubic": 24,
    }
    for name, (system, centring) in BRAVAIS.items():
        basis = turned(CELLS[name], centring, rng)
        cell = gemmi.UnitCell(*cell_of(primitive(basis, "P")))
        proper = len(gemmi.find_lattice_symmetry(cell, "P", 0.5).sym_ops)
        expected = 6 if name == "hR" else order[system]
        assert proper == expected
        ours = max(
            6 if item.bravais == "hR" else order[BRAVAIS[item.bravais][0]]
            for item in bravais_lattices(basis, 0.5)
        )
        assert ours == proper


def test_a_distorted_lattice_is_told_by_its_distortion(rng):
    basis = turned((57.0, 58.6, 150.0, 90.0, 90.0, 90.0), "P", rng)
    found = {item.bravais: item.distortion for item in bravais_lattices(basis, 5.0)}
    assert found["oP"] < 0.01
    # (58.6 - 57.0)/2 on a mean of 57.8 is 1.4 %, as an angle 0.79 degrees
    assert found["tP"] == pytest.approx(np.degrees(0.8 / 57.8), abs=0.01)
    assert "tP" not in {item.bravais for item in bravais_lattices(basis, 0.5)}


def test_symmetrised_keeps_the_orientation(rng):
    basis = turned((57.7, 57.9, 150.0, 90.05, 89.95, 90.04), "P", rng)
    setting = settings(basis, "tetragonal", "P")[0]
    axes = setting.change @ basis
    ideal = symmetrised(axes, "tetragonal")
    assert cell_of(ideal) == pytest.approx(constrained_cell(setting.cell, "tetragonal"))
    assert np.linalg.det(ideal) > 0
    cosine = np.sum(ideal * axes, axis=1) / np.linalg.norm(ideal, axis=1) / np.linalg.norm(axes, axis=1)
    assert np.degrees(np.arccos(cosine)).max() < 0.1


def test_a_reverse_rhombohedral_setting_is_turned_to_obverse(rng):
    cell = CELLS["hR"]
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    hexagonal = np.linalg.inv(B_from_cell(cell)) @ (q * np.sign(np.linalg.det(q)))
    reverse = primitive(np.diag([-1.0, -1.0, 1.0]) @ hexagonal, "R")
    setting = settings(reverse, "hexagonal", "R")[0]
    axes = setting.change @ reverse
    for point in ((2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)):
        coordinates = np.array(point) @ axes @ np.linalg.inv(reverse)
        assert coordinates == pytest.approx(np.rint(coordinates), abs=1e-6)

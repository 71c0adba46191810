"""Reduction, sublattices, fitting: pure mathematics of lattices."""

from __future__ import annotations

from itertools import product

import gemmi
import numpy as np
import pytest

from smalti.geometry.lattice import (
    cell_of,
    finer_lattice,
    fit_A,
    multiple,
    niggli,
    odd_fraction,
    primitive,
    residue_classes,
    same_lattice,
    shortest_vectors,
)
from smalti.geometry.reciprocal import B_from_cell

TRICLINIC = (31.2, 42.5, 55.1, 83.0, 97.0, 104.0)


def basis_of(cell, rng=None):
    axes = np.linalg.inv(B_from_cell(cell))
    if rng is None:
        return axes
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return axes @ (q * np.sign(np.linalg.det(q)))


def every_sublattice(index):
    """All sublattices of an index, as integer matrices in Hermite normal form."""
    for a in (n for n in range(1, index + 1) if index % n == 0):
        for b in (n for n in range(1, index // a + 1) if (index // a) % n == 0):
            c = index // a // b
            for d, e, f in product(range(b), range(c), range(c)):
                yield np.array([[a, d, e], [0, b, f], [0, 0, c]])


def unimodular(rng, steps=6):
    M = np.eye(3, dtype=int)
    for _ in range(steps):
        i, j = rng.permutation(3)[:2]
        M[i] += rng.integers(-2, 3) * M[j]
    return M


def test_niggli_agrees_with_gemmi_and_does_not_depend_on_the_basis(rng):
    for _ in range(50):
        cell = (*rng.uniform(5, 150, 3), *rng.uniform(65, 115, 3))
        basis = basis_of(cell, rng)
        changed = unimodular(rng) @ basis
        reduced, change = niggli(changed)
        assert np.allclose(change @ changed, reduced)
        assert np.linalg.det(reduced) > 0
        expected = gemmi.GruberVector(gemmi.UnitCell(*cell), "P")
        expected.niggli_reduce()
        assert cell_of(reduced) == pytest.approx(expected.cell_parameters(), abs=1e-6)


def test_shortest_vectors_are_successive_minima(rng):
    basis = unimodular(rng) @ basis_of(TRICLINIC, rng)
    vectors, coefficients = shortest_vectors(basis)
    assert np.allclose(coefficients @ basis, vectors)
    span = np.array(np.meshgrid(*[np.arange(-4, 5)] * 3)).reshape(3, -1).T
    lengths = np.sort(np.linalg.norm(span[np.any(span != 0, axis=1)] @ vectors, axis=1))
    assert np.linalg.norm(vectors[0]) == pytest.approx(lengths[0])
    assert multiple(vectors, basis) == 1


@pytest.mark.parametrize(
    ("centring", "points"), [("P", 1), ("A", 2), ("B", 2), ("C", 2), ("I", 2), ("F", 4), ("R", 3)]
)
def test_primitive_cell_has_the_volume_of_one_lattice_point(centring, points, rng):
    cell = (50.0, 50.0, 130.0, 90.0, 90.0, 120.0)
    basis = basis_of(cell, rng)
    small = primitive(basis, centring)
    assert np.linalg.det(basis) / np.linalg.det(small) == pytest.approx(points)
    assert multiple(basis, small) == points
    expected = gemmi.GruberVector(gemmi.UnitCell(*cell), centring)
    expected.niggli_reduce()
    assert cell_of(small) == pytest.approx(expected.cell_parameters(), abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_finer_lattice_undoes_a_sublattice(n, rng):
    basis = basis_of(TRICLINIC, rng)
    matrices = list(every_sublattice(n))
    assert len(matrices) == len(residue_classes(n)) == n * n + n + 1
    for matrix in matrices:
        coarse = matrix @ basis
        fits = [h for h in residue_classes(n) if same_lattice(finer_lattice(h, coarse, n), basis, 1e-6)]
        assert len(fits) == 1


@pytest.mark.parametrize(("n", "q"), [(2, 0.0), (2, 0.04), (2, 0.5), (3, 0.0), (3, 0.1), (3, 2 / 3)])
def test_odd_fraction_measures_the_spots_that_need_the_larger_cell(n, q, rng):
    basis = basis_of(TRICLINIC, rng)
    h = rng.integers(-20, 20, size=(20_000, 3))
    odd = h[:, 0] % n != 0
    even_rows, odd_rows = h[~odd], h[odd]
    count = 4000
    picked = np.concatenate([even_rows[: round(count * (1 - q))], odd_rows[: round(count * q)]])
    points = picked @ np.linalg.inv(basis).T
    points += rng.normal(scale=2e-4, size=points.shape)
    assert odd_fraction(np.array([1, 0, 0]), basis, points, n) == pytest.approx(q, abs=0.02)


def test_fit_A_gives_back_the_lattice_of_noisy_points(rng):
    A = np.linalg.inv(basis_of(TRICLINIC, rng))
    h = rng.integers(-15, 16, size=(2000, 3))
    points = h @ A.T + rng.normal(scale=3e-4, size=(2000, 3))
    assert fit_A(points, h) == pytest.approx(A, abs=5e-6)


def test_multiple_knows_a_sublattice_from_another_lattice(rng):
    basis = basis_of(TRICLINIC, rng)
    assert multiple(np.diag([2, 1, 1]) @ basis, basis) == 2
    assert multiple(basis, np.diag([2, 1, 1]) @ basis) == 0
    assert not same_lattice(basis, basis_of(TRICLINIC, rng))

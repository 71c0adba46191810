"""Cells of other volumes: what fraction of the spots needs them, upwards and downwards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from smalti.geometry.lattice import finer_lattice, residue_classes
from smalti.geometry.reciprocal import B_from_cell
from smalti.steps.indexing.alternatives import alternative_cells, alternative_rows, alternatives_text
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.superlattice import enlarged, superlattices
from smalti.steps.indexing.trials import primitive_lattice

LARGE = B_from_cell((31.0, 42.0, 90.0, 90.0, 95.0, 90.0))


def spots(rng, n, q, count=4000, spurious=400):
    """Points of a lattice of which all but a fraction q has an l that n divides, and some anywhere."""
    h = rng.integers(-9, 10, size=(count, 3))
    h[:, 2] = n * rng.integers(-6, 7, size=count)
    odd = rng.choice(count, round(q * count), replace=False)
    h[odd, 2] += rng.integers(1, n, size=odd.size)
    h = h[np.any(h != 0, axis=1)]
    points = h @ LARGE.T + rng.normal(scale=2e-4, size=h.shape)
    return np.concatenate([points, rng.uniform(-0.3, 0.3, size=(spurious, 3))])


def smaller(n):
    """Basis of the cell that explains the spots but for the fraction q."""
    return np.linalg.inv(LARGE) / np.array([1.0, 1.0, float(n)])[:, None]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("q", [0.0, 0.005, 0.02, 0.05, 0.1])
def test_the_fraction_is_measured_upwards_and_taken_by_one_rule(n, q, rng):
    points, basis = spots(rng, n, q), smaller(n)
    A = np.linalg.inv(basis)
    found = superlattices(A, points)
    assert [item.factor for item in found] == ([n] if q else [])
    if q:
        assert found[0].odd == pytest.approx(q, abs=0.003 + 0.05 * q)
        assert found[0].direction == (0, 0, 1)
    # a tenth is taken, two hundredths are offered, nothing is neither
    _, taken = enlarged(A, points, 0.06)
    assert [item.factor for item in taken] == ([n] if q > 0.06 else [])


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("q", [0.0, 0.005, 0.02, 0.1])
def test_the_fraction_is_measured_downwards_too(n, q, rng):
    points = spots(rng, n, q)
    A, reductions, (least, _) = primitive_lattice(LARGE, points, IndexOptions())
    if q > 0.06:
        assert reductions == ()
        assert least == pytest.approx(q, abs=0.015)
    else:
        assert [item.factor for item in reductions] == [n]
        assert reductions[0].odd == pytest.approx(q, abs=0.01)
        assert abs(np.linalg.det(A)) == pytest.approx(abs(np.linalg.det(LARGE)) * n, rel=1e-3)


def test_all_cells_of_simple_ratios_are_told(rng):
    found, significant = alternative_cells(smaller(2), spots(rng, 2, 0.02), 0.05)
    assert len(found) == 2 * (7 + 13 + 31)
    assert [item.factor for item in significant] == [2]
    volume = abs(np.linalg.det(smaller(2)))
    for item in found:
        a, b, c, *angles = item.cell
        cosines = np.cos(np.radians(angles))
        squared = 1.0 - cosines @ cosines + 2.0 * np.prod(cosines)
        assert a * b * c * np.sqrt(squared) == pytest.approx(item.ratio * volume, rel=1e-6)
    needed = [item for item in found if item.verdict == "needed by some"]
    assert [(item.ratio, item.direction) for item in needed] == [(2.0, (0, 0, 1))]
    assert all(item.verdict == "too small" for item in found if item.ratio < 1.0)
    assert len(json.loads(json.dumps(alternative_rows(found)))) == 102
    assert "needed by some" in alternatives_text(found)


def test_a_cell_that_hardly_any_spot_needs_is_said_to_be_replaceable(rng):
    found, _ = alternative_cells(np.linalg.inv(LARGE), spots(rng, 3, 0.01), 0.05)
    third = [item for item in found if item.verdict == "would do"]
    assert [item.ratio for item in third] == [pytest.approx(1 / 3)]
    assert third[0].odd == pytest.approx(0.01, abs=0.01)
    assert "No larger one is needed" in alternatives_text(found)


def test_smeared_rows_are_no_superlattice(rng):
    """Spots between lattice points are the more the nearer to one where the geometry is bad."""
    h = rng.integers(-9, 10, size=(6000, 3)).astype(float)
    h[:, 2] += rng.normal(scale=0.15, size=len(h))
    assert superlattices(LARGE, h @ LARGE.T) == ()


def test_there_are_as_many_classes_as_planes_of_a_small_field():
    assert [len(residue_classes(n)) for n in (2, 3, 5)] == [7, 13, 31]
    for h in residue_classes(5):
        finer = finer_lattice(h, np.eye(3), 5)
        assert abs(np.linalg.det(finer)) == pytest.approx(1 / 5)
        u = h / 5.0
        coordinates = u @ np.linalg.inv(finer)
        assert coordinates == pytest.approx(np.rint(coordinates), abs=1e-9)

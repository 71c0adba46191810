import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.crystal_parameters import (
    B_from_metric,
    cell_basis,
    cell_derivatives,
    metric_derivatives,
    orientation,
    orientation_derivatives,
    symbol,
)
from smalti.geometry.reciprocal import B_from_cell
from smalti.models import cell_of_axes


def reciprocal_cell(metric):
    """Cell of the lattice that has a reciprocal metric."""
    return cell_of_axes(np.linalg.inv(B_from_metric(metric)))


SYSTEMS = {
    "triclinic": (" P 1", (10.0, 12.0, 15.0, 81.0, 95.0, 103.0), 6),
    "monoclinic b": (" P 2y", (10.0, 12.0, 15.0, 90.0, 105.0, 90.0), 4),
    "monoclinic c": (" P 2", (10.0, 12.0, 15.0, 90.0, 90.0, 105.0), 4),
    "orthorhombic": (" P 2 2", (10.0, 12.0, 15.0, 90.0, 90.0, 90.0), 3),
    "tetragonal": (" P 4", (10.0, 10.0, 15.0, 90.0, 90.0, 90.0), 2),
    "rhombohedral": (" P 3*", (10.0, 10.0, 10.0, 80.0, 80.0, 80.0), 2),
    "trigonal, hexagonal axes": (" R 3", (10.0, 10.0, 15.0, 90.0, 90.0, 120.0), 2),
    "hexagonal": (" P 6", (10.0, 10.0, 15.0, 90.0, 90.0, 120.0), 2),
    "cubic": (" I 2 2 3", (10.0, 10.0, 10.0, 90.0, 90.0, 90.0), 1),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_leaves_its_own_elements_free(system):
    hall, cell, free = SYSTEMS[system]
    basis = cell_basis(hall)
    assert len(basis.places) == free
    metric = B_from_cell(cell).T @ B_from_cell(cell)
    np.testing.assert_allclose(basis.metric(basis.parameters(metric)), metric, rtol=1e-12, atol=1e-15)
    for k, place in enumerate(basis.places):
        assert basis.parameters(metric)[k] == pytest.approx(1e5 * metric[place])


@pytest.mark.parametrize("system", SYSTEMS)
def test_any_parameters_give_a_cell_of_the_system(system, rng):
    hall, cell, _ = SYSTEMS[system]
    basis = cell_basis(hall)
    B = B_from_cell(cell)
    g = basis.parameters(B.T @ B)
    changed = reciprocal_cell(basis.metric(g * (1.0 + 0.01 * rng.normal(size=len(g)))))
    for k in range(6):
        if cell[k] in (90.0, 120.0) and system != "rhombohedral":
            assert changed[k] == pytest.approx(cell[k], abs=1e-9)
        for j in range(k):
            if cell[j] == cell[k] and system not in ("triclinic",):
                assert changed[j] == pytest.approx(changed[k], rel=1e-9)


def test_a_space_group_that_is_none_is_refused_in_words():
    with pytest.raises(DataError, match="space group 'nonsense'"):
        cell_basis("nonsense")


def test_symbols_for_people():
    assert symbol(" P 4nw 2abw") == "P 43 21 2"


def test_B_of_a_metric_follows_the_pdb_convention():
    cell = SYSTEMS["triclinic"][1]
    B = B_from_cell(cell)
    np.testing.assert_allclose(B_from_metric(B.T @ B), B, rtol=1e-12, atol=1e-15)


def test_derivatives_of_B_against_finite_differences():
    basis = cell_basis(" P 1")
    B = B_from_cell(SYSTEMS["triclinic"][1])
    metric = B.T @ B
    for E, dB in zip(basis.E, metric_derivatives(B, basis.E), strict=True):
        wide = (B_from_metric(metric + 1e-6 * E) - B_from_metric(metric - 1e-6 * E)) / 2e-6
        np.testing.assert_allclose(dB, wide, rtol=1e-6, atol=1e-6 * np.abs(wide).max())


def test_derivatives_of_the_cell_against_finite_differences():
    basis = cell_basis(" P 1")
    B = B_from_cell(SYSTEMS["triclinic"][1])
    metric = B.T @ B
    slopes = cell_derivatives(metric, basis.E)
    for k, E in enumerate(basis.E):
        more, less = (reciprocal_cell(metric + sign * 1e-7 * E) for sign in (1, -1))
        np.testing.assert_allclose(slopes[:, k], (more - less) / 2e-7, rtol=1e-6, atol=1e-3)


def test_derivatives_of_the_orientation_against_finite_differences(rng):
    p = rng.normal(size=3) * 50.0
    for k, row in enumerate(orientation_derivatives(p)):
        step = np.zeros(3)
        step[k] = 1e-2
        wide = (orientation(p + step) - orientation(p - step)) / 2e-2
        np.testing.assert_allclose(row, wide, rtol=1e-6, atol=1e-10)

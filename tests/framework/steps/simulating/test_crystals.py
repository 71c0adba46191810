"""Crystals of simulations: cells, absences, intensities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.crystals import absent, make_crystal, wilson_intensities

BASE = SimulateOptions()


def test_the_crystal_has_the_cell_and_the_orientation_asked_for() -> None:
    crystal = make_crystal(replace(BASE, orientation=(0.0, 0.0, 90.0)))
    np.testing.assert_allclose(crystal.cell, BASE.unit_cell, atol=1e-9)
    np.testing.assert_allclose(crystal.real_space[0], (0.0, 57.834, 0.0), atol=1e-12)
    assert crystal.space_group == " P 4abw 2nw"


def test_random_orientations_depend_on_the_seed_and_are_rotations() -> None:
    one, same, other = (make_crystal(replace(BASE, seed=seed)) for seed in (1, 1, 2))
    assert one == same and one != other
    np.testing.assert_allclose(one.U @ one.U.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(one.U) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space_group": "P 5"}, "Unknown space group 'P 5'"),
        ({"unit_cell": (50.0, 50.0, 50.0, 90.0, 90.0, 200.0)}, "Impossible unit cell"),
        ({"unit_cell": (50.0, 50.0, 50.0, 60.0, 60.0, 130.0)}, "Impossible unit cell"),
        ({"unit_cell": (0.0, 50.0, 50.0, 90.0, 90.0, 90.0)}, "Impossible unit cell"),
        ({"unit_cell": (50.0, 60.0, 50.0, 90.0, 90.0, 90.0)}, "does not have the symmetry of P 41 21 2"),
    ],
)
def test_impossible_crystals_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_crystal(replace(BASE, **change))


def test_screw_axes_and_centring_extinguish() -> None:
    h = np.array([[0, 0, 1], [0, 0, 4], [1, 0, 0], [2, 0, 0], [1, 1, 1], [1, 2, 3]], dtype=np.int32)
    assert absent(h, "P 41 21 2").tolist() == [True, False, True, False, False, False]
    assert absent(h, " P 4abw 2nw").tolist() == absent(h, "P41212").tolist()
    assert absent(h, "I 2 3").tolist() == [True, False, True, False, True, False]


def test_equivalents_are_equal_and_others_are_not() -> None:
    # 422: (h k l) ~ (-k h l) ~ (h -k -l), and Friedel mates; (k h l) only by a diagonal two-fold.
    h = np.array([[3, 5, 7], [-5, 3, 7], [3, -5, -7], [-3, -5, -7], [5, 3, -7], [3, 5, 8]], dtype=np.int32)
    i = wilson_intensities(h, np.full(6, 2.0), "P 41 21 2", 20.0, 1)
    np.testing.assert_array_equal(i[:5], i[0])
    assert i[5] != i[0]
    assert wilson_intensities(h, np.full(6, 2.0), "P 41 21 2", 20.0, 2)[0] != i[0]


def test_intensities_follow_wilson() -> None:
    n = 40_000
    h = np.stack(np.unravel_index(np.arange(n), (40, 40, 25)), axis=1).astype(np.int32) + 1
    d = np.full(n, 2.0)
    i = wilson_intensities(h, d, "P 1", 0.0, 3)
    assert i.mean() == pytest.approx(1.0, abs=4.5 / np.sqrt(n))
    # <I^2> / <I>^2 = 2 for acentric reflections; the variance of I^2 is 20.
    assert (i**2).mean() == pytest.approx(2.0, abs=4.5 * np.sqrt(20 / n))
    cold = wilson_intensities(h, d, "P 1", 30.0, 3)
    np.testing.assert_allclose(cold / i, np.exp(-30.0 / 8.0))

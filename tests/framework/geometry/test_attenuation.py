"""Attenuation of sensors."""

from __future__ import annotations

import pytest

from smalti.geometry.attenuation import HC, MATERIALS, attenuation_coefficient


@pytest.mark.parametrize(
    ("wavelength", "expected"),
    # What dials.import 3.12 writes for silicon.
    [(0.97625, 3.9220365583933647), (2.7552, 76.29757805861905), (0.6889, 1.4153536370336604)],
)
def test_silicon_agrees_with_dials(wavelength: float, expected: float) -> None:
    assert attenuation_coefficient("Si", wavelength) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("material", MATERIALS)
def test_tabulated_energies_give_tabulated_values(material: str) -> None:
    density, rows = MATERIALS[material]
    energies = [energy for energy, _ in rows]
    assert energies == sorted(energies)
    for energy, mass in rows:
        if energies.count(energy) == 1:
            assert attenuation_coefficient(material, HC / energy) == pytest.approx(mass * density / 10.0)


def test_edges_jump_upwards() -> None:
    below, above = (attenuation_coefficient("CdTe", HC / energy) for energy in (26.71, 26.713))
    assert above / below == pytest.approx(29.43 / 9.834, rel=1e-3)


def test_between_two_energies_it_falls_like_a_power() -> None:
    low, mid, high = (attenuation_coefficient("Si", HC / energy) for energy in (10.0, 150.0**0.5, 15.0))
    assert mid == pytest.approx((low * high) ** 0.5)


def test_what_is_not_known_means_no_correction() -> None:
    assert attenuation_coefficient("", 1.0) == 0.0
    assert attenuation_coefficient("Si", 0.0) == 0.0
    assert attenuation_coefficient("Si", 0.0251) == 0.0  # electrons

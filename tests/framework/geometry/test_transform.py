"""The wedge-wise transform: blind to the beam centre, climbed to its maxima."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.geometry.rotation import rotate
from smalti.geometry.transform import Wedges, distinct, refine_vectors, wedge_numbers, wedge_power

A = np.diag([1 / 40.0, 1 / 50.0, 1 / 60.0])
AXIS = np.array([1.0, 0.0, 0.0])


def cloud(rng, n=3000, span=np.pi):
    h = rng.integers(-6, 7, size=(n, 3))
    return h @ A.T, np.sort(rng.uniform(0.0, span, n))


def test_power_is_one_on_the_lattice_and_nothing_off_it(rng):
    points, angles = cloud(rng)
    wedges = Wedges.of(points, wedge_numbers(angles, np.zeros(len(angles), dtype=int), np.radians(12)))
    power = wedge_power([[40, 0, 0], [0, 50, 60], [20, 0, 0], [33.3, 11.0, 7.0]], wedges)
    assert power[:2] == pytest.approx(1.0)
    assert np.abs(power[2:]).max() < 0.05


def test_power_does_not_feel_the_beam_centre(rng):
    points, angles = cloud(rng)
    offset = np.array([0.004, 0.010, -0.007])
    moved = points + rotate(AXIS, -angles, np.tile(offset, (len(points), 1)))
    wedge = wedge_numbers(angles, np.zeros(len(angles), dtype=int), np.radians(6))
    vector = np.array([[0.0, 50.0, 0.0]])
    whole = abs(np.mean(np.exp(2j * np.pi * (moved @ vector[0]))))
    assert whole < 0.85, "the transform of the whole sweep is smeared"
    assert wedge_power(vector, Wedges.of(moved, wedge))[0] > 0.99


def test_vectors_climb_to_the_lattice(rng):
    points, angles = cloud(rng)
    wedges = Wedges.of(points, wedge_numbers(angles, np.zeros(len(angles), dtype=int), np.radians(12)))
    start = np.array([[40.6, -0.5, 0.7], [0.4, 49.2, 60.5]])
    found, power = refine_vectors(start, wedges)
    assert found == pytest.approx(np.array([[40.0, 0, 0], [0, 50.0, 60.0]]), abs=1e-3)
    assert power == pytest.approx(1.0)


def test_climbing_never_goes_down(rng):
    points, angles = cloud(rng, 300)
    wedges = Wedges.of(points, wedge_numbers(angles, np.zeros(len(angles), dtype=int), np.radians(12)))
    start = rng.uniform(-60, 60, size=(40, 3))
    before = wedge_power(start, wedges)
    _, after = refine_vectors(start, wedges)
    assert np.all(after >= before)


def test_wedges_never_mix_sweeps_and_have_no_gaps():
    angles = np.array([0.0, 0.1, 0.2, 0.0, 0.1, 3.0])
    sweeps = np.array([0, 0, 0, 7, 7, 7])
    number = wedge_numbers(angles, sweeps, 0.15)
    assert set(number) == set(range(number.max() + 1))
    assert not set(number[:3]) & set(number[3:])
    assert number[3] == number[4] != number[5]


def test_distinct_keeps_the_strongest_of_equal_vectors():
    vectors = np.array([[10.0, 0, 0], [-10.05, 0, 0], [0, 20.0, 0], [0.5, 0, 0]])
    kept, power = distinct(vectors, np.array([0.5, 0.9, 0.3, 1.0]), 3.0)
    assert power.tolist() == [0.9, 0.3]
    assert kept[0].tolist() == [-10.05, 0, 0]

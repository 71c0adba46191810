"""Crystals that are given at the ends of images."""

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.geometry.scan_points import between_points, of_images, orientations, turns
from smalti.models import Crystal

A0 = rotation([1.0, 2.0, 3.0], 0.7) @ np.array([[0.02, 0.0, 0.0], [0.003, 0.025, 0.0], [-0.002, 0.001, 0.03]])


def test_between_the_ends_of_images_it_is_on_a_straight_line():
    points = np.array([A0, 2.0 * A0, 4.0 * A0])
    found = between_points(points, [0.0, 0.25, 1.0, 1.5, 2.0, -3.0, 9.0])
    factors = [1.0, 1.25, 2.0, 3.0, 4.0, 1.0, 4.0]
    np.testing.assert_allclose(found, np.array(factors)[:, None, None] * A0, rtol=1e-14)


def test_an_image_is_what_it_is_in_its_middle():
    points = np.array([A0, 2.0 * A0, 4.0 * A0])
    found = of_images(points, [0.0, 0.99, 1.0, 1.7, 2.0, -1.0])
    np.testing.assert_allclose(
        found, np.array([1.5, 1.5, 3.0, 3.0, 3.0, 1.5])[:, None, None] * A0, rtol=1e-14
    )


@pytest.mark.parametrize("angle", [0.0, 1e-9, 2e-3, 1.2, 3.0])
def test_turns_are_rotation_vectors_whatever_the_cell_does(angle):
    axis = np.array([2.0, -1.0, 0.5]) / np.sqrt(5.25)
    grown = rotation(axis, angle) @ A0 / 1.01
    found = turns([A0, grown])
    np.testing.assert_allclose(found[0], 0.0, atol=1e-10)
    np.testing.assert_allclose(found[1], 1e3 * angle * axis, rtol=1e-6, atol=1e-9)


def test_orientations_are_those_of_the_crystal():
    np.testing.assert_allclose(orientations([A0])[0], Crystal.from_A(A0).U, atol=1e-12)

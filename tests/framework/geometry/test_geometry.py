"""Rotations, cells, panels and prediction against independent arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.spatial.transform import Rotation

from smalti.geometry.lattice import cell_of
from smalti.geometry.panels import (
    PanelArrays,
    absorption_depth,
    find_panels,
    intersect,
    laboratory,
    to_mm,
    to_px,
)
from smalti.geometry.prediction import (
    diffracted_beams,
    diffraction_angles,
    miller_indices_within,
    nearest_turn,
)
from smalti.geometry.reciprocal import B_from_cell, map_to_reciprocal, resolution
from smalti.geometry.rotation import rotate, rotation, rotation_derivative, rotation_vector
from smalti.testing.synthetic import detector, displaced


def test_rotation_vectors_equal_those_of_scipy_at_any_angle(rng: np.random.Generator) -> None:
    axes = rng.normal(size=(200, 3))
    axes[:6] = np.vstack([np.eye(3), -np.eye(3)])
    angles = np.concatenate([[0.0, 1e-12, 1e-6, np.pi - 1e-9, np.pi - 1e-3], rng.uniform(0.0, np.pi, 195)])
    vectors = axes / np.linalg.norm(axes, axis=1)[:, None] * angles[:, None]
    R = Rotation.from_rotvec(vectors).as_matrix()
    np.testing.assert_allclose(rotation_vector(R), vectors, atol=1e-12)
    for half_turn in Rotation.from_rotvec(np.pi * axes[3:6]).as_matrix():
        v = rotation_vector(half_turn)
        assert np.linalg.norm(v) == pytest.approx(np.pi)
        np.testing.assert_allclose(Rotation.from_rotvec(v).as_matrix(), half_turn, atol=1e-12)


def test_rotations_equal_those_of_scipy(rng: np.random.Generator) -> None:
    axis = rng.normal(size=3)
    unit = axis / np.linalg.norm(axis)
    angles, vectors = rng.uniform(-4, 4, 5), rng.normal(size=(5, 3))
    expected = Rotation.from_rotvec(unit * angles[:, None])
    np.testing.assert_allclose(rotation(axis, angles), expected.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(rotate(axis, angles, vectors), expected.apply(vectors), atol=1e-14)
    np.testing.assert_allclose(rotation_vector(rotation(axis, 0.3)), 0.3 * unit, atol=1e-14)
    axes = rng.normal(size=(5, 3))
    each = Rotation.from_rotvec(axes / np.linalg.norm(axes, axis=1)[:, None] * angles[:, None])
    np.testing.assert_allclose(rotation(axes, angles), each.as_matrix(), atol=1e-14)
    np.testing.assert_allclose(rotate(axes, angles, vectors), each.apply(vectors), atol=1e-14)
    step = 1e-6
    numeric = (rotation(axis, angles + step) - rotation(axis, angles - step)) / (2 * step)
    np.testing.assert_allclose(rotation_derivative(axis, angles), numeric, atol=1e-9)


def test_triclinic_cell_survives_the_round_trip() -> None:
    cell = (40.0, 50.0, 60.0, 80.0, 95.0, 105.0)
    axes = np.linalg.inv(rotation((1, 1, 0), 0.7) @ B_from_cell(cell))
    np.testing.assert_allclose(cell_of(axes), cell, rtol=1e-12)


def test_both_crossings_lie_on_the_ewald_sphere_and_are_told_apart(rng: np.random.Generator) -> None:
    axis = np.array([0.9, 0.1, -0.2]) / np.linalg.norm([0.9, 0.1, -0.2])
    s0 = np.array([0.02, -0.01, 1.0]) / 0.9
    q = rng.normal(size=(500, 3)) * 0.3
    angles, crosses = diffraction_angles(q, axis, s0)
    assert 100 < crosses.sum() < 500
    for column, inwards in ((0, True), (1, False)):
        phi = angles[crosses, column]
        s1 = diffracted_beams(q[crosses], phi, axis, np.eye(3), s0)
        np.testing.assert_allclose(np.linalg.norm(s1, axis=1), np.linalg.norm(s0), rtol=1e-12)
        later = diffracted_beams(q[crosses], phi + 1e-5, axis, np.eye(3), s0)
        assert np.all((np.linalg.norm(later, axis=1) < np.linalg.norm(s0)) == inwards)


def test_a_crossing_equals_the_root_found_numerically() -> None:
    q, axis, s0 = np.array([[0.1, 0.2, 0.05]]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0])
    angles, _ = diffraction_angles(q, axis, s0)

    def excess(phi: float) -> float:
        return float(np.linalg.norm(s0 + rotate(axis, phi, q)[0]) - 1.0)

    for phi in angles[0]:
        assert brentq(excess, phi - 0.1, phi + 0.1, xtol=1e-14) == pytest.approx(phi, abs=1e-11)


def test_mapping_to_reciprocal_space_undoes_diffraction(rng: np.random.Generator) -> None:
    F, S, axis = rotation((1, 2, 3), 0.4), rotation((3, 1, 0), 0.2), np.array([0.0, 1.0, 0.0])
    s0 = np.array([0.0, 0.0, -1.02])
    r0, phi = rng.normal(size=(20, 3)), rng.uniform(-3, 3, 20)
    s1 = diffracted_beams(r0 @ F.T, phi, axis, S, s0)
    np.testing.assert_allclose(map_to_reciprocal(s1, phi, s0, axis, F, S), r0, atol=1e-13)
    np.testing.assert_allclose(resolution(r0), 1.0 / np.linalg.norm(r0, axis=1))


def test_miller_indices_are_complete() -> None:
    A = rotation((1, 0, 2), 0.3) @ B_from_cell((9.0, 11.0, 13.0, 80, 95, 105))
    h = miller_indices_within(A, 2.0)
    box = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = (np.linalg.norm(box @ A.T, axis=1) <= 0.5) & np.any(box != 0, axis=1)
    assert {tuple(row) for row in h} == {tuple(row) for row in box[inside]}


def test_turns_are_nearest() -> None:
    np.testing.assert_allclose(
        nearest_turn([0.1, 0.1, 7.0], [6.0, 100.0, 0.0]), [0.1 + 2 * np.pi, 0.1 + 32 * np.pi, 7 - 2 * np.pi]
    )


def test_rays_meet_the_panel_that_they_came_from(rng: np.random.Generator) -> None:
    tree = displaced(detector("PILATUS 2M", 200.0), rng)
    arrays = PanelArrays.of(tree)
    panel = rng.integers(0, len(tree), 300)
    mm = rng.uniform(0, 1, (300, 2)) * arrays.image_size[panel] * arrays.pixel_size[panel]
    rays = laboratory(mm, panel, arrays)
    found, at = find_panels(rays * rng.uniform(0.1, 5, (300, 1)), arrays)
    np.testing.assert_array_equal(found, panel)
    np.testing.assert_allclose(at, mm, atol=1e-10)
    xy, hit = intersect(rays, panel, arrays)
    assert hit.all()
    np.testing.assert_allclose(xy, mm, atol=1e-10)
    backwards, miss = intersect(-rays, panel, arrays)
    assert not miss.any() and np.isnan(backwards).all()
    assert np.all(find_panels(-rays, arrays)[0] == -1)


def test_parallax_moves_outwards_and_back(rng: np.random.Generator) -> None:
    tree = detector("PILATUS 6M", 200.0)
    arrays = PanelArrays.of(tree)
    panel = rng.integers(0, 60, 200)
    px = rng.uniform(0, 1, (200, 2)) * arrays.image_size[panel]
    mm = to_mm(px, panel, arrays)
    # A photon is absorbed below the surface, further from the beam than where it entered.
    beam = np.array([0.0, 0.0, -200.0])
    entered, absorbed = laboratory(mm, panel, arrays), laboratory(px * 0.172, panel, arrays)
    assert np.all(np.linalg.norm(entered - beam, axis=1) < np.linalg.norm(absorbed - beam, axis=1))
    assert np.abs(absorbed - entered).max() > 0.02
    # The two directions are dxtbx's: inverse to well below a hundredth of a pixel, not exactly.
    np.testing.assert_allclose(to_px(mm, panel, arrays), px, atol=2e-3)


def test_absorption_depth_equals_its_integral() -> None:
    mu, thickness, cosine = 3.96, 0.32, 0.8
    depth = np.linspace(0.0, thickness / cosine, 200001)
    integral = np.trapezoid(mu * depth * np.exp(-mu * depth), depth)
    value = absorption_depth(np.array([cosine]), np.array([thickness]), np.array([mu]))
    assert value[0] == pytest.approx(integral, rel=1e-8)
    assert absorption_depth(np.array([cosine]), np.array([0.0]), np.array([mu]))[0] == 0.0

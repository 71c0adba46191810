"""Motions of panels between two geometries."""

from __future__ import annotations

import numpy as np

from smalti.geometry.rotation import rotation
from smalti.geometry.superposition import panel_motions, rigid_motion, rigid_motion_across_rays
from smalti.testing.synthetic import detector

SIZE = np.tile([487 * 0.172, 195 * 0.172], (24, 1))


def test_a_rigid_motion_is_found_and_no_mirror(rng: np.random.Generator) -> None:
    R, t = rotation([1.0, 2.0, -1.0], 0.3), np.array([3.0, -4.0, 5.0])
    points = rng.normal(size=(30, 3)) * [100.0, 100.0, 0.0]
    found = rigid_motion(points, points @ R.T + t)
    np.testing.assert_allclose(found[0], R, atol=1e-12)
    np.testing.assert_allclose(found[1], t, atol=1e-10)


def test_points_without_weight_have_no_say(rng: np.random.Generator) -> None:
    points = rng.normal(size=(30, 3)) * 100.0
    moved = points + [1.0, 2.0, 3.0]
    moved[5] += 50.0
    weights = np.ones(30)
    weights[5] = 0.0
    R, t = rigid_motion(points, moved, weights)
    np.testing.assert_allclose(R, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(t, [1.0, 2.0, 3.0], atol=1e-10)


def test_a_large_motion_is_found_across_rays_too(rng: np.random.Generator) -> None:
    R, t = rotation([1.0, 2.0, -1.0], 0.3), np.array([3.0, -4.0, 5.0])
    points = rng.normal(size=(30, 3)) * [100.0, 100.0, 0.0] + [0.0, 0.0, -300.0]
    found = rigid_motion_across_rays(points, points @ R.T + t)
    np.testing.assert_allclose(found[0], R, atol=1e-12)
    np.testing.assert_allclose(found[1], t, atol=1e-9)


def test_what_is_left_does_not_depend_on_the_common_motion(rng: np.random.Generator) -> None:
    points = rng.normal(size=(30, 3)) * [100.0, 100.0, 1.0] + [0.0, 0.0, -300.0]
    moved = points + 0.1 * rng.normal(size=(30, 3))
    R, t = rotation([0.2, 1.0, 0.4], 0.02), np.array([0.3, -0.2, 1.5])
    left = []
    for after in (moved, moved @ R.T + t):
        turn, shift = rigid_motion_across_rays(points, after)
        left.append((after - shift) @ turn - points)
    np.testing.assert_allclose(left[1], left[0], atol=1e-9)


def test_counting_all_directions_alike_is_the_plain_superposition(rng: np.random.Generator) -> None:
    points = rng.normal(size=(30, 3)) * 100.0 + [0.0, 0.0, -300.0]
    moved = points + rng.normal(size=(30, 3))
    for got, expected in zip(
        rigid_motion_across_rays(points, moved, along=1.0), rigid_motion(points, moved), strict=True
    ):
        np.testing.assert_allclose(got, expected, atol=1e-9)


def test_errors_along_the_rays_do_not_spoil_the_places_across(rng: np.random.Generator) -> None:
    points = rng.uniform(-200.0, 200.0, size=(60, 3)) * [1.0, 1.0, 0.0] + [0.0, 0.0, -400.0]
    ray = points / np.linalg.norm(points, axis=1)[:, None]
    moved = points + 0.05 * rng.normal(size=(60, 1)) * ray

    def across(motion: tuple[np.ndarray, np.ndarray]) -> float:
        off = points @ motion[0].T + motion[1] - moved
        return float(np.linalg.norm(off - np.sum(off * ray, axis=1)[:, None] * ray, axis=1).max())

    plain = across(rigid_motion(points, moved))
    assert across(rigid_motion_across_rays(points, moved)) < 0.6 * plain
    assert across(rigid_motion_across_rays(points, moved, along=0.05)) < 0.05 * plain


def test_motions_are_in_the_frame_of_the_panel_before() -> None:
    d = detector("PILATUS 2M").stacked()  # fast +x, slow -y, so the normal is -z
    after = d.copy()
    after[7, :, 2] += [0.02, 0.03, 0.05]
    centre = d[3] @ [SIZE[3, 0] / 2, SIZE[3, 1] / 2, 1.0]
    turn = rotation([0.0, 0.0, -1.0], 4e-4)
    after[3, :, :2] = turn @ d[3, :, :2]
    after[3, :, 2] = centre + turn @ (d[3, :, 2] - centre)
    motions = panel_motions(d, after, SIZE, rigid=False)
    np.testing.assert_allclose(motions.shift[7], [0.02, -0.03, -0.05], atol=1e-12)
    np.testing.assert_allclose(motions.centre[7], [0.02, 0.03, 0.05], atol=1e-12)
    np.testing.assert_allclose(motions.turn[3], [0.0, 0.0, 4e-4], atol=1e-12)
    np.testing.assert_allclose(motions.corners[3], 4e-4 * np.hypot(*SIZE[3]) / 2, rtol=1e-6)
    still = np.delete(np.arange(24), [3, 7])
    assert np.abs(motions.shift[still]).max() < 1e-12 and np.abs(motions.turn[still]).max() < 1e-12


def test_the_common_motion_is_taken_away(rng: np.random.Generator) -> None:
    d = detector("PILATUS 2M").stacked()
    R, t = rotation(rng.normal(size=3), 0.02), np.array([1.0, -2.0, 3.0])
    after = R @ d
    after[:, :, 2] += t
    motions = panel_motions(d, after, SIZE)
    assert np.abs(motions.shift).max() < 1e-10 and np.abs(motions.turn).max() < 1e-12
    assert motions.corners.max() < 1e-10
    np.testing.assert_allclose(motions.R, R, atol=1e-12)
    raw = panel_motions(d, after, SIZE, rigid=False)
    assert raw.corners.min() > 1.0

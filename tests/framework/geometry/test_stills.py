"""Stills against a rotation of each point onto the Ewald sphere, and against finite differences."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.derivatives import (
    BEAM,
    CRYSTAL,
    N_LOCAL,
    PANEL,
    SETTING,
    RotationState,
    Spots,
    differentiate,
    predict,
)
from smalti.geometry.rotation import rotate, rotation
from smalti.geometry.stills import StillPlane, still_beams

N = 400


@pytest.fixture
def problem(rng):
    """Two stills and a sweep on two panels; every point of the stills is near its Ewald sphere."""
    A = np.array([rotation([1.0, 2.0, 3.0], 0.3 + k) @ np.diag([0.02, 0.025, 0.03]) for k in range(3)])
    d = np.array([[[1.0, 0, x], [0, -1.0, 60.0], [0.02, 0, -90.0]] for x in (-120.0, 5.0)])
    s0 = np.array([[0.0, 0.01, -1.0], [0.02, 0.0, -1.1], [0.0, 0.0, -0.9]])
    S, axis = np.broadcast_to(np.eye(3), (3, 3, 3)), np.tile([1.0, 0.0, 0.0], (3, 1))
    state = RotationState(A, S, axis, s0, d, np.array([True, False, True]))
    h = rng.integers(-12, 13, (100 * N, 3)).astype(float)
    experiment, panel = rng.integers(0, 3, len(h)), rng.integers(0, 2, len(h))
    spots = Spots(h, rng.random(len(h)) < 0.5, np.zeros(len(h)), experiment, panel)
    xyz, _ = predict(state, spots)
    near = np.isfinite(xyz[:, 0]) & ((experiment == 1) | (np.abs(xyz[:, 2]) < 0.02))
    near &= np.abs(xyz[:, :2]).max(axis=1) < 300.0
    kinds = (np.flatnonzero(near & (state.stills[experiment] == kind))[: N // 2] for kind in (True, False))
    return state, spots.take(np.concatenate(list(kinds)))


def only(state, spots, kind):
    return spots.take(np.flatnonzero(state.stills[spots.experiment] == kind))


def test_a_point_is_turned_onto_the_sphere_by_delta_psi(problem):
    state, spots = problem
    spots = only(state, spots, True)
    xyz, s1 = predict(state, spots)
    assert len(spots.h) > 60
    for h, e, third, ray in zip(spots.h, spots.experiment, xyz[:, 2], s1, strict=True):
        q, s0 = state.FA[e] @ h, state.s0[e]
        normal = np.cross(q, s0)
        turned = rotate(normal / np.linalg.norm(normal), third, q)
        np.testing.assert_allclose(s0 + turned, ray, atol=1e-13)
        assert np.linalg.norm(ray) == pytest.approx(np.linalg.norm(s0), rel=1e-13)


def test_points_on_the_sphere_need_no_turn_and_are_those_of_the_sweep(problem):
    """A sweep's point, turned to the angle at which it diffracts, is a still of that moment."""
    state, spots = problem
    spots = only(state, spots, False)
    xyz, s1 = predict(state, spots)
    q = np.einsum("ij,nj->ni", state.FA[1], spots.h)
    at_rest = np.array([rotation(state.axis[1], phi) @ one for phi, one in zip(xyz[:, 2], q, strict=True)])
    rays, delta_psi = still_beams(at_rest, state.s0[1])
    np.testing.assert_allclose(delta_psi, 0.0, atol=1e-12)
    np.testing.assert_allclose(rays, s1, atol=1e-13)


def test_the_sign_is_positive_inside_the_sphere():
    """A point inside the sphere has to be turned towards the source to be on it; DIALS counts so."""
    s0 = np.array([0.0, 0.0, -1.0])
    on = np.array([np.sin(0.3), 0.0, -np.cos(0.3)]) - s0
    inside = rotate([0.0, 1.0, 0.0], 0.001, on)
    assert np.linalg.norm(s0 + inside) != pytest.approx(1.0)
    _, delta_psi = still_beams(np.array([inside]), s0)
    assert abs(delta_psi[0]) == pytest.approx(0.001)
    assert (delta_psi[0] > 0.0) == (np.linalg.norm(s0 + inside) < 1.0)


def test_what_cannot_diffract_is_nan():
    s0 = np.array([0.0, 0.0, -1.0])
    with np.errstate(all="raise"):
        rays, delta_psi = still_beams(np.array([[2.5, 0.0, 0.0], [0.0, 0.0, 0.3], [0.3, 0.0, 0.05]]), s0)
    np.testing.assert_array_equal(np.isnan(delta_psi), [True, True, False])
    np.testing.assert_array_equal(np.isnan(rays[:, 0]), [True, True, False])


def nudged(state, place, size):
    """The state with one local coordinate of every experiment and panel changed."""
    FA, S, s0, d = (np.array(x) for x in (state.FA, state.S, state.s0, state.d))
    if place < PANEL.stop:
        d[:, place % 3, place // 3] += size
    elif place < BEAM.stop:
        s0[:, place - BEAM.start] += size
    elif place < CRYSTAL.stop:
        FA.reshape(-1, 9)[:, place - CRYSTAL.start] += size
    else:
        S = rotation(np.eye(3)[place - SETTING.start], size) @ S
    return replace(state, FA=FA, S=S, s0=s0, d=d)


@pytest.mark.parametrize("place", range(N_LOCAL))
def test_derivatives_against_finite_differences(problem, place):
    """Stills and sweeps together; with Richardson's extrapolation, as second derivatives differ much."""
    state, spots = problem
    xyz, s1 = predict(state, spots)
    analytic = differentiate(state, spots, xyz, s1)[:, :, place]
    step = 2e-6 if place >= PANEL.stop else 1e-3
    size = np.abs(analytic).max(axis=1)
    clear = size <= np.quantile(size, 0.9)

    def slope(by):
        return (
            predict(nudged(state, place, by), spots)[0] - predict(nudged(state, place, -by), spots)[0]
        ) / (2.0 * by)

    numeric = (4.0 * slope(step) - slope(2.0 * step)) / 3.0
    scale = np.abs(analytic[clear]).max(axis=0)
    assert (np.abs(numeric - analytic)[clear] <= 1e-6 * scale + 1e-7).all()
    still = state.stills[spots.experiment]
    if place >= SETTING.start:
        assert (analytic[still] == 0.0).all()
    else:
        assert np.abs(analytic[still]).max() > 0.0


def test_turning_everything_turns_the_rays_and_keeps_delta_psi(problem):
    state, spots = problem
    spots = only(state, spots, True)
    turn = rotation([0.3, -0.2, 1.0], 0.8)
    turned = replace(state, FA=turn @ state.FA, s0=state.s0 @ turn.T, d=turn @ state.d)
    a, b = predict(state, spots), predict(turned, spots)
    np.testing.assert_allclose(a[0], b[0], atol=1e-9)
    np.testing.assert_allclose(a[1] @ turn.T, b[1], atol=1e-12)


def test_a_longer_wavelength_of_a_larger_cell_changes_nothing(problem):
    """The scale of the reciprocal lattice: s0 and A times a factor keep directions and DeltaPsi."""
    state, spots = problem
    spots = only(state, spots, True)
    scaled = replace(state, FA=1.7 * state.FA, s0=1.7 * state.s0)
    np.testing.assert_allclose(predict(state, spots)[0], predict(scaled, spots)[0], rtol=1e-11, atol=1e-12)


def test_the_plane_is_spanned_by_right_angled_unit_vectors(problem):
    state, spots = problem
    q = np.einsum("ij,nj->ni", state.FA[0], spots.h)
    plane = StillPlane.of(q, np.broadcast_to(state.s0[0], q.shape))
    axes = np.stack([plane.u, plane.c, plane.e], axis=1)
    np.testing.assert_allclose(
        axes @ np.swapaxes(axes, 1, 2), np.broadcast_to(np.eye(3), axes.shape), atol=1e-12
    )

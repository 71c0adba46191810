import numpy as np
import pytest

from smalti.geometry.beam_parameters import beam_axes, beam_derivatives, compose_beam

S0 = np.array([0.02, -0.01, -1.0])
SPINDLE = np.array([0.99, 0.1, 0.02])


def test_nothing_moves_at_zero():
    np.testing.assert_allclose(compose_beam(S0, SPINDLE, np.zeros(3)), S0, rtol=1e-15)


def test_mu1_leaves_and_mu2_keeps_the_plane_of_beam_and_spindle():
    normal = np.cross(S0, SPINDLE)
    assert abs(compose_beam(S0, SPINDLE, [0.0, 5.0, 0.0]) @ normal) < 1e-14
    assert abs(compose_beam(S0, SPINDLE, [5.0, 0.0, 0.0]) @ normal) > 1e-3


def test_nu_changes_the_length_only():
    moved = compose_beam(S0, SPINDLE, [0.0, 0.0, 0.25])
    assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(S0) + 0.25)
    np.testing.assert_allclose(np.cross(moved, S0), 0.0, atol=1e-15)


def test_derivatives_against_finite_differences(rng):
    p = rng.normal(size=3) * (10.0, 10.0, 0.01)
    steps = np.eye(3) * (1e-2, 1e-2, 1e-6)
    for row, step in zip(beam_derivatives(S0, SPINDLE, p), steps, strict=True):
        wide = compose_beam(S0, SPINDLE, p + step) - compose_beam(S0, SPINDLE, p - step)
        np.testing.assert_allclose(row, wide / (2 * step.max()), rtol=1e-6, atol=1e-12)


def test_a_spindle_along_the_beam_still_gives_two_axes_across_it():
    first, second = beam_axes(S0, S0)
    assert abs(first @ S0) < 1e-14 and abs(second @ S0) < 1e-14 and abs(first @ second) < 1e-14

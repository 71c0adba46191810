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
from smalti.geometry.prediction import nearest_turn
from smalti.geometry.rotation import rotation
from smalti.models import Goniometer, matrix
from smalti.steps.predicting import predict_sweep
from smalti.testing import synthetic


@pytest.fixture
def problem(rng):
    """A tilted goniometer with a fixed and a setting rotation, a displaced detector, and its reflections."""
    goniometer = Goniometer(
        (1.0, 0.0, 0.0),
        matrix(rotation([0.2, 1.0, -0.3], 0.7)),
        matrix(rotation([-0.1, 0.4, 1.0], 0.3)),
    )
    detector = synthetic.displaced(
        synthetic.detector("PILATUS 300K", 120.0), rng, (1.0, 1.0, 1.0), (0.1,) * 3
    )
    experiment = replace(
        synthetic.experiment(detector, synthetic.crystal(), n_images=90, width=np.radians(1.0)),
        goniometer=goniometer,
    )
    table = predict_sweep(experiment, 3.0)
    table = table.take(np.arange(0, table.n_rows, 15))
    state = RotationState(
        (goniometer.F @ experiment.crystal.A)[None],
        goniometer.S[None],
        goniometer.axis[None],
        experiment.beam.s0[None],
        detector.stacked(),
    )
    h = table["miller_index"].astype(float)
    zeros = np.zeros(len(h), dtype=np.intp)
    panel = table["panel"].astype(np.intp)
    return state, Spots(h, np.array(table["entering"]), table["xyzcal.mm"][:, 2], zeros, panel), table


def test_predictions_are_those_of_the_sweep(problem):
    state, spots, table = problem
    assert len(table["id"]) > 200
    xyz, s1 = predict(state, spots)
    np.testing.assert_allclose(xyz, table["xyzcal.mm"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(s1, table["s1"], rtol=0, atol=1e-12)


def test_the_turn_nearest_to_the_observation_is_predicted(problem):
    state, spots, table = problem
    later = replace(spots, angle=spots.angle + 4.0 * np.pi)
    np.testing.assert_allclose(predict(state, later)[0][:, 2], table["xyzcal.mm"][:, 2] + 4.0 * np.pi)


def test_what_never_crosses_the_sphere_is_nan(problem):
    state, spots, _ = problem
    far = replace(spots, h=spots.h * 500.0)
    assert np.isnan(predict(state, far)[0]).all()


def nudged(state, place, size):
    """The state with one local coordinate changed."""
    FA, S, s0, d = state.FA.copy(), state.S.copy(), state.s0.copy(), state.d.copy()
    if place < PANEL.stop:
        d[:, place % 3, place // 3] += size
    elif place < BEAM.stop:
        s0[0, place - BEAM.start] += size
    elif place < CRYSTAL.stop:
        FA[0].reshape(9)[place - CRYSTAL.start] += size
    else:
        S[0] = rotation(np.eye(3)[place - SETTING.start], size) @ S[0]
    return RotationState(FA, S, state.axis, s0, d)


@pytest.mark.parametrize("place", range(N_LOCAL))
def test_derivatives_against_finite_differences(problem, place):
    state, spots, table = problem
    axis = state.S[0] @ state.axis[0]
    volume = np.abs(np.cross(table["s1"], state.s0[0]) @ axis)
    clear = np.flatnonzero(volume > 0.2)  # close to the spindle the second derivatives are too large
    spots = Spots(
        *(values[clear] for values in (spots.h, spots.entering, spots.angle, spots.experiment, spots.panel))
    )
    xyz, s1 = predict(state, spots)
    analytic = differentiate(state, spots, xyz, s1)[:, :, place]
    step = 1e-7 if place >= PANEL.stop else 1e-5
    more, less = (predict(nudged(state, place, sign * step), spots)[0] for sign in (1, -1))
    wide = more - less
    wide[:, 2] = nearest_turn(wide[:, 2], 0.0)
    scale = np.abs(analytic).max(axis=0)
    np.testing.assert_array_less(np.abs(wide / (2 * step) - analytic).max(axis=0), 1e-6 * scale + 1e-6)

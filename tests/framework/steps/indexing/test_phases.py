"""Where the beam is, from phases: by likelihood, with an uncertainty, and only where it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotation
from smalti.models import Experiments
from smalti.models.frames import vector
from smalti.steps.indexing.centre import CentreShift, centre_shifts, chosen_shift, followed_shift, turns
from smalti.steps.indexing.doubts import beam_doubt
from smalti.steps.indexing.mapping import map_spots
from smalti.steps.indexing.phases import JointFit, fit_A_and_shift, growing_fits, joint_fit, likelihood
from smalti.steps.indexing.result import shift_text

from .made_up import sweep

A = B_from_cell((31.0, 42.0, 55.0, 90.0, 95.0, 90.0))


def seen(rng, angle, n=600, noise=3e-4, shift=(0.3, -0.2)):
    """Points of a lattice seen while it turned by up to ``angle``, with the detector off by a shift (mm)."""
    h = rng.integers(-8, 9, size=(n, 3))
    phi = rng.uniform(0.0, angle, n)
    c, s = np.cos(phi), np.sin(phi)
    J = np.zeros((n, 3, 2))
    J[:, 0, 0], J[:, 1, 1], J[:, 2, 1] = 0.0025, 0.0025 * c, 0.0025 * s
    points = h @ A.T - J @ np.array(shift) + rng.normal(scale=noise, size=(n, 3))
    return points, J, h


def test_lattice_and_shift_come_out_of_one_fit_with_their_scatter(rng):
    fits = [fit_A_and_shift(*seen(np.random.default_rng(k), 2.0)) for k in range(40)]
    shifts = np.array([shift for _, shift, _ in fits])
    esds = np.array([np.sqrt(np.diag(covariance)) for _, _, covariance in fits])
    pulls = (shifts - (0.3, -0.2)) / esds
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1.0, abs=0.2)
    assert fits[0][0] == pytest.approx(A, abs=1e-4)


def test_the_uncertainty_is_honest_where_coordinates_are_told_unequally_well():
    """An angle is told ten times worse than the place on the detector, and errors of a spot go together."""
    pulls = []
    for k in range(60):
        rng = np.random.default_rng(k)
        points, J, h = seen(rng, 2.0, noise=1e-4)
        along = np.cross((1.0, 0.0, 0.0), points)
        points += rng.normal(scale=6e-3, size=(len(points), 1)) * along
        _, shift, covariance = fit_A_and_shift(points, J, h)
        pulls.append((shift - (0.3, -0.2)) / np.sqrt(np.diag(covariance)))
    assert np.sqrt(np.mean(np.square(pulls), axis=0)) == pytest.approx((1.0, 1.0), abs=0.2)


def tilted(rng, degrees, images=300):
    """A sweep of which the header has the spindle wrong, and its points with the derivatives by a turn."""
    bare, spots, crystal = sweep(rng, n=1200, images=images)
    turned = rotation(np.array([0.0, 0.6, 0.8]), np.radians(degrees))
    (item,) = bare
    axis = vector(turned @ np.array(item.goniometer.rotation_axis))
    wrong = replace(item, goniometer=replace(item.goniometer, rotation_axis=axis))
    return Experiments((wrong,)), spots, crystal


def test_turns_of_the_goniometer_move_points_as_their_derivatives_say(rng):
    (item,), spots, _ = tilted(rng, 0.0)
    zero = np.zeros(spots.n_rows, dtype=np.intp)
    before = map_spots([item], spots, zero)
    derivatives = turns([item], before)
    for k in range(3):
        R = rotation(np.eye(3)[k], 1e-5)
        axis = vector(R @ np.array(item.goniometer.rotation_axis))
        turned = replace(item, goniometer=replace(item.goniometer, rotation_axis=axis))
        after = map_spots([turned], spots, zero)
        assert (after.rlp - before.rlp) / 1e-5 == pytest.approx(derivatives[:, :, k], abs=2e-5)


def test_a_tilted_spindle_is_not_taken_for_a_shift(rng):
    experiments, spots, crystal = tilted(rng, 0.5)
    zero = np.zeros(spots.n_rows, dtype=np.intp)
    mapped = map_spots(list(experiments), spots, zero)
    rows = np.argsort(np.linalg.norm(mapped.rlp, axis=1))[:800]
    (shift,) = centre_shifts(list(experiments), spots, mapped, np.array(crystal.real_space), rows, 20.0)
    assert shift.pixels == pytest.approx((0.0, 0.0), abs=5.0 * max(shift.esd))
    assert max(shift.esd) < 0.05


def test_likelihood_prefers_the_sharp_lattice_where_counts_are_equal(rng):
    points, _, _ = seen(rng, 1.0, shift=(0.0, 0.0))
    blurred = points + rng.normal(scale=9e-4, size=points.shape)
    assert likelihood(points, A) > likelihood(blurred, A) + 500.0
    strewn = rng.uniform(-0.2, 0.2, size=points.shape)
    assert abs(likelihood(strewn, A)) < 30.0


def test_a_fit_from_nearby_ends_at_the_shift(rng):
    points, J, _ = seen(rng, 2.0)
    fit = joint_fit(points, J, A, np.array([0.25, -0.15]))
    assert fit.shift == pytest.approx((0.3, -0.2), abs=0.03)
    held = joint_fit(points, J, A, np.zeros(2), hold=True)
    assert held.shift == pytest.approx((0.0, 0.0))
    assert held.likelihood < fit.likelihood


def test_a_fit_that_grows_mends_a_lattice_and_counts_each_shift_once(rng):
    """Two percent of an axis hide the shift from points of high resolution, but not from the first."""
    points, J, _ = seen(rng, 2.0, n=800)
    order = np.argsort(np.linalg.norm(points, axis=1))
    wrong = A @ np.diag([1.0, 1.0, 0.98])
    starts = [np.array(start) for start in ((0.25, -0.15), (0.35, -0.25), (0.3, -0.2))]
    fits = growing_fits(points[order], J[order], wrong, starts, 0.01)
    assert fits[0].shift == pytest.approx((0.3, -0.2), abs=0.03)
    assert fits[0].A == pytest.approx(A, abs=1e-4)
    assert len(fits) == 1


def fit(shift, value, sigma=0.01):
    return JointFit(A, np.array(shift, dtype=float), np.eye(2) * sigma**2, value)


def test_the_likeliest_is_taken_not_the_nearest():
    choice, alternatives, kept = chosen_shift(
        [fit((5, 0), 900.0), fit((1, 0), 500.0)], fit((0, 0), 100.0), 100
    )
    assert (tuple(choice.shift), alternatives, kept) == ((5.0, 0.0), 1, "")


def test_among_equals_the_header_is_believed_and_else_the_nearest():
    equal = [fit((5, 0), 900.0), fit((1, 0), 897.0)]
    choice, alternatives, kept = chosen_shift(equal, fit((0, 0), 895.0), 100)
    assert (tuple(choice.shift), alternatives) == ((0.0, 0.0), 2)
    assert "header" in kept
    choice, alternatives, kept = chosen_shift(equal, fit((0, 0), 100.0), 100)
    assert (tuple(choice.shift), alternatives, kept) == ((1.0, 0.0), 2, "")


def test_an_open_direction_is_notfollowed_shift():
    slanted = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    covariance = slanted @ np.diag([1e-4, 4.0]) @ slanted.T
    choice, kept = followed_shift(JointFit(A, np.array([2.0, 0.0]), covariance, 1.0), 0.172)
    assert choice.shift == pytest.approx((1.0, 1.0))
    assert "in one direction" in kept
    nowhere = JointFit(A, np.array([2.0, 0.0]), np.full((2, 2), np.inf), 1.0)
    assert followed_shift(nowhere, 0.172)[0].shift == pytest.approx((0.0, 0.0))


def test_people_are_told():
    sure = CentreShift((1.0, 2.0), (5.8, 11.6), 0.9, 0.1, 1, (0.03, 0.05))
    text = shift_text((sure,), (6.1,))
    assert "standard uncertainty 0.03, 0.05 px" in text and "6.1 px" in text
    assert "misplaced panels are not in it" in text
    assert "left where the header has it" in beam_doubt(CentreShift((0, 0), (0, 0), 0.9, 0.9, 3, kept="so"))
    assert "3 places" in beam_doubt(CentreShift((1.0, 0), (5.8, 0), 0.9, 0.9, 3))

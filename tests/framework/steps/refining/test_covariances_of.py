"""What is saved of the certainty of a refinement, and what is said of corners, against exact motions."""

import numpy as np
import pytest

from smalti.geometry.crystal_parameters import cell_derivatives
from smalti.geometry.superposition import panel_motions
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.certainty.covariances import cell_with_volume
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


@pytest.fixture(scope="module")
def refined(displaced_problem):
    _, experiments, table = displaced_problem
    return experiments, refine(
        experiments, table, Hierarchical(level=1), GaussNewton(), NoOutliers(), RefineOptions()
    )


def test_the_joint_matrix_holds_that_of_each_panel(refined):
    _, result = refined
    saved = result.covariances
    rows = result.results["panels"]
    assert saved.relative.covariance.shape == (60, 60) and len(saved.panels) == 10
    units = np.repeat([1e-3, 1e-3], 3)  # um in mm, mrad in rad
    for k, row in enumerate(rows):
        block = saved.relative.of_panel(k)
        np.testing.assert_allclose(block, result.panel_covariance[0][k], rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(np.array(row["covariance"]) * np.outer(units, units), block, rtol=1e-9)
        assert np.sqrt(block[2, 2]) == pytest.approx(row["esd_normal_um"] * 1e-3)
    for joint in (saved.relative, saved.laboratory):
        np.testing.assert_allclose(joint.covariance, joint.covariance.T, atol=1e-15)
        assert np.linalg.eigvalsh(joint.covariance).min() > -1e-12 * np.trace(joint.covariance)
    assert saved.names == tuple(row["name"] for row in result.results["parameters"])
    np.testing.assert_allclose(
        np.sqrt(np.diag(saved.covariance)), [r["esd"] for r in result.results["parameters"]]
    )


def test_laboratory_motions_are_those_of_the_panels(refined):
    experiments, result = refined
    before, after = (e[0].detector.stacked() for e in (experiments, result.experiments))
    size = np.array([panel.size_mm for panel in experiments[0].detector.panels])
    moved = panel_motions(before, after, size, rigid=False)
    np.testing.assert_allclose(result.covariances.laboratory.values[:, :3], moved.centre, atol=1e-9)
    turned = np.linalg.norm(result.covariances.laboratory.values[:, 3:], axis=1)
    np.testing.assert_allclose(turned, np.linalg.norm(moved.turn, axis=1), rtol=1e-6)


def test_panels_are_known_better_against_one_another_than_in_the_laboratory(refined):
    saved = refined[1].covariances
    relative, laboratory = (
        np.trace(m.covariance.reshape(10, 6, 10, 6)[:, 2, :, 2]) for m in (saved.relative, saved.laboratory)
    )
    assert relative < laboratory


def test_corners_move_as_the_exact_motions_have_it(refined):
    experiments, result = refined
    before, after = (e[0].detector.stacked() for e in (experiments, result.experiments))
    size = np.array([panel.size_mm for panel in experiments[0].detector.panels])
    used = np.array([row["n_used"] > 0 for row in result.results["panels"]])
    exact = panel_motions(before, after, size, used)
    for row, corners in zip(result.results["panels"], exact.corners, strict=True):
        np.testing.assert_allclose(row["corner_um"], 1e3 * corners, rtol=1e-3, atol=0.01)
        assert all(
            across <= whole + 1e-9
            for across, whole in zip(row["corner_across_um"], row["corner_um"], strict=True)
        )
        centre = np.hypot(row["along_ray_um"], row["across_ray_um"])
        assert centre == pytest.approx(np.hypot(row["shift_um"], row["normal_um"]), rel=1e-6)
        # A panel is known worst along its ray or in its tilt, and its corners worse than its centre.
        assert row["esd_along_ray_um"] > 2.0 * row["esd_across_ray_um"]
        assert row["weakest"] in ("along its ray", "tilt")
        assert row["esd_weakest_um"] >= row["esd_along_ray_um"] - 1e-9


def test_corners_are_off_by_as_much_as_their_esds_say(refined, displaced_problem):
    truth, experiments, _ = displaced_problem
    _, result = refined
    size = np.array([panel.size_mm for panel in truth.detector.panels])
    left = (
        panel_motions(truth.detector.stacked(), result.experiments[0].detector.stacked(), size).corners * 1e3
    )
    esds = np.array([row["esd_corner_um"] for row in result.results["panels"]])
    # The length of a vector of three components, of which the ESD is that along the displacement.
    assert 0.5 < np.sqrt(np.mean(left**2 / esds**2)) < 2.5


def test_volume_and_its_slopes_are_those_of_differences():
    cell = np.array([40.0, 55.0, 61.0, 82.0, 97.0, 105.0])
    values, slopes = cell_with_volume(cell, np.eye(6))
    a, b, c, *angles = cell
    ca, cb, cg = np.cos(np.radians(angles))
    G = np.array(
        [[a * a, a * b * cg, a * c * cb], [a * b * cg, b * b, b * c * ca], [a * c * cb, b * c * ca, c * c]]
    )
    assert values[6] == pytest.approx(np.sqrt(np.linalg.det(G)))
    for k in range(6):
        step = np.zeros(6)
        step[k] = 1e-4
        up, down = (cell_with_volume(cell + sign * step, np.eye(6))[0][6] for sign in (1.0, -1.0))
        assert slopes[6, k] == pytest.approx((up - down) / 2e-4, rel=1e-7)
    by_metric = cell_derivatives(np.linalg.inv(G), np.linalg.inv(G)[None])
    # The reciprocal metric by a factor 1 + x: lengths by 1 - x / 2, and the volume by 1 - 3 x / 2.
    assert cell_with_volume(cell, by_metric)[1][6, 0] == pytest.approx(-1.5 * values[6], rel=1e-9)

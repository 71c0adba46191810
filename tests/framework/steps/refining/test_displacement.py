import numpy as np
import pytest

from smalti.steps.refining.problem.displacement import displacements
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical

ALL = np.ones(10, dtype=bool)


def frames(component, detector, p):
    """Derivatives of the panel frames by the parameters as a matrix (9 P, n)."""
    slopes = component.derivatives(detector, p)
    out = np.zeros((9 * len(detector), len(p)))
    for panel, (columns, values) in enumerate(zip(slopes.columns, slopes.values, strict=True)):
        for column, value in zip(columns, values, strict=True):
            if column >= 0:
                out[9 * panel : 9 * panel + 9, column] += value.T.ravel()
    return out


@pytest.fixture
def moved(rng):
    detector = synthetic.detector("PILATUS 1M", 160.0)
    component = Hierarchical(level=1)
    p = rng.normal(size=len(component.parameters(detector))) * 0.05
    return detector, component, p


def test_a_motion_of_the_whole_is_no_motion_of_panels(moved):
    detector, _, _ = moved
    block = Hierarchical(level=0)
    p = np.array([0.3, 0.5, -0.2, 1.0, 0.2, -0.3])
    after = block.compose(detector, p)
    found = displacements(detector, after, frames(block, detector, p), np.eye(6), ALL)
    assert np.abs(found.own).max() < 1e-9
    assert np.abs(found.own_covariance).max() < 1e-16  # against variances of 1
    assert np.linalg.norm(found.whole[:3]) == pytest.approx(np.linalg.norm(p[:3]), rel=1e-6)
    assert np.linalg.norm(found.whole[3:]) == pytest.approx(1e-3 * np.linalg.norm(p[3:]), rel=1e-3)


def test_panels_out_of_place_do_not_move_with_a_motion_of_the_whole(moved):
    """What no data see must not show in how sure the places of panels are, however unsure it is."""
    detector, component, p = moved
    after = component.compose(detector, p)
    block = Hierarchical(level=0)
    tangent = frames(block, after, np.zeros(6))
    found = displacements(detector, after, tangent, np.eye(6), ALL)
    assert np.abs(found.own).max() > 0.05
    assert np.abs(found.own_slopes).max() < 1e-12
    assert np.abs(found.laboratory_slopes).max() > 0.1


def test_covariances_are_those_of_random_parameters(moved, rng):
    detector, component, p = moved
    n = len(p)
    root = rng.normal(size=(n, n)) * 1e-3 / np.sqrt(n)
    after = component.compose(detector, p)
    zero = np.zeros((n, n))
    tangent = frames(component, detector, p)
    found = displacements(detector, after, tangent, root @ root.T, ALL)
    # Central differences of the exact motions along the columns of the root give the same covariance.
    slopes = []
    for column in root.T:
        sides = [
            displacements(detector, component.compose(detector, p + s * column), tangent, zero, ALL)
            for s in (1, -1)
        ]
        slopes.append(
            (
                (sides[0].own - sides[1].own) / 2.0,
                (sides[0].whole - sides[1].whole) / 2.0,
            )
        )
    own = np.array([item[0] for item in slopes])
    whole = np.array([item[1] for item in slopes])
    expected = np.einsum("kpi,kpj->pij", own, own)
    size = np.sqrt(np.einsum("pii,pjj->pij", expected, expected))
    assert (np.abs(found.own_covariance - expected) < 0.01 * size).all()
    expected = whole.T @ whole
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(found.whole_covariance - expected) < 0.01 * size).all()


def test_panels_without_data_do_not_define_the_whole(moved):
    detector, component, _ = moved
    names = [parameter.name for parameter in component.parameters(detector)]
    p = np.zeros(len(names))
    p[names.index("Group1Shift1")] = 2.0
    seen = ALL.copy()
    seen[0] = False
    after = component.compose(detector, p)
    found = displacements(detector, after, frames(component, detector, p), np.eye(len(p)), seen)
    assert found.own[0, 0] == pytest.approx(2.0) and np.abs(found.own[1:]).max() < 1e-9

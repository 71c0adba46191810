from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.models import Detector, Group
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical


@pytest.fixture
def modules(rng):
    """Three modules on a displaced frame."""
    return synthetic.displaced(synthetic.detector("PILATUS 300K", 150.0), rng, (1.0, 1.0, 1.0), (0.02,) * 3)


@pytest.fixture
def quadrants():
    """Eight modules in two halves of two pairs each: levels 0, 1, 2 and the panels at 3."""
    flat = synthetic.detector("PILATUS 2M", 200.0)
    pairs = [Group(f"pair{k}", children=(2 * k, 2 * k + 1)) for k in range(4)]
    halves = tuple(Group(f"half{k}", children=tuple(pairs[2 * k : 2 * k + 2])) for k in range(2))
    return Detector(flat.panels[:8], replace(flat.root, children=halves))


def dense(parameterisation, detector, p):
    """Derivatives of all frames by all parameters, (n, P, 3, 3)."""
    slopes = parameterisation.derivatives(detector, p)
    out = np.zeros((len(p), len(detector), 3, 3))
    for panel, (columns, values) in enumerate(zip(slopes.columns, slopes.values, strict=True)):
        for column, value in zip(columns, values, strict=True):
            if column >= 0:
                out[column, panel] += value
    return out


CASES = [(level, priors) for level in (0, 1, 2, 3) for priors in (True, False)]


@pytest.mark.parametrize(("level", "priors"), CASES)
def test_derivatives_against_finite_differences(quadrants, rng, level, priors):
    component = Hierarchical(level=level, priors=priors)
    n = len(component.parameters(quadrants))
    p = rng.normal(size=n)
    analytic = dense(component, quadrants, p)
    for k, step in enumerate(1e-3 * np.eye(n)):
        more, less = (component.compose(quadrants, p + sign * step).stacked() for sign in (1, -1))
        wide = (more - less) / 2e-3
        assert np.abs(analytic[k] - wide).max() <= 1e-6 * np.abs(wide).max()


def test_nothing_moves_at_zero(modules):
    component = Hierarchical(level=1)
    zeros = np.zeros(len(component.parameters(modules)))
    np.testing.assert_allclose(component.compose(modules, zeros).stacked(), modules.stacked(), atol=1e-12)


def test_panels_stay_rigid(modules, rng):
    component = Hierarchical(level=1)
    p = 20.0 * rng.normal(size=len(component.parameters(modules)))
    for d in component.compose(modules, p).stacked():
        np.testing.assert_allclose(d[:, :2].T @ d[:, :2], np.eye(2), atol=1e-12)


def test_names_are_those_of_the_field(modules):
    names = [parameter.name for parameter in Hierarchical(level=1).parameters(modules)]
    assert names[:6] == ["Dist", "Shift1", "Shift2", "Tau1", "Tau2", "Tau3"]
    assert names[-1] == "Group3Tau3"
    assert len(names) == len(set(names)) == 6 * (1 + 3)


def test_each_parameter_does_what_its_name_says(modules):
    component = Hierarchical(level=1, priors=False)
    names = [parameter.name for parameter in component.parameters(modules)]
    d = modules.stacked()[0]
    middle = np.array([x / 2.0 for x in modules.panels[0].size_mm] + [1.0])
    normal = np.cross(d[:, 0], d[:, 1])
    away = normal * np.sign(normal @ d @ middle)
    for name, direction in (("Group1Dist", away), ("Group1Shift1", d[:, 0]), ("Group1Shift2", d[:, 1])):
        p = np.zeros(len(names))
        p[names.index(name)] = 0.3
        moved = component.compose(modules, p).stacked()
        np.testing.assert_allclose((moved[0] - d) @ middle, 0.3 * direction, atol=1e-12)
        np.testing.assert_allclose(moved[1:], modules.stacked()[1:], atol=1e-12)
    for name, axis in (("Group1Tau1", away), ("Group1Tau2", d[:, 0]), ("Group1Tau3", d[:, 1])):
        p = np.zeros(len(names))
        p[names.index(name)] = 5.0
        moved = component.compose(modules, p).stacked()[0]
        np.testing.assert_allclose(moved @ middle, d @ middle, atol=1e-12)  # turns about its centre
        for k in (0, 1):
            expected = d[:, k] + 5e-3 * np.cross(axis, d[:, k])
            np.testing.assert_allclose(moved[:, k], expected, atol=2e-5)


def test_the_root_moves_everything_as_one_block(modules, rng):
    component = Hierarchical(level=0)
    before, after = (
        item.stacked() for item in (modules, component.compose(modules, rng.normal(size=6) * 10.0))
    )
    R = np.column_stack([after[0, :, 0], after[0, :, 1], np.cross(after[0, :, 0], after[0, :, 1])])
    R = R @ np.column_stack([before[0, :, 0], before[0, :, 1], np.cross(before[0, :, 0], before[0, :, 1])]).T
    np.testing.assert_allclose(after[:, :, :2], R @ before[:, :, :2], atol=1e-12)
    shift = after[:, :, 2] - before[:, :, 2] @ R.T
    np.testing.assert_allclose(shift, shift[:1].repeat(3, axis=0), atol=1e-9)


@pytest.mark.parametrize("level", [1, 2, 3])
def test_gauge_moves_nothing(quadrants, level):
    component = Hierarchical(level=level)
    n = len(component.parameters(quadrants))
    gauge = component.gauge(quadrants)
    assert len(gauge) == 6 * {1: 1, 2: 3, 3: 7}[level]
    slopes = dense(component, quadrants, np.zeros(n))
    assert np.abs(np.tensordot(gauge, slopes, axes=1)).max() < 1e-10
    # ... and nothing else is invisible: what is left of the parameters all moves the panels.
    rank = np.linalg.matrix_rank(slopes.reshape(n, -1), tol=1e-8)
    assert rank == n - len(gauge)


def test_priors_hold_children_and_hardly_the_whole(modules):
    component = Hierarchical(level=1, in_plane=0.1, tilt=0.5)
    prior = component.prior(modules)
    names = [parameter.name for parameter in component.parameters(modules)]
    sigma = dict(zip(names, prior.precision**-0.5, strict=True))
    assert sigma["Group2Shift1"] == pytest.approx(0.1)
    assert sigma["Group2Tau3"] == pytest.approx(0.5)
    assert sigma["Shift1"] >= 5 * sigma["Group2Shift1"]
    assert not prior.mean.any()
    assert not Hierarchical(level=1, priors=False).prior(modules).precision.any()


@pytest.mark.parametrize(
    ("level", "prefix"),
    [("half1", "Group2"), ("pair0", "Group1"), ("module", "Group8"), ("2", "Level1Group2"), (1, "Group2")],
)
def test_a_level_by_number_or_name(quadrants, level, prefix):
    names = [parameter.name for parameter in Hierarchical(level=level).parameters(quadrants)]
    assert prefix + "Dist" in names


def test_a_single_panel_has_six_parameters_at_any_level():
    panel = synthetic.detector("PILATUS 300K", modules=False)
    assert len(Hierarchical(level=1).parameters(panel)) == 6


def test_a_level_that_is_not_there_is_refused_with_the_cure(quadrants):
    with pytest.raises(UsageError, match="no level 7") as caught:
        Hierarchical(level=7).parameters(quadrants)
    assert "8 at level 3" in caught.value.why
    with pytest.raises(UsageError, match="'haf1'") as caught:
        Hierarchical(level="haf1").parameters(quadrants)
    assert "half1" in caught.value.fix


def test_a_list_takes_exactly_these_levels_and_always_the_root(quadrants):
    names = {parameter.name for parameter in Hierarchical(level="0,3").parameters(quadrants)}
    assert {"Dist", "Group8Tau3"} <= names
    assert len(names) == 6 * (1 + 8)
    assert names == {parameter.name for parameter in Hierarchical(level="3,3").parameters(quadrants)}


def test_nodes_by_name_and_pattern(quadrants):
    parameters = Hierarchical(level="half1, pair[01]").parameters(quadrants)
    labels = {parameter.label.split()[0] for parameter in parameters}
    assert labels == {"detector", "half1", "pair0", "pair1"}
    assert {p.panels for p in parameters if p.label.startswith("half1")} == {(4, 5, 6, 7)}


def test_freedoms_are_those_asked_for(quadrants):
    names = [parameter.name for parameter in Hierarchical(level=1, freedoms="in_plane").parameters(quadrants)]
    below = [name for name in names if name.startswith("Group")]
    assert below == [f"Group{k}{word}" for k in (1, 2) for word in ("Shift1", "Shift2", "Tau1")]
    assert len(names) == 6 + 6
    some = Hierarchical(level=1, freedoms="Tau1+Dist").parameters(quadrants)
    assert [parameter.name for parameter in some[6:8]] == ["Group1Dist", "Group1Tau1"]
    with pytest.raises(UsageError, match="no choice of freedoms") as caught:
        Hierarchical(level=1, freedoms="Tua1").parameters(quadrants)
    assert "'tau1'" in caught.value.fix


@pytest.mark.parametrize("freedoms", ["all", "in_plane", "no_tilt", "Dist+Tau2"])
@pytest.mark.parametrize("level", [1, 2, "0,3", "half0,module", "0,pair1"])
def test_without_priors_every_direction_moves_something(quadrants, freedoms, level):
    component = Hierarchical(level=level, freedoms=freedoms, priors=False)
    n = len(component.parameters(quadrants))
    w, h = quadrants.panels[0].size_mm
    corners = np.array([[0.0, 0.0, 1.0], [w, 0.0, 1.0], [0.0, h, 1.0]]).T
    moved = (dense(component, quadrants, np.zeros(n)) @ corners).reshape(n, -1)
    moved /= np.linalg.norm(moved, axis=1)[:, None]
    assert np.linalg.svd(moved, compute_uv=False)[-1] > 0.01
    # ... and the same geometries are reached as with all parents.
    joint = dense(replace(component, priors=True), quadrants, np.zeros(component_size(component, quadrants)))
    assert np.linalg.matrix_rank(joint.reshape(len(joint), -1), tol=1e-7) == n
    assert component.gauge(quadrants).shape == (0, n)


def component_size(component, detector):
    return len(replace(component, priors=True).parameters(detector))


def test_panels_that_only_their_parent_moves_are_not_left_behind(quadrants):
    component = Hierarchical(level="0,pair1", priors=False)
    moved = {panel for parameter in component.parameters(quadrants) for panel in parameter.panels}
    assert moved == set(range(8))


@pytest.mark.parametrize("freedoms", ["all", "in_plane", "Dist+Tau2+Tau3"])
def test_gauge_of_fewer_freedoms_moves_nothing_and_is_complete(quadrants, freedoms):
    component = Hierarchical(level=2, freedoms=freedoms)
    n = len(component.parameters(quadrants))
    gauge = component.gauge(quadrants)
    slopes = dense(component, quadrants, np.zeros(n))
    assert np.abs(np.tensordot(gauge, slopes, axes=1)).max() < 1e-9
    assert np.linalg.matrix_rank(slopes.reshape(n, -1), tol=1e-8) == n - len(gauge)


@pytest.mark.parametrize("priors", [True, False])
def test_alternatives_go_from_simple_to_free(quadrants, priors):
    """In the plane only where nothing else keeps what is not seen from running away."""
    component = Hierarchical(level="auto", in_plane=0.1, priors=priors)
    found = component.alternatives(quadrants)
    names = ["level 0"]
    for level in (1, 2, 3):
        names += [f"level {level}"] if priors else [f"level {level}, in plane", f"level {level}"]
    assert list(found) == names
    sizes = [len(item.parameters(quadrants)) for item in found.values()]
    assert sizes[0] == 6
    assert all(item.in_plane == 0.1 for item in found.values())
    assert list(component.alternatives(synthetic.detector("PILATUS 300K", modules=False))) == ["level 0"]


def test_auto_has_to_be_resolved_first(quadrants):
    with pytest.raises(UsageError, match="'auto' has to be found first"):
        Hierarchical(level="auto").parameters(quadrants)

"""What holds of every parameterisation that comes with smalti, on trees of several shapes."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Detector, Group
from smalti.testing import synthetic
from smalti_plugins.detectors.flat import Flat
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.detectors.in_plane import InPlane
from smalti_plugins.detectors.per_panel import PerPanel

TABLE = "0,2-3: all; 1: fixed; 4: Dist+Tau2; others: in_plane"

COMPONENTS = {
    "flat": Flat(),
    "flat about a panel": Flat(frame_panel=1),
    "level 0": Hierarchical(),
    "level 1": Hierarchical(level=1),
    "level 1 in plane": Hierarchical(level=1, freedoms="in_plane"),
    "modules": Hierarchical(level="module"),
    "modules without priors": Hierarchical(level="module", priors=False),
    "modules in plane without priors": Hierarchical(level="module", freedoms="in_plane", priors=False),
    "mixture": Hierarchical(level="0,module"),
    "in plane": InPlane(),
    "in plane without priors": InPlane(priors=False),
    "per panel": PerPanel(panels=TABLE),
    "per panel without priors": PerPanel(panels=TABLE, priors=False),
    "per panel, all learnt": PerPanel(priors="learnt"),
}


def tree():
    """Two halves of six modules; one is a panel of its own, one half has pairs below."""
    flat = synthetic.detector("PILATUS 1M", 200.0)
    pairs = (Group("pair0", children=(3, 4)), Group("pair1", children=(5, 6)))
    root = replace(
        flat.root,
        children=(Group("half0", children=(0, 1, 2)), Group("half1", children=(*pairs, 7)), 8, 9),
    )
    return Detector(flat.panels, root)


def barrel():
    """Six panels on an arc around the crystal, 30 degrees apart."""
    panel = synthetic.detector("PILATUS 100K", 250.0)
    d = np.empty((6, 3, 3))
    for k, angle in enumerate(np.radians(30.0 * np.arange(6))):
        c, s = np.cos(angle), np.sin(angle)
        d[k] = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ panel.stacked()[0]
    return Detector.flat(panel.panels * 6).with_panel_frames(d)


DETECTORS = {
    "modules": synthetic.detector("PILATUS 1M", 200.0),
    "tree": tree(),
    "barrel": barrel(),
}


@pytest.fixture(params=DETECTORS)
def detector(request):
    return synthetic.displaced(DETECTORS[request.param], np.random.default_rng(2), (0.5,) * 3, (0.01,) * 3)


@pytest.fixture(params=COMPONENTS)
def component(request):
    return COMPONENTS[request.param]


def dense(slopes, n):
    out = np.zeros((n, len(slopes.columns), 3, 3))
    for panel, place in zip(*np.nonzero(slopes.columns >= 0), strict=True):
        out[slopes.columns[panel, place], panel] += slopes.values[panel, place]
    return out


def test_derivatives_far_from_the_start(detector, component):
    n = len(component.parameters(detector))
    p = 5.0 * np.random.default_rng(3).normal(size=n)  # mm and mrad: beyond any real detector
    analytic = dense(component.derivatives(detector, p), n)
    for k, step in enumerate(1e-3 * np.eye(n)):
        more, less = (component.compose(detector, p + sign * step).stacked() for sign in (1, -1))
        numeric = (more - less) / 2e-3
        assert np.abs(analytic[k] - numeric).max() <= 1e-6 * np.abs(numeric).max()


def test_a_parameter_moves_the_panels_it_says_and_no_other(detector, component):
    parameters = component.parameters(detector)
    moved = np.abs(dense(component.derivatives(detector, np.zeros(len(parameters))), len(parameters)))
    for parameter, sizes in zip(parameters, moved.max(axis=(2, 3)), strict=True):
        assert set(np.flatnonzero(sizes > 0.0)) == set(parameter.panels)


def test_every_panel_goes_where_the_detector_goes(detector, component):
    """No choice of freedoms leaves a panel behind: all are moved by something."""
    moved = {panel for parameter in component.parameters(detector) for panel in parameter.panels}
    assert moved == set(range(len(detector)))


def test_priors_have_the_size_of_tolerances(detector, component):
    prior = component.prior(detector)
    if not component.priors:
        assert not prior.precision.any()
        return
    sigma = prior.precision**-0.5
    assert (sigma >= 0.01).all() and (sigma <= 5.0).all()  # mm, mrad
    assert not prior.mean.any()


def test_what_is_learnt_is_named_by_level_and_kind(detector):
    component = COMPONENTS["per panel, all learnt"]
    prior = component.prior(detector)
    names = [parameter.name for parameter in component.parameters(detector)]
    assert [group != "" for group in prior.groups] == [name.startswith("Group") for name in names]
    kinds = {group.split(", ")[1] for group in prior.groups if group}
    assert kinds == {"along the normal", "in plane", "turn", "tilt"}
    assert prior.learn and not PerPanel().prior(detector).learn


@pytest.mark.parametrize("name", ["modules in plane without priors", "in plane without priors"])
def test_what_panels_cannot_do_in_their_planes_is_left_to_the_whole(name):
    names = [p.name for p in COMPONENTS[name].parameters(DETECTORS["modules"])]
    assert [name for name in names if not name.startswith("Group")] == ["Dist", "Tau2", "Tau3"]
    # On a barrel only the shift along its axis is common to all planes.
    names = [p.name for p in COMPONENTS[name].parameters(DETECTORS["barrel"])]
    assert len([name for name in names if not name.startswith("Group")]) == 5

"""Sixty panels, 600 reflections, empty corners: with priors no panel gets worse, beyond chance."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.superposition import panel_motions
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.detectors.in_plane import InPlane
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

SOLID = (0.0306, 0.0306, 0.03), (0.15e-3, 0.15e-3, 0.3e-3)
"""RMS displacements (fast, slow, normal) mm and rotations about them, rad: of panels as they come."""

FLAT = (0.0306, 0.0306, 0.0), (0.0, 0.0, 0.3e-3)
"""The same of panels that lie in one plane: for the others a fit in the plane is too simple a model."""


def problem(displacements):
    rng = np.random.default_rng(0)
    detector = synthetic.detector("PILATUS 6M", 400.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=257)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, *displacements))
    return truth.detector, *synthetic.observations(truth, nominal, rng, d_min=2.2, n=600)


def off_by(truth, detector):
    size = [panel.size_mm for panel in truth.panels]
    return panel_motions(truth.stacked(), detector.stacked(), size).shift[:, :2]


@pytest.mark.parametrize(
    ("component", "displacements"),
    [
        (Hierarchical(level=1), SOLID),
        (Hierarchical(level=1, priors="learnt"), SOLID),
        (InPlane(), FLAT),
        (InPlane(priors="learnt"), FLAT),
    ],
    ids=["level 1", "level 1, learnt", "in plane", "in plane, learnt"],
)
def test_no_panel_is_worse_than_nominal_beyond_chance(component, displacements):
    truth, experiments, table = problem(displacements)
    options = RefineOptions(halves="off", n_threads=1)
    refined = refine(experiments, table, component, GaussNewton(), NoOutliers(), options)
    assert sum(row["n_used"] == 0 for row in refined.results["panels"]) >= 8
    off = off_by(truth, refined.experiments[0].detector)
    far, nominal = (np.linalg.norm(x, axis=1) for x in (off, off_by(truth, experiments[0].detector)))
    covariance = refined.panel_covariance[0][:, :2, :2]
    surprise = np.einsum("pi,pij,pj->p", off, np.linalg.inv(covariance), off)
    assert not ((far > nominal) & (surprise > 13.8)).any()  # one in a thousand
    assert np.median(far) < 0.6 * np.median(nominal)

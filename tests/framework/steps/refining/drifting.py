"""A crystal that turns by 2 mrad and grows by 0.2 % over its scan, and its refinement."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

IMAGES = 300
TURN = np.array([0.9e-3, 1.5e-3, -1.0e-3])
GROWTH = 0.002


def drifting_problem(n=4000, *, start=0.0, displaced=True, n_images=IMAGES, turn=TURN, growth=GROWTH):
    """Truth with a crystal that turns by 2 mrad and grows by 0.2 %, and the nominal experiment with data."""
    rng = np.random.default_rng(7)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    crystal = synthetic.crystal()
    nominal = synthetic.experiment(detector, crystal, n_images=n_images, start=start)
    moved = synthetic.displaced(detector, rng, (0.05, 0.05, 0.03)) if displaced else detector
    varying = synthetic.drifting(crystal, n_images, turn=tuple(turn), growth=growth)
    truth = replace(nominal, detector=moved, crystal=varying)
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.5, n=n)
    return truth, Experiments((replace(experiments[0], crystal=crystal),)), table


def run(experiments, table, component=None, **options):
    return refine(
        experiments, table, component or Hierarchical(level=1), GaussNewton(), NoOutliers(),
        RefineOptions(halves="off", **options),
    )  # fmt: skip

"""What a file said of a model is not said of the refined model any more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.models import Experiments, matrix
from smalti.steps.refining import RefineOptions, refine
from smalti.testing.synthetic import crystal, detector, displaced, experiment, observations
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


def test_values_at_scan_points_and_covariances_are_dropped_and_told(rng: np.random.Generator) -> None:
    nominal = detector("PILATUS 300K", 200.0)
    truth = experiment(displaced(nominal, rng), crystal(), n_images=90)
    experiments, table = observations(truth, experiment(nominal, n_images=90), rng, d_min=3.0, n=2000)
    item = experiments[0]
    assert item.crystal is not None
    extra = {"B_covariance": [0.0] * 81, "recalculated_unit_cell": [1.0] * 6, "mosaicity": 0.1}
    varying = replace(item.crystal, scan_points=(matrix(item.crystal.A),) * 91, extra=extra)
    beam = replace(item.beam, extra={"s0_at_scan_points": [[0.0, 0.0, -1.0]] * 91, "probe": "x-ray"})
    old = Experiments((replace(item, crystal=varying, beam=beam),))
    refined = refine(old, table, Hierarchical(), GaussNewton(), NoOutliers(), RefineOptions())
    after = refined.experiments[0]
    assert after.crystal is not None and after.crystal.scan_points == ()
    assert after.crystal.extra == {"mosaicity": 0.1}
    assert after.beam.extra == {"probe": "x-ray"}
    assert any("1 crystal in the file with an A for every image" in line for line in refined.warnings)

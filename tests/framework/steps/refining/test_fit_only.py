"""A refinement for callers that need the models alone."""

import numpy as np

from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.refine import fit_only, refine
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.tukey import Tukey


def test_models_and_flags_are_those_of_a_whole_refinement(block_problem):
    _, experiments, table = block_problem
    parts = Hierarchical(), LevenbergMarquardt(), Tukey(), RefineOptions(n_threads=1)
    whole, light = (do(experiments, table, *parts) for do in (refine, fit_only))
    assert light.experiments == whole.experiments
    for name in ("flags", "xyzcal.px", "free"):
        np.testing.assert_array_equal(light.reflections[name], whole.reflections[name])
    for name in ("experiments", "n_used", "n_rejected", "ended"):
        assert light.results[name] == whole.results[name]

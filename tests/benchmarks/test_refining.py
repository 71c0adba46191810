"""The tutorial's big job: 60 panels, 372 parameters, 186,000 reflections."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.layout import Layout
from smalti.steps.refining.selection import select
from smalti.steps.refining.source import RotationSource
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey


@pytest.fixture(scope="module")
def tutorial():
    rng = np.random.default_rng(1)
    detector = synthetic.detector("PILATUS 6M", 400.0)
    nominal = synthetic.experiment(detector, synthetic.crystal())
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.05, 0.042, 0.04)))
    return synthetic.observations(truth, nominal, rng, d_min=1.9, n=186_000, outliers=0.03)


def test_level_1_whole_step(benchmark, tutorial):
    refined = benchmark.pedantic(
        lambda: refine(*tutorial, Hierarchical(level=1), GaussNewton(), Tukey()), rounds=3
    )
    benchmark.extra_info.update(refined.results["seconds"])
    assert refined.results["n_parameters"] == 372


@pytest.mark.parametrize("n_threads", [1, 2])
def test_one_pass(benchmark, tutorial, n_threads):
    experiments, table = tutorial
    layout = Layout.of(experiments, Hierarchical(level=1), RefineOptions())
    data = select(table, layout, RefineOptions()).observations
    source = RotationSource(layout, data, 1.0 / data.variance, layout.prior, n_threads)
    p = np.zeros(layout.n)
    equations = benchmark(source.normal_equations, p)
    assert equations.matrix.shape == (372, 372)

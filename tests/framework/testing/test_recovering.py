"""Refinement knows how near it is to the truth: a small version of ``tests/benchmarks/test_truth.py``."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from smalti.steps.refining import RefineOptions
from smalti.testing import synthetic
from smalti.testing.recovering import Problem, pull_statistics, recover
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers

SEEDS = range(8)


@pytest.fixture(scope="module")
def modules():
    """What is common to all draws: ten modules, 400 reflections on each."""
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    return Problem(nominal, synthetic.measurable(nominal, 2.5), np.empty(0), per_panel=400)


def drawn(modules, seeds, component, sigmas, minimiser, rejector, **options):
    problem = replace(modules, sigmas=sigmas)
    settings = RefineOptions(halves="off", n_threads=1, **options)
    return [recover(problem, seed, component, minimiser, rejector, settings) for seed in seeds]


def check(recoveries):
    """Pulls of unit size, to three standard deviations of that size, and distances as likely as can be."""
    pulls = np.concatenate([recovery.pulls for recovery in recoveries])
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1.0, abs=3.0 / np.sqrt(2 * pulls.size))
    motions = np.concatenate([recovery.panel_pulls for recovery in recoveries])
    assert np.sqrt(np.mean(motions**2)) == pytest.approx(1.0, abs=3.0 / np.sqrt(2 * motions.size))
    chances = [recovery.probability for recovery in recoveries]
    assert 0.01 < min(chances) and max(chances) < 0.99
    assert stats.kstest(chances, "uniform").pvalue > 0.01


def test_pulls_of_the_bare_problem(modules):
    """No priors, no judge, variances known: nothing but linear algebra between data and covariance."""
    component = Hierarchical(level=1, priors=False)
    sigmas = np.tile((0.05, 0.1, 0.1, 0.5, 0.3, 0.3), 10)
    bare = {"weak_priors": False, "noise": "table", "free_fraction": 0.0}
    check(drawn(modules, SEEDS, component, sigmas, GaussNewton(), NoOutliers(), **bare))


def test_pulls_of_what_the_command_does(modules):
    """Truths drawn from the priors, noise estimated, tails judged and a part held out."""
    component = Hierarchical(level=1)
    prior = component.prior(modules.nominal.detector)
    judge = MinimumCovarianceDeterminant()
    recoveries = drawn(modules, SEEDS, component, prior.precision**-0.5, LevenbergMarquardt(), judge)
    check(recoveries)
    assert recoveries[0].refined.results["n_rejected"] > 0 < recoveries[0].refined.results["n_free"]
    found = pull_statistics(recoveries)
    assert found["Dist"][0] == 11 * len(SEEDS) and found["Mu2"][0] == len(SEEDS)


def test_a_covariance_that_is_wrong_is_noticed(modules):
    component = Hierarchical(level=1, priors=False)
    sigmas = np.tile((0.05, 0.1, 0.1, 0.5, 0.3, 0.3), 10)
    found = drawn(modules, range(3), component, sigmas, GaussNewton(), NoOutliers())
    for factor in (0.4, 2.5):
        spoilt = [
            replace(one, refined=replace(one.refined, covariance=factor * one.refined.covariance))
            for one in found
        ]
        with pytest.raises(AssertionError):
            check(spoilt)
        assert all(not 0.01 < one.probability < 0.99 for one in spoilt)


def test_panels_come_back_to_their_places(modules):
    component = Hierarchical(level=1)
    sigmas = component.prior(modules.nominal.detector).precision ** -0.5
    (one,) = drawn(modules, [3], component, sigmas, GaussNewton(), NoOutliers())
    # At 400 spots a panel; the benchmark has 3,000.
    assert np.median(one.in_plane) < 6.0 and np.median(one.turns) < 0.1

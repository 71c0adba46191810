"""Panels back to their places, and the truth of what is said about that: 60 modules, 3,000 spots on each.

Prints its tables: ``pytest --benchmark-only -s tests/benchmarks/test_truth.py``.
"""

import numpy as np
import pytest
from scipy import stats

from smalti.geometry.panels import panel_bases, panel_centres
from smalti.steps.refining import RefineOptions
from smalti.testing import synthetic
from smalti.testing.recovering import Problem, pull_statistics, recover
from smalti.text import table
from smalti.units import UM
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant

SEEDS = range(20)


@pytest.fixture(scope="module")
def recoveries():
    """20 truths drawn from the priors, refined as the command does from nominal."""
    detector = synthetic.detector("PILATUS 6M", 400.0)
    crystal = synthetic.crystal((78.0, 78.0, 150.0, 90.0, 90.0, 90.0))
    nominal = synthetic.experiment(detector, crystal)
    component = Hierarchical(level=1)
    sigmas = component.prior(detector).precision ** -0.5
    problem = Problem(nominal, synthetic.measurable(nominal, 1.5), sigmas)
    judge, settings = MinimumCovarianceDeterminant(), RefineOptions(halves="off")
    return [recover(problem, seed, component, LevenbergMarquardt(), judge, settings) for seed in SEEDS]


def across_rays(recovery):
    """Displacements of the panels' centres across the rays from the sample, (P,) um."""
    d, size = recovery.truth.stacked(), [panel.size_mm for panel in recovery.truth.panels]
    ray = panel_centres(d, size)
    ray /= np.linalg.norm(ray, axis=1)[:, None]
    moved = np.einsum("pij,pj->pi", panel_bases(d), recovery.motions[:, :3])
    return np.linalg.norm(np.cross(moved, ray), axis=1) / UM


def test_recovered_panels(benchmark, recoveries):
    benchmark.pedantic(lambda: None)  # the time is that of test_refining.py; here it is the figures
    figures = {
        "in plane (um)": np.array([recovery.in_plane for recovery in recoveries]),
        "across the ray (um)": np.array([across_rays(recovery) for recovery in recoveries]),
        "along the normal (um)": np.array([recovery.motions[:, 2] for recovery in recoveries]) / UM,
        "about the normal (mrad)": np.array([recovery.turns for recovery in recoveries]),
    }
    rows = []
    for name, values in figures.items():
        five = np.quantile(np.abs(values), [0.5, 0.95, 1.0])
        rows.append([name, *(f"{value:.3f}" for value in five)])
    print("\n" + table(["Error", "median", "95 %", "worst"], rows, title="60 panels, 20 draws:"))
    assert np.median(figures["in plane (um)"]) < 2.5
    assert np.quantile(figures["across the ray (um)"], 0.99) < 2.0
    assert figures["about the normal (mrad)"].max() < 0.15
    assert np.quantile(figures["about the normal (mrad)"], 0.99) < 0.1


def test_pulls_and_joint_distances(benchmark, recoveries):
    benchmark.pedantic(lambda: None)
    rows = [
        [kind, str(count), f"{mean:+.2f}", f"{size:.3f}"]
        for kind, (count, mean, size) in pull_statistics(recoveries).items()
    ]
    motions = np.concatenate([recovery.panel_pulls for recovery in recoveries])
    for k, name in enumerate(("fast", "slow", "normal", "about fast", "about slow", "about normal")):
        mine = motions[:, k]
        rows.append(
            [f"panels, {name}", str(len(mine)), f"{mine.mean():+.2f}", f"{np.sqrt(np.mean(mine**2)):.3f}"]
        )
    print("\n" + table(["Pull", "number", "mean", "RMS"], rows))
    chances = np.sort([recovery.probability for recovery in recoveries])
    print("Chance of a larger Mahalanobis distance: " + " ".join(f"{chance:.3f}" for chance in chances))
    everything = np.concatenate([recovery.pulls for recovery in recoveries])
    assert 0.95 < np.sqrt(np.mean(motions**2)) < 1.05
    assert 0.95 < np.sqrt(np.mean(everything**2)) < 1.05
    assert 0.01 < chances[0] and chances[-1] < 0.99
    assert stats.kstest(chances, "uniform").pvalue > 0.01

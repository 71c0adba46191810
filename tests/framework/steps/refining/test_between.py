"""Panels out of place among themselves: seen where they move as one block, and only where they are."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey


def solve(experiments, table, level):
    return refine(experiments, table, Hierarchical(level=level), GaussNewton(), Tukey(), RefineOptions())


def words(refined):
    return " ".join(refined.warnings)


def test_displaced_panels_are_seen_until_they_are_refined(displaced_problem, errors_um):
    truth, experiments, table = displaced_problem
    block, single = solve(experiments, table, 0), solve(experiments, table, 1)
    nominal, _ = errors_um(truth.detector, experiments[0].detector)
    found = block.results["between_panels"]
    assert found["n_panels"] == 10
    assert found["um"] == pytest.approx(np.sqrt(np.mean(nominal**2)), rel=0.3)
    assert "out of place among themselves" in words(block) and "--level 1" in words(block)
    assert "Within panel" not in words(block)  # they are turned: that is no bend
    assert single.results["between_panels"]["um"] < 2.0
    assert "out of place" not in words(single)


def test_panels_in_place_are_not_suspected():
    rng = np.random.default_rng(6)
    nominal = synthetic.experiment(synthetic.detector("PILATUS 1M", 160.0), synthetic.crystal(), n_images=100)
    moved = nominal.detector.moved({(): (np.eye(3), np.array([0.2, -0.1, 0.3]))})
    experiments, table = synthetic.observations(
        replace(nominal, detector=moved), nominal, rng, d_min=2.4, n=4000
    )
    refined = solve(experiments, table, 0)
    found = refined.results["between_panels"]
    assert found["chi_squared"] < found["freedom"] + 5.0 * np.sqrt(2.0 * found["freedom"])
    assert "out of place" not in words(refined)


def test_two_panels_tell_nothing(block_problem):
    _, experiments, table = block_problem
    assert solve(experiments, table, 0).results["between_panels"] is None

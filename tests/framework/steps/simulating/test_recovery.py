"""From simulated spots back to the truth: what every other test of simulated data stands on."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.demonstrating import Comparison, compare_detectors
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.simulating import Simulated, SimulateOptions, simulate
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey

OPTIONS = SimulateOptions(
    output="indexed",
    layout="PILATUS 2M",
    unit_cell=(57.8, 57.8, 110.0, 90.0, 90.0, 90.0),
    distance=200.0,
    n_images=60,
    counts=2000.0,
    header_beam_error=(0.8, -0.5),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return simulate(OPTIONS, tmp_path_factory.mktemp("recovery"))


def recovered(made: Simulated, start: Experiments) -> tuple[Comparison, Experiments]:
    table = read_reflections(made.tables[1])
    experiments = start
    for level in (0, 1):
        result = refine(
            experiments, table, Hierarchical(level=level), GaussNewton(), Tukey(), RefineOptions()
        )
        experiments, table = result.experiments, result.reflections
    used = table["panel"][table.flagged(Flag.USED_IN_REFINEMENT)].astype(int)
    counts = np.bincount(used, minlength=24)
    detector = experiments[0].detector
    return compare_detectors(made.truth.detector, detector, made.nominal.detector, counts), experiments


def test_displaced_panels_are_found_again(made: Simulated) -> None:
    comparison, experiments = recovered(made, read_experiments(made.tables[0]))
    assert comparison.with_data.all()
    assert comparison.passed, comparison.text()
    figures = comparison.summary()
    # Seen from the sample the panels are in place to a hundredth of a pixel.
    assert figures["recovered"]["across_ray"]["median"] < 2.0
    assert figures["nominal"]["across_ray"]["median"] > 40.0
    crystal, truth = experiments[0].crystal, made.truth.crystal
    assert crystal is not None and truth is not None
    np.testing.assert_allclose(crystal.cell, truth.cell, rtol=5e-4)


def test_the_truth_is_a_fixed_point(made: Simulated) -> None:
    """Started from the truth, refinement moves no panel by more than its noise."""
    comparison, _ = recovered(made, read_experiments(made.truth_files[0]))
    assert comparison.summary()["recovered"]["across_ray"]["median"] < 2.0

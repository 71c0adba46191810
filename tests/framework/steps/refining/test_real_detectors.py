"""Modules of real detectors: refined, they predict what took no part, and halves place them alike."""

import numpy as np
import pytest

from smalti.steps.panelling import convert_panels
from smalti.steps.refining import RefineOptions, refine
from smalti.storage import read_experiments, read_reflections
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant

pytestmark = pytest.mark.data

CASES = {
    # free RMSD of x and y (px) that level 1 must reach
    "i04_weak": (0.08, 0.11),
    "i23_24_panels": (0.18, 0.29),
}


@pytest.fixture(scope="module", params=CASES)
def refined(request, data):
    """Name of the data, and what levels 0 and 1 make of them."""
    folder = data / "tables" / request.param
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    if request.param == "i04_weak":
        modules = convert_panels(experiments, table, "modules")
        experiments, table = modules.experiments, modules.reflections
    judge = MinimumCovarianceDeterminant()
    results = [
        refine(
            experiments, table, Hierarchical(level=level), LevenbergMarquardt(), judge, RefineOptions()
        ).results
        for level in (0, 1)
    ]
    assert len(results[1]["panels"]) == (60 if request.param == "i04_weak" else 24)
    return request.param, *results


def test_free_residuals_fall_from_the_block_to_the_modules(refined):
    name, block, modules = refined
    before, after = (result["experiments"][0] for result in (block, modules))
    for axis, limit in zip("xy", CASES[name], strict=True):
        key = f"free_rmsd_{axis}_px"
        assert after[key] < 0.75 * before[key]
        assert after[key] < limit
    # They fall as far as those that were fitted: what was fitted is the detector, not its noise.
    free = modules["free"]
    assert free["n"] > 400
    assert abs(free["gap"] - free["expected_gap"]) < 3.0 * free["gap_esd"]


def test_halves_place_the_modules_alike(refined):
    _, _, modules = refined
    halves = modules["halves"]
    assert halves["split"] == "reflections"
    assert 0.001 < halves["probability"] < 0.999
    assert halves["difference_um"] < 2.0 * halves["expected_difference_um"]
    seen = [row for row in modules["panels"] if row["n_used"] > 100]
    sigmas = np.array([row["half_difference_sigma"] for row in seen])
    assert sigmas.max() < 3.0 and 0.5 < np.median(sigmas) < 1.6
    # What the halves differ by is little beside what they agree on.
    apart, moved = (np.median([row[key] for row in seen]) for key in ("half_difference_um", "shift_um"))
    assert apart < 0.4 * moved


def test_the_verdict_tells_which_modules_to_believe(refined):
    name, _, modules = refined
    assert modules["verdict"]["trustworthy"]
    believed = {row["panel"] for row in modules["panels"] if row["believed"]}
    for row in modules["panels"]:
        if row["n_used"] < 5:
            assert row["panel"] not in believed and row["why"]
        if row["n_used"] > 400:
            assert row["panel"] in believed

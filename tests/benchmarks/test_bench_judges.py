"""What each judge costs on clean data, and how much spoilt data move a refinement that has it.

The table in the explanation of outliers: efficiency against plain least squares, bias in ESDs.
"""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.sauter_poon import SauterPoon
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey import Tukey
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare

SEEDS = 6
REJECTORS = (SauterPoon(), TukeyBisquare(), StudentT(), Tukey(), MinimumCovarianceDeterminant())


def problem(seed):
    rng = np.random.default_rng(seed)
    detector = synthetic.detector("PILATUS 1M", 200.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=400)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.05, 0.042, 0.04)))
    return synthetic.observations(truth, nominal, rng, d_min=1.9, n=12_000)


def spoilt(experiments, table, seed):
    """10 % of the spots are off, all to one side; 3 % of the indices are one too large along c*."""
    rng = np.random.default_rng(1000 + seed)
    off = rng.random(table.n_rows) < 0.10
    wrong = (rng.random(table.n_rows) < 0.03) & ~off
    step = rng.uniform(0.5, 10.0, (table.n_rows, 3)) * off[:, None] * (1.0, 1.0, 0.5)
    unit = (*experiments[0].detector.panels[0].pixel_size, experiments[0].scan.oscillation[1])
    index = np.array(table["miller_index"])
    index[wrong, 2] += 1
    changed = {
        "xyzobs.px.value": table["xyzobs.px.value"] + step,
        "xyzobs.mm.value": table["xyzobs.mm.value"] + step * unit,
        "miller_index": index,
    }
    return table.with_columns(changed), ~off & ~wrong


def shifts(experiments, table, rejector):
    options = RefineOptions(halves="off", free_fraction=0.0)
    found = refine(experiments, table, Hierarchical(level=1), GaussNewton(), rejector, options)
    rows = found.results["parameters"]
    return np.array([row["shift"] for row in rows]), np.array([row["esd"] for row in rows])


@pytest.fixture(scope="module")
def draws():
    found = []
    for seed in range(SEEDS):
        experiments, table = problem(seed)
        dirty, good = spoilt(experiments, table, seed)
        plain = shifts(experiments, table, NoOutliers())
        honest = shifts(experiments, dirty.where(good), NoOutliers())
        found.append((experiments, table, dirty, plain, honest))
    return found


@pytest.mark.parametrize("rejector", REJECTORS, ids=lambda item: item.name)
def test_efficiency_and_bias(benchmark, draws, rejector):
    lost, apart = [], []

    def measure():
        for experiments, table, dirty, plain, honest in draws:
            lost.append(np.mean(((shifts(experiments, table, rejector)[0] - plain[0]) / plain[1]) ** 2))
            apart.append((shifts(experiments, dirty, rejector)[0] - honest[0]) / honest[1])

    benchmark.pedantic(measure, rounds=1)
    efficiency, mean = 1.0 / (1.0 + np.mean(lost)), np.mean(apart, axis=0)
    chance = np.var(apart, axis=0, ddof=1).mean() / len(apart)
    bias = float(np.sqrt(max(np.mean(mean**2) - chance, 0.0)))
    benchmark.extra_info.update(efficiency=float(efficiency), bias=bias, largest=float(np.abs(mean).max()))
    assert efficiency > 0.95
    assert bias < 0.2

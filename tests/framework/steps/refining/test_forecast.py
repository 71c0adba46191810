"""What a refinement would do, told without doing it."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.steps.refining import RefineOptions, Spent, forecast, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.1, 0.1, 0.05)))
    return synthetic.observations(truth, nominal, rng, d_min=2.5, n=3000, outliers=0.02)


def components(level="1"):
    return Hierarchical(level=level), GaussNewton(), Tukey()


def test_parameters_and_reflections_are_those_of_the_refinement(problem):
    told = forecast(*problem, *components()).summary()
    done = refine(*problem, *components()).results
    assert told["parameters"]["total"] == done["n_parameters"] == len(done["parameters"])
    names = [row["name"] for row in done["parameters"]]
    assert told["parameters"] == {
        "detector": sum(name.startswith("Detector") for name in names),
        "beam": 1,
        "crystal orientation": 3,
        "crystal cell": 2,
        "total": len(names),
    }
    counted = done["n_used"] + done["n_rejected"] + done["n_free"]
    assert told["n_reflections"] + told["n_free"] == counted
    assert told["n_free"] > 0
    assert told["left_out"] == done["left_out"]
    assert told["sample"] == 3000 and told["alternatives"] == {}


def test_a_large_table_is_continued_from_samples(problem, monkeypatch):
    rows = []

    def fake(experiments, table, *rest):
        rows.append(table.n_rows)
        held = np.zeros(100 * table.n_rows)  # 800 bytes a row
        assert held.sum() == 0.0

    module = sys.modules["smalti.steps.refining.forecast"]
    monkeypatch.setattr(module, "SAMPLE", 1000)
    monkeypatch.setattr(module, "refine", fake)
    spent = Spent(seconds=10.0, writing=5.0, memory_mb=100.0)
    found = forecast(*problem, *components(), RefineOptions(n_threads=1), spent)
    assert rows == [250, 250, 1000]
    assert found.sample == 1000 and found.n_threads == 1
    assert found.memory_mb == pytest.approx(100.0 + 800 * 3000 / 1e6, abs=0.5)
    assert 15.0 < found.seconds["total"] < 16.0
    assert found.seconds["total"] == pytest.approx(15.0 + found.seconds["refining"])
    assert 0.0 < found.seconds["pass"] < 5.0


def test_a_line_through_two_samples():
    module = sys.modules["smalti.steps.refining.forecast"]
    asked = []
    seconds, memory = module._continued(asked.append, 10)
    assert asked == [40, 40, 10] and seconds < 1.0 and memory < 1.0


def test_what_a_part_cannot_tell_all_rows_do(problem, monkeypatch):
    module = sys.modules["smalti.steps.refining.forecast"]
    monkeypatch.setattr(module, "SAMPLE", 8)  # too few for anything
    found = forecast(*problem, *components())
    assert found.sample == 3000 and found.seconds["refining"] > 0.0


def test_a_level_to_be_chosen(problem):
    found = forecast(*problem, *components("auto"))
    assert len(found.alternatives) > 1
    assert max(found.alternatives.values()) == sum(found.parameters.values())
    assert "A level would be chosen" in found.text()


def test_data_that_cannot_be_refined_are_refused(problem):
    experiments, table = problem
    with pytest.raises(DataError, match="can be used"):
        forecast(experiments, table, *components(), RefineOptions(minimum_reflections=10_000))

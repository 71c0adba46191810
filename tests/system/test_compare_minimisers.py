"""``smalti compare-minimisers`` on a small problem."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.storage import write_experiments, write_reflections
from smalti.testing import synthetic


@pytest.fixture
def pair(tmp_path):
    """Names of two files in the current folder of ``smalti``: 400 reflections on three displaced modules."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.2, 0.2, 0.1)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=3.0, n=400)
    write_experiments(tmp_path / "a.expt", experiments)
    write_reflections(tmp_path / "a.refl", table)
    return "a.expt", "a.refl"


def test_a_table_and_the_same_as_json(smalti, pair):
    words = ("compare-minimisers", *pair, "--level", "1", "--minimisers", "gauss-newton,dogleg")
    shown = smalti(*words, "dogleg.radius=2")
    assert shown.status == 0, shown.err
    assert "gauss_newton" in shown.out and "lbfgs" not in shown.out
    assert "The minima are within" in shown.out
    told = smalti(*words, "dogleg.radius=2", "--json")
    result = json.loads(told.out)["result"]
    first, second = result["minimisers"]
    assert [first["minimiser"], second["minimiser"]] == ["gauss_newton", "dogleg"]
    assert second["steps"] > first["steps"]  # a small trust region costs steps: the option was heard
    assert max(max(row) for row in result["distances_esd"]) < 0.1
    assert not [path for path in Path().iterdir() if path.suffix in (".expt", ".json") and path.stem != "a"]


def test_who_stops_early_is_a_doubt(smalti, pair):
    words = ("compare-minimisers", *pair, "--minimisers", "gauss_newton,lbfgs", "lbfgs.max_steps=1")
    loose, strict = smalti(*words), smalti(*words, "--strict")
    assert loose.status == 0 and strict.status == 4
    assert "lbfgs ended" in loose.out + loose.err


def test_a_minimiser_that_is_not_there(smalti, pair):
    smalti("compare-minimisers", *pair, "--minimisers", "gauss_newtn").refused(
        2, "gauss_newtn", "gauss_newton"
    )


def test_all_that_are_installed_take_part(smalti, pair):
    told = smalti("compare-minimisers", *pair, "--json")
    names = {row["minimiser"] for row in json.loads(told.out)["result"]["minimisers"]}
    assert {"gauss_newton", "levenberg_marquardt", "dogleg", "lbfgs", "scipy_least_squares"} <= names

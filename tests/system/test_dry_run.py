"""``smalti refine --dry-run`` tells and writes nothing."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.storage import write_experiments, write_reflections
from smalti.testing import synthetic


@pytest.fixture
def pair(tmp_path):
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.1, 0.1, 0.05)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.5, n=1500)
    write_experiments(tmp_path / "a.expt", experiments)
    write_reflections(tmp_path / "a.refl", table)
    return "a.expt", "a.refl"


def test_words_and_no_files(smalti, pair):
    before = sorted(Path().iterdir())
    shown = smalti("refine", *pair, "--level", "1", "--dry-run")
    assert shown.status == 0, shown.err
    for word in (
        "crystal cell",
        "total",
        "24",
        "would be refined against",
        "Expected:",
        "nothing is written",
    ):
        assert word in shown.out
    assert sorted(Path().iterdir()) == before


def test_the_same_as_json(smalti, pair):
    before = sorted(Path().iterdir())
    told = json.loads(smalti("refine", *pair, "--dry-run", "n_threads=1", "--json").out)
    assert told["status"] == 0 and told["outputs"] == []
    result = told["result"]
    assert result["dry_run"] is True and result["n_threads"] == 1
    assert result["parameters"]["total"] == sum(v for k, v in result["parameters"].items() if k != "total")
    assert 0 < result["n_reflections"] <= 1500
    assert result["expected_seconds"]["total"] > result["expected_seconds"]["refining"] > 0.0
    assert 20.0 < result["expected_memory_mb"] < 2000.0
    assert sorted(Path().iterdir()) == before


def test_what_cannot_be_refined_is_said(smalti, pair):
    smalti("refine", *pair, "--dry-run", "-q", "minimum_reflections=100000").refused(1, "can be used")

"""Hundreds and thousands of crystals in one refinement: time by crystal, memory, and DIALS's figures.

    pytest tests/benchmarks/test_refining_many.py --benchmark-only -s

Seconds are of processors, so that they mean the same on a machine that has other work.
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import partition_of
from smalti.steps.refining.problem.reducing import reduce_crystals
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.source import RotationSource
from smalti.storage import read_experiments, read_reflections
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.sauter_poon import SauterPoon

from .test_many_experiments import repeated

pytestmark = pytest.mark.data

OPTIONS = RefineOptions(n_threads=1)

DIALS_SECONDS = 25 * 60
"""dials.refine 3.12 had not ended level 2 of the 300 stills after so long."""


def test_three_hundred_stills(benchmark, data):
    """The CS-PAD benchmark of DIALS at level 2; its own test asks for 0.0354 mm, 0.0406 mm and 1.8 mrad."""
    folder = data / "tables" / "cspad_300"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    parts = Hierarchical(level=2), LevenbergMarquardt(), SauterPoon(), OPTIONS
    began = time.process_time()
    found = benchmark.pedantic(refine, (experiments, table, *parts), rounds=1)
    seconds = time.process_time() - began
    last = found.results["steps"][-1]
    print(seconds, last)
    assert seconds < DIALS_SECONDS / 50
    assert last["rmsd_x_mm"] < 0.0354 and last["rmsd_y_mm"] < 0.0406
    assert np.radians(last["rmsd_phi_deg"]) < 0.0018
    assert found.trustworthy


def test_both_ways_on_three_hundred_stills(benchmark, data):
    """All parameters together give the same, later."""
    folder = data / "tables" / "cspad_300"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    parts = Hierarchical(level=1), LevenbergMarquardt(rmsd_tolerance=1e-9, step_tolerance=1e-5), SauterPoon()
    results, seconds = [], []
    for way in ("never", "always"):
        options = RefineOptions(n_threads=1, rounds=1, halves="off", eliminate_crystals=way)
        began = time.process_time()
        results.append(refine(experiments, table, *parts, options).results)
        seconds.append(time.process_time() - began)
    benchmark.pedantic(lambda: None)  # here it is the comparison
    print(seconds)
    joint, apart = (result["parameters"] for result in results)
    assert [row["name"] for row in joint] == [row["name"] for row in apart]
    esd = np.array([row["esd"] for row in joint])
    away = np.array([a["shift"] - b["shift"] for a, b in zip(joint, apart, strict=True)]) / esd
    assert np.abs(away).max() < 0.02
    np.testing.assert_allclose([row["esd"] for row in apart], esd, rtol=0.01)
    assert seconds[1] < 0.5 * seconds[0]


def test_time_of_a_pass_grows_with_crystals_and_memory_with_the_detector(benchmark, data):
    seconds, memory = {}, {}
    for count in (300, 1200):
        experiments, table = repeated(data, count)
        layout = Layout.of(experiments, Hierarchical(level=2), OPTIONS)
        observed = select(table, layout, OPTIONS).observations
        source = RotationSource(layout, observed, 1.0 / observed.variance, layout.prior)
        partition = partition_of(layout, eliminate=True)
        found = reduce_crystals(source, partition, np.zeros(layout.n))
        began = time.process_time()
        reduce_crystals(source, partition, found.p)
        seconds[count] = time.process_time() - began
        tracemalloc.start()
        reduce_crystals(source, partition, found.p)
        memory[count] = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
    benchmark.pedantic(lambda: None)
    print(seconds, memory)
    assert seconds[1200] < 6.0 * seconds[300]
    assert memory[1200] < 2.0 * memory[300] + 20.0

"""Crystals that vary over their scans: the tutorial's big job with 55 more parameters, and DIALS.

pytest tests/benchmarks/test_bench_varying.py --benchmark-enable --benchmark-only
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.smoothness import held_paths
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.varying import paths_of, vary
from smalti_plugins.detectors.hierarchical import Hierarchical

from . import jobs


def cpu(function, times=7):
    """Least seconds of this process's processors of several calls."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        function()
        taken.append(time.process_time() - began)
    return min(taken)


def test_one_pass(benchmark):
    """A pass with samples takes at most three times that without, on one core."""
    options = RefineOptions(scan_varying="all")
    experiments, table = jobs.problem(186_000)
    layout = Layout.of(experiments, Hierarchical(level=1), options)
    data = select(table, layout, options).observations
    everything = np.ones(data.n, dtype=bool)
    paths = paths_of(layout, everything, data.spots.experiment, np.radians(options.scan_interval))
    varied, q = vary(layout, np.zeros(layout.n), paths, options)
    assert varied.n == layout.n + 5 * 11
    steady = RotationSource(layout, data, 1.0 / data.variance, layout.prior)
    source = RotationSource(varied, data, 1.0 / data.variance, varied.prior, 1, held_paths(varied, options))
    benchmark(source.normal_equations, q)
    taken = cpu(lambda: source.normal_equations(q))
    static = cpu(lambda: steady.normal_equations(np.zeros(layout.n)))
    benchmark.extra_info.update(cpu=taken, static=static, ratio=taken / static)
    assert taken < 3.0 * static


@pytest.mark.dials
@pytest.mark.data
def test_beside_dials(benchmark, data, dials, tmp_path):
    """The same files, scan-varying, whole commands: processor seconds of both."""
    pair = [str(data / "tables" / "i04_weak" / f"data.{kind}") for kind in ("expt", "refl")]

    theirs = jobs.run([str(Path(dials, "dials.refine")), *pair, "scan_varying=true"], tmp_path).cpu
    program = str(Path(sys.executable).with_name("smalti"))
    words = [program, "refine", *pair, "--scan-varying", "all", "-o", "mine"]
    mine = benchmark.pedantic(lambda: jobs.run(words, tmp_path).cpu, rounds=1)
    benchmark.extra_info.update(dials=theirs, smalti=mine, ratio=theirs / mine)
    assert mine < theirs

"""``smalti refine`` beside ``dials.refine`` on the same files.

    pytest tests/benchmarks/test_against_dials.py --benchmark-enable --benchmark-only

Neither judges outliers here: it is the refinement that is compared. dials.refine is asked for a single step,
since at level 1 it takes minutes for one; smalti goes on to the minimum. Seconds are those of processors,
of the whole commands.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from . import jobs

N = 186_000
CALL = (
    "outlier.algorithm=null",
    "auto_reduction.action=fix",
    "scan_varying=False",
    "max_iterations=1",
    "output.experiments=theirs.expt",
    "output.reflections=theirs.refl",
    "output.log=theirs.log",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return jobs.write_pair(tmp_path_factory.mktemp("beside"), *jobs.problem(N, outliers=0.0))


@pytest.mark.dials
@pytest.mark.parametrize(("level", "least"), [(0, 2.0), (1, 100.0)])
def test_processor_time(benchmark, folder, dials, level, least):
    """At level 1 at least a hundred times less than one step takes there."""
    plain = ("--outliers", "none", "noise=table", "free_fraction=0", "halves=off")
    everything, _ = jobs.refine_command(folder, "--level", str(level))
    runs = []
    benchmark.pedantic(
        lambda: runs.append(jobs.refine_command(folder, "--level", str(level), *plain)), rounds=3
    )
    ours, told = min(runs, key=lambda item: item[0].cpu)
    words = ["start.expt", "start.refl", f"hierarchy_level={level}", *CALL]
    theirs = jobs.run([str(Path(dials, "dials.refine")), *words], folder)
    assert (folder / "theirs.expt").exists() and "Reached maximum number of iterations" in theirs.out
    benchmark.extra_info.update(
        dials_cpu=theirs.cpu,
        dials_memory_mb=theirs.memory,
        dials_steps=1,
        smalti_cpu=ours.cpu,
        smalti_memory_mb=told["peak_memory_mb"],
        smalti_steps=len(told["result"]["steps"]),
        smalti_default_cpu=everything.cpu,
        ratio=theirs.cpu / ours.cpu,
        ratio_default=theirs.cpu / everything.cpu,
    )
    assert theirs.cpu > least * ours.cpu

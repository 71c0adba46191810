"""What ``--dry-run`` expects, against what the refinement then takes.

pytest tests/benchmarks/test_forecasting.py --benchmark-enable --benchmark-only
"""

from __future__ import annotations

import pytest

from . import jobs


@pytest.mark.parametrize("n", [40_000, 186_000])
def test_within_a_factor_of_two(benchmark, tmp_path, n):
    folder = jobs.write_pair(tmp_path, *jobs.problem(n))
    _, told = benchmark.pedantic(
        lambda: jobs.refine_command(folder, "--level", "1", "--dry-run"), rounds=1, iterations=1
    )
    used, done = jobs.refine_command(folder, "--level", "1")
    expected = told["result"]
    time = expected["expected_seconds"]["total"] / used.wall
    memory = expected["expected_memory_mb"] / done["peak_memory_mb"]
    benchmark.extra_info.update(time=time, memory=memory, seconds=used.wall)
    assert 0.5 < time < 2.0 and 0.5 < memory < 2.0

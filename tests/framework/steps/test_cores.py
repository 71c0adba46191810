"""How many cores there are: affinity, control groups of both versions, batch systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smalti.steps import cores
from smalti.steps.cores import available_cores


def test_the_batch_system_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert available_cores() == 1
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1000000")
    few = available_cores()
    monkeypatch.delenv("SLURM_CPUS_PER_TASK")
    assert 1 <= available_cores() == few <= (os.cpu_count() or 1)


V1 = {"cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000"}


@pytest.mark.parametrize(
    ("own", "files", "granted"),
    [
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "what is this"}, None),
        # The group around the own one grants less; another one is none of our business.
        ("0::/slurm/job/step\n", {"slurm/job/cpu.max": "300000 100000", "other/cpu.max": "100000 100000"}, 3),
        ("0::/slurm/job\n", {"slurm/job/cpu.max": "max 100000", "slurm/cpu.max": "700000 100000"}, 7),
        ("4:cpu,cpuacct:/docker/abc\n", V1 | {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000"}, 2),
        ("4:cpu,cpuacct:/docker/abc\n", V1 | {"cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "-1"}, None),
        ("5:memory:/docker/abc\n", {"memory/docker/abc/cpu.max": "100000 100000"}, None),
        # Systems without control groups.
        (None, {}, None),
    ],
)
def test_control_groups_are_respected(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    own: str | None,
    files: dict[str, str],
    granted: int | None,
) -> None:
    names, root = tmp_path / "own", tmp_path / "root"
    if own is not None:
        names.write_text(own)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    monkeypatch.setattr(cores, "_OWN", names)
    monkeypatch.setattr(cores, "_ROOT", root)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert available_cores() == (granted or 64)

"""How many cores this process may use."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

__all__ = ["available_cores"]

_OWN = Path("/proc/self/cgroup")
"""Names the control groups that this process is in."""

_ROOT = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""


def available_cores() -> int:
    """Number of cores that this process may use.

    The least of what the operating system allows (affinity), what the container or the batch system's
    control group is granted, and what the batch system says (``SLURM_CPUS_PER_TASK``).
    """
    limits = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    limits.append(_granted(_OWN, _ROOT) or limits[0])
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit() and int(slurm) > 0:
        limits.append(int(slurm))
    return min(limits)


def _granted(own: Path, root: Path) -> int | None:
    """Whole cores that the own control group and those around it are granted; None where there is no limit.

    Files of both versions, as the Linux kernel documents them (admin-guide/cgroup-v2 and
    scheduler/sched-bwc): ``cpu.max`` holds quota and period, or ``cpu.cfs_quota_us`` and
    ``cpu.cfs_period_us`` do; in microseconds.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    limits = []
    for line in [*lines, "0::/"]:
        _, controllers, name = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = PurePosixPath("/", name)
        for around in (group, *group.parents):
            folder = root / controllers / str(around).lstrip("/")
            quota = _read(folder / "cpu.max") or [
                *_read(folder / "cpu.cfs_quota_us"),
                *_read(folder / "cpu.cfs_period_us"),
            ]
            if len(quota) == 2 and min(quota) > 0:
                limits.append(max(1, quota[0] // quota[1]))
    return min(limits, default=None)


def _read(path: Path) -> list[int]:
    """The whole numbers of a file; none where it is not there or says "max"."""
    try:
        return [int(word) for word in path.read_text().split()]
    except (OSError, ValueError):
        return []

"""Run many equal pieces of work on a pool, in order and with bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

__all__ = ["available_cores", "ordered"]

T = TypeVar("T")
R = TypeVar("R")

_CGROUP = Path("/sys/fs/cgroup/cpu.max")


def available_cores() -> int:
    """Number of cores that this process may use.

    The least of what the operating system allows (affinity), what the container is granted (cgroup v2)
    and what the batch system gave (``SLURM_CPUS_PER_TASK``).
    """
    limits = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        limits.append(len(os.sched_getaffinity(0)))
    limits.append(_cgroup_cores(_CGROUP) or limits[0])
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdigit() and int(slurm) > 0:
        limits.append(int(slurm))
    return min(limits)


def _cgroup_cores(path: Path) -> int | None:
    """Read "quota period" (microseconds) of cgroup v2; None where there is no limit."""
    try:
        quota, period = path.read_text().split()
        return None if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None


def ordered(
    function: Callable[[T], R], items: Iterable[T], jobs: int = 0, executor: Executor | None = None
) -> Iterator[R]:
    """Apply a function to items on a pool and give the results in the order of the items.

    At most twice as many items as workers are under way or waiting, and ``items`` is drawn from only as
    results are taken: memory does not grow with the number of items.

    Parameters
    ----------
    jobs : int
        Number of workers; 0 takes all available cores.
    executor : Executor, optional
        The pool; by default threads of our own (kernels and readers release the interpreter lock).
        ``function`` and items must be picklable for pools of processes.
    """
    workers = jobs or available_cores()
    if executor is None and workers == 1:
        yield from map(function, items)
        return
    own = ThreadPoolExecutor(workers) if executor is None else None
    pool = executor or own
    assert pool is not None
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        if own is not None:
            own.shutdown(wait=True, cancel_futures=True)

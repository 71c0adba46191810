"""Run many equal pieces of work on a pool, in order and with bounded memory.

Which pools there are, and how to choose one, is in :mod:`smalti.steps.pools`.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

__all__ = ["LOSSES", "available_cores", "ordered"]

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

LOSSES = 5
"""So many times may workers be lost: more often it is the work that kills them."""

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
    function: Callable[[T], R],
    items: Iterable[T],
    jobs: int = 0,
    executor: Executor | None = None,
    renew: Callable[[], Executor] | None = None,
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
    renew : Callable, optional
        Makes another pool when a worker was lost and took the pool with it; what was under way is done
        again. Without one, and after :data:`LOSSES` such losses, the loss is an error.
    """
    workers = jobs or available_cores()
    if executor is None and workers == 1:
        yield from map(function, items)
        return
    own = ThreadPoolExecutor(workers) if executor is None else None
    pool = executor or own
    assert pool is not None
    waiting: deque[tuple[T, Future[R]]] = deque()
    losses = 0
    remaining = iter(items)
    given_up = False
    try:
        while True:
            for item in islice(remaining, 2 * workers - len(waiting)):
                waiting.append((item, _submitted(pool, function, item)))
            if not waiting:
                return
            item, future = waiting[0]
            try:
                result = future.result()
            except BrokenExecutor:
                losses += 1
                if renew is None or losses > LOSSES:
                    raise
                log.warning("A worker was lost; what it had in hand is done again.")
                pool = renew()
                waiting = deque((item, _submitted(pool, function, item)) for item, _ in waiting)
                continue
            waiting.popleft()
            yield result
    except GeneratorExit:
        given_up = True
        raise
    finally:
        for _, future in waiting:
            future.cancel()
        if own is not None:
            # Who no longer wants results may be the garbage collector in one of our own threads.
            own.shutdown(wait=not given_up, cancel_futures=True)


def _submitted(pool: Executor, function: Callable[[T], R], item: T) -> Future[R]:
    """Submit one item; a pool that is broken already says so when the result is asked for."""
    try:
        return pool.submit(function, item)
    except BrokenExecutor as error:
        future: Future[R] = Future()
        future.set_exception(error)
        return future

"""The pools on which work is done: threads, processes, a Dask cluster, MPI ranks.

All of them are executors of :mod:`concurrent.futures`, so that a step does not know which it runs on.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

from smalti.errors import InputError, PluginError, UsageError
from smalti.options import suggest
from smalti.steps.cores import available_cores
from smalti.steps.executing import ordered

__all__ = ["KINDS", "Pool", "open_pool"]

T = TypeVar("T")
R = TypeVar("R")

KINDS = ("threads", "processes", "dask", "mpi")
"""The kinds of pools by the names that users give them."""

PATIENCE = 10.0
"""Seconds that a scheduler may take to answer."""


@dataclass(frozen=True)
class Pool:
    """Workers that do pieces of work.

    Attributes
    ----------
    workers : int
        How many pieces are done at a time.
    executor : Callable
        Gives the executor.
    renew : Callable
        Gives another one when the one before was lost with one of its workers.
    losses : tuple of type
        What the executor raises when workers were lost and it gives up.
    """

    workers: int
    executor: Callable[[], Executor]
    renew: Callable[[], Executor]
    losses: tuple[type[BaseException], ...] = (BrokenExecutor,)

    def ordered(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Apply a function to items and give the results in their order; lost workers' work is done again.

        Raises
        ------
        InputError
            Workers were lost again and again.
        """
        try:
            yield from ordered(function, items, self.workers, self.executor(), self.renew)
        except self.losses as error:
            raise InputError(
                "Workers were lost again and again.",
                f"The last loss: {str(error)[:200] or type(error).__name__}.",
                "They may have run out of memory: use fewer at a time (--jobs), or smaller batches.",
            ) from error


@contextmanager
def open_pool(kind: str = "threads", jobs: int = 0, scheduler: str = "") -> Iterator[Pool]:
    """Open a pool of one of the :data:`KINDS`; it is closed at the end.

    Parameters
    ----------
    kind : str
    jobs : int
        Number of workers; 0 takes all available cores, or all workers of a running cluster.
    scheduler : str
        Address of a running Dask scheduler, or its scheduler file; without one a cluster of processes is
        started on this machine.

    Raises
    ------
    UsageError
        There is no such kind, or a scheduler was given for a kind that has none.
    PluginError
        The package that the kind needs is not installed.
    InputError
        The scheduler does not answer, or has no workers.
    """
    if kind not in KINDS:
        raise UsageError(
            f"There is no executor '{kind}'.", f"There are: {', '.join(KINDS)}.", suggest(kind, KINDS)
        )
    if scheduler and kind != "dask":
        raise UsageError(
            f"The executor '{kind}' has no scheduler.",
            f"--scheduler {scheduler} was given, which only dask knows.",
            "Add --executor dask, or leave --scheduler out.",
        )
    opening = {"threads": _threads, "processes": _processes, "dask": _dask, "mpi": _mpi}[kind]
    with ExitStack() as stack:
        yield opening(stack, jobs, scheduler)


def _threads(stack: ExitStack, jobs: int, _scheduler: str) -> Pool:
    workers = jobs or available_cores()
    pool = stack.enter_context(ThreadPoolExecutor(workers))
    return Pool(workers, lambda: pool, lambda: pool)


def _processes(stack: ExitStack, jobs: int, _scheduler: str) -> Pool:
    workers = jobs or available_cores()
    # Threads of the numeric libraries do not survive a fork.
    context = multiprocessing.get_context("spawn")

    held: list[Executor] = []

    def renew() -> Executor:
        pool = ProcessPoolExecutor(workers, mp_context=context)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        held.append(pool)
        return pool

    return Pool(workers, lambda: held[-1] if held else renew(), renew)


def _dask(stack: ExitStack, jobs: int, scheduler: str) -> Pool:
    try:
        import distributed
    except ImportError as error:
        raise _missing("dask", "distributed", "pip install 'smalti[dask]'", error) from None
    try:
        if scheduler:
            place = {"scheduler_file" if scheduler.endswith(".json") else "address": scheduler}
            client = stack.enter_context(distributed.Client(timeout=PATIENCE, **place))
        else:
            cluster = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=jobs or available_cores(), threads_per_worker=1, dashboard_address=None
                )
            )
            client = stack.enter_context(distributed.Client(cluster))
    except (OSError, ValueError) as error:  # TimeoutError is the former
        raise InputError(
            f"No Dask scheduler answers at '{scheduler}'.",
            f"{str(error)[:200]}.",
            "Start one (dask scheduler), or leave --scheduler out to use this machine.",
        ) from None
    threads = sum(client.nthreads().values())
    if threads == 0:
        raise InputError(
            f"The Dask scheduler at '{scheduler}' has no workers.",
            "",
            f"Start some: dask worker {scheduler}",
        )
    pool = client.get_executor(pure=False)
    losses = (BrokenExecutor, distributed.KilledWorker)
    return Pool(min(jobs or threads, threads), lambda: pool, lambda: pool, losses)


def _mpi(stack: ExitStack, jobs: int, _scheduler: str) -> Pool:
    try:
        from mpi4py.futures import MPIPoolExecutor
    except ImportError as error:
        fix = "pip install mpi4py, where an MPI library is installed"
        raise _missing("mpi", "mpi4py", fix, error) from None
    except RuntimeError as error:  # mpi4py without an MPI library
        raise _missing("mpi", "an MPI library", "Install one (MPICH, Open MPI)", error) from None
    pool = stack.enter_context(MPIPoolExecutor(jobs or None))
    # Ranks lie on many machines: the cores of this one say nothing about them.
    ranks = pool.num_workers
    return Pool(min(jobs or ranks, ranks), lambda: pool, lambda: pool)


def _missing(kind: str, package: str, fix: str, error: Exception) -> PluginError:
    return PluginError(
        f"The executor '{kind}' needs {package}, which is not installed.",
        f"{str(error).splitlines()[0] if str(error) else type(error).__name__}.",
        f"{fix}; or use --executor processes.",
    )

"""Run many equal pieces of work on a pool, in order and with bounded memory.

Which pools there are, and how to choose one, is in :mod:`smalti.steps.pools`.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import islice
from typing import Generic, TypeVar

from smalti.steps.cores import available_cores

__all__ = ["LOSSES", "ordered"]

T = TypeVar("T")
R = TypeVar("R")

log = logging.getLogger(__name__)

LOSSES = 5
"""So many times may workers be lost: more often it is the work that kills them."""


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
    under_way = _UnderWay(function, pool, renew)
    remaining = iter(items)
    given_up = False
    try:
        while True:
            for item in islice(remaining, 2 * workers - len(under_way.waiting)):
                under_way.add(item)
            if not under_way.waiting:
                return
            yield under_way.first()
    except GeneratorExit:
        given_up = True
        raise
    finally:
        for _, future in under_way.waiting:
            future.cancel()
        if own is not None:
            # Who no longer wants results may be the garbage collector in one of our own threads.
            own.shutdown(wait=not given_up, cancel_futures=True)


class _UnderWay(Generic[T, R]):
    """What a pool has in hand, in order."""

    def __init__(
        self, function: Callable[[T], R], pool: Executor, renew: Callable[[], Executor] | None
    ) -> None:
        self.function, self.pool, self.renew = function, pool, renew
        self.waiting: deque[tuple[T, Future[R]]] = deque()
        self.losses = 0

    def add(self, item: T) -> None:
        """Hand an item to the pool."""
        self.waiting.append((item, _submitted(self.pool, self.function, item)))

    def first(self) -> R:
        """Wait for the result that comes first; another pool does again what a lost worker had."""
        while True:
            try:
                result = self.waiting[0][1].result()
            except BrokenExecutor:
                self.losses += 1
                if self.renew is None or self.losses > LOSSES:
                    raise
                log.warning("A worker was lost; what it had in hand is done again.")
                self.pool = self.renew()
                again = [item for item, _ in self.waiting]
                self.waiting.clear()
                for item in again:
                    self.add(item)
                continue
            self.waiting.popleft()
            return result


def _submitted(pool: Executor, function: Callable[[T], R], item: T) -> Future[R]:
    """Submit one item; a pool that is broken already says so when the result is asked for."""
    try:
        return pool.submit(function, item)
    except BrokenExecutor as error:
        future: Future[R] = Future()
        future.set_exception(error)
        return future

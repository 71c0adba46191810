"""Work on a pool: order, bounds, errors, and how many cores there are."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from smalti.steps.executing import ordered


def slow_square(x: int) -> int:
    time.sleep(0.002 * (x % 3))
    return x * x


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_come_in_order(jobs: int) -> None:
    assert list(ordered(slow_square, range(40), jobs)) == [x * x for x in range(40)]


def test_processes_do_as_well_as_threads() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(ordered(abs, range(-9, 0), executor=pool)) == list(range(9, 0, -1))


def test_items_are_drawn_only_as_results_are_taken() -> None:
    drawn: list[int] = []

    def items() -> Iterator[int]:
        for k in range(100):
            drawn.append(k)
            yield k

    results = ordered(slow_square, items(), 3)
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    assert len(drawn) <= 4 + 2 * 3
    results.close()


def test_an_error_stops_the_rest() -> None:
    done: list[int] = []
    lock = threading.Lock()

    def work(x: int) -> int:
        if x == 5:
            raise ValueError("five")
        with lock:
            done.append(x)
        return x

    with pytest.raises(ValueError, match="five"):
        list(ordered(work, range(1000), 2))
    assert len(done) < 20


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_results_may_be_dropped_by_one_of_the_workers() -> None:
    """As the garbage collector does that runs there: a thread that waits for itself is an error."""
    held: list[Iterator[int]] = []
    given, dropped = threading.Event(), threading.Event()

    def work(x: int) -> int:
        if x == 1:
            assert given.wait(10.0)
            held.clear()
            dropped.set()
        return x

    held.append(ordered(work, range(100), 2))
    assert next(held[0]) == 0
    given.set()
    assert dropped.wait(10.0)

"""Results that are kept for a while."""

from __future__ import annotations

import threading

import pytest

from smalti.steps.viewing.keeping import Shelf


def test_the_least_recently_used_goes_first():
    shelf: Shelf[int] = Shelf(2)
    for key in "ab":
        shelf.get(key, lambda: 1)
    shelf.get("a", lambda: 99)
    shelf.get("c", lambda: 3)
    assert (shelf.peek("a"), shelf.peek("b"), shelf.peek("c")) == (1, None, 3)


def test_the_last_stays_whatever_it_weighs():
    shelf: Shelf[str] = Shelf(3, len)
    assert shelf.get("x", lambda: "long text") == "long text" == shelf.peek("x")
    shelf.get("y", lambda: "z")
    assert shelf.peek("x") is None


def test_a_failure_is_told_and_not_kept():
    shelf: Shelf[int] = Shelf(5)
    with pytest.raises(ZeroDivisionError):
        shelf.get("k", lambda: 1 // 0)
    assert shelf.get("k", lambda: 7) == 7


def test_two_threads_make_a_value_once():
    shelf: Shelf[int] = Shelf(5)
    made, started, go = [], threading.Event(), threading.Event()

    def make() -> int:
        made.append(1)
        started.set()
        assert go.wait(5)
        return 5

    results: list[int] = []
    workers = [threading.Thread(target=lambda: results.append(shelf.get("k", make))) for _ in range(3)]
    workers[0].start()
    assert started.wait(5)
    for worker in workers[1:]:
        worker.start()
    go.set()
    for worker in workers:
        worker.join(5)
    assert results == [5, 5, 5] and made == [1]

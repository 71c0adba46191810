"""Results kept for a while: the least recently used go first, and nothing is made twice at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Generic, TypeVar

__all__ = ["Shelf"]

V = TypeVar("V")


class Shelf(Generic[V]):
    """Values by key, up to a weight; safe to use from several threads.

    A second thread that asks for what a first is making waits for it.

    Parameters
    ----------
    capacity : float
        The most that all values may weigh; the last one stays whatever it weighs.
    weigh : Callable
        The weight of a value.
    """

    def __init__(self, capacity: float, weigh: Callable[[V], float] = lambda value: 1.0) -> None:
        self._capacity = capacity
        self._weigh = weigh
        self._items: OrderedDict[Hashable, Future[V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Give the value of a key, making it where it is not kept; a failure is kept by nobody."""
        with self._lock:
            future = self._items.get(key)
            mine = future is None
            if future is None:
                future = self._items[key] = Future()
            self._items.move_to_end(key)
        if mine:
            self._fill(key, future, make)
        return future.result()

    def peek(self, key: Hashable) -> V | None:
        """Give the value of a key if it is there already."""
        with self._lock:
            future = self._items.get(key)
        return future.result() if future is not None and future.done() and not future.exception() else None

    def _fill(self, key: Hashable, future: Future[V], make: Callable[[], V]) -> None:
        try:
            future.set_result(make())
        except BaseException as error:
            with self._lock:
                self._items.pop(key, None)
            future.set_exception(error)
            return
        with self._lock:
            self._trim()

    def _trim(self) -> None:
        done = [(key, item) for key, item in self._items.items() if item.done()]
        weight = sum(self._weigh(item.result()) for _, item in done)
        for key, item in done[:-1]:
            if weight <= self._capacity:
                return
            weight -= self._weigh(item.result())
            self._items.pop(key, None)

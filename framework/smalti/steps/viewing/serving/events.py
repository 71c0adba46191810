"""Telling open pages what other programs ask them to show."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Bell"]


class Bell:
    """Browsers that listen, and what they are told; safe to use from several threads."""

    def __init__(self) -> None:
        self._listeners: list[queue.SimpleQueue[bytes]] = []
        self._lock = threading.Lock()

    @contextmanager
    def listening(self) -> Iterator[queue.SimpleQueue[bytes]]:
        """Give a queue that is told everything while the block lasts."""
        own: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        with self._lock:
            self._listeners.append(own)
        try:
            yield own
        finally:
            with self._lock:
                self._listeners.remove(own)

    def ring(self, told: Any) -> int:
        """Tell all who listen; give how many there are."""
        with self._lock:
            for listener in self._listeners:
                listener.put(json.dumps(told).encode())
            return len(self._listeners)

"""How many threads a kernel may use where its caller cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["allow", "allowed", "worthwhile"]

_ROWS = 1000

_ALLOWED: ContextVar[int] = ContextVar("smalti_ext.threads", default=1)


def allowed() -> int:
    """Give the number of threads that the work at hand may use; 1 unless somebody allowed more."""
    return _ALLOWED.get()


@contextmanager
def allow(n: int) -> Iterator[None]:
    """Allow n threads to the kernels called within the block.

    A component, an outlier rejector say, is called with data and nothing else. The step that calls it knows
    how many threads the user wants and allows them here; workers of a pool, which share the cores
    already, do not inherit it.
    """
    token = _ALLOWED.set(max(1, n))
    try:
        yield
    finally:
        _ALLOWED.reset(token)


def worthwhile(n_threads: int, rows: int, pieces: int) -> int:
    """How many of so many threads have anything to do: starting one takes longer than a thousand rows."""
    return max(1, min(n_threads, pieces, rows // _ROWS))

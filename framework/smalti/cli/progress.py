"""Show progress: a bar with the time left on a terminal, a plain line every ten seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from smalti.progress import Progress, silent

__all__ = ["PlainProgress", "showing"]

INTERVAL = 10.0
"""Seconds between two plain lines."""


class PlainProgress:
    """Write a line every ten seconds: for batch queues, where a bar would fill the log.

    A stage shorter than that leaves no line.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._stage = ""
        self._started = 0.0
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note of progress."""
        now = self._clock()
        if stage != self._stage:
            self._stage, self._started, self._last = stage, now, now
        if now - self._last < INTERVAL:
            return
        self._last = now
        rate = done / max(now - self._started, 1e-3)
        left = (total - done) / rate if rate and total else 0.0
        of = f"{done} of {total}" if total else f"{done}"
        eta = f", about {left:.0f} s left" if left else ""
        self._stream.write(f"{stage}: {of}, {speed(rate)}{eta}\n")
        self._stream.flush()


def speed(rate: float) -> str:
    """Write how many are done in a second."""
    return f"{rate:.0f}/s" if rate >= 10.0 else f"{rate:.2g}/s"


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars
    from rich.text import Text

    class SpeedColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(speed(task.speed) if task.speed else "")

    text, left = TextColumn("{task.description}"), TimeRemainingColumn()
    columns = (text, BarColumn(), MofNCompleteColumn(), SpeedColumn(), left)
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {}

        def note(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None, visible=done < total or not total)

        yield note


@contextmanager
def showing(quiet: bool) -> Iterator[Progress]:
    """Give the progress that suits where standard error goes."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as note:
            yield note
    else:
        yield PlainProgress(sys.stderr)

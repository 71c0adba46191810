"""Images that are still being written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from smalti.errors import SmaltiError
from smalti.files import as_stored
from smalti.roles import Series
from smalti.steps.finding.frames import FrameOutcome, FrameTask, find_in_frame

__all__ = ["NotThereError", "patiently", "settled", "wait_for", "written"]

T = TypeVar("T")

PAUSE = 0.2
"""Seconds between two looks."""

SETTLES = 5.0
"""Seconds for which an image that cannot be read may still be written to."""


class NotThereError(Exception):
    """An image has not come."""


def wait_for(path: Path, patience: float) -> None:
    """Wait until a file is there.

    Raises
    ------
    NotThereError
        It has not come in time.
    """
    end = time.monotonic() + patience
    while not as_stored(path).exists():
        if time.monotonic() > end:
            raise NotThereError(f"{path.name} has not come within {patience:g} s")
        time.sleep(min(PAUSE, patience))


def written(task: FrameTask, patience: float, renewed: Callable[[], Series]) -> FrameOutcome:
    """Find the strong pixels of a frame of a container, once it is there.

    What cannot be read may not be written yet, or half; where the next frame can be read, it is damaged.

    Parameters
    ----------
    task : FrameTask
    patience : float
        Seconds to wait.
    renewed : Callable
        Gives the images as the file is now.

    Raises
    ------
    NotThereError
        It has not come in time.
    """
    end = time.monotonic() + patience
    outcome = find_in_frame(task)
    while outcome.error is not None:
        task = replace(task, series=renewed())
        if _readable(task, task.index + 1):
            return settled(partial(find_in_frame, task))
        outcome = find_in_frame(task)
        if outcome.error is not None and time.monotonic() > end:
            raise NotThereError(f"{task.name} has not come within {patience:g} s")
        time.sleep(min(PAUSE, patience) if outcome.error is not None else 0.0)
    return outcome


def _readable(task: FrameTask, index: int) -> bool:
    try:
        return index < len(task.series) and task.series.read(index).size > 0
    except (SmaltiError, OSError, LookupError, ValueError):
        return False


def settled(find: Callable[[], FrameOutcome]) -> FrameOutcome:
    """Look again at an image that cannot be read: it may be half written."""
    end = time.monotonic() + SETTLES
    outcome = find()
    while outcome.error is not None and time.monotonic() < end:
        time.sleep(PAUSE)
        outcome = find()
    return outcome


def patiently(call: Callable[[], T], error: type[Exception]) -> T:
    """Call again what fails: the first image, of which masks are asked, may be half written."""
    end = time.monotonic() + SETTLES
    while True:
        try:
            return call()
        except error:
            if time.monotonic() > end:
                raise
            time.sleep(PAUSE)

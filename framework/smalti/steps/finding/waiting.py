"""Images that are still being written."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from smalti.files import as_stored
from smalti.steps.finding.frames import FrameOutcome

__all__ = ["NotThereError", "settled", "wait_for"]

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


def settled(find: Callable[[], FrameOutcome]) -> FrameOutcome:
    """Look again at an image that cannot be read: it may be half written."""
    end = time.monotonic() + SETTLES
    outcome = find()
    while outcome.error is not None and time.monotonic() < end:
        time.sleep(PAUSE)
        outcome = find()
    return outcome

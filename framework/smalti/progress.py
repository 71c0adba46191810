"""How steps say how far they are, without knowing who listens."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "silent"]


class Progress(Protocol):
    """Something that is told of progress.

    Called with the name of the stage, how much is done and how much there is in total; safe to
    call from one thread at a time.
    """

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` are done in ``stage``."""


def silent(stage: str, done: int, total: int) -> None:
    """Ignore progress; the default of every step."""

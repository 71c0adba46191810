"""What can go wrong, in three lines: what happened, why, and how to fix it.

Each class carries the exit status that the command line gives for it, so that a script can
tell bad data from a bad call without reading the text.
"""

from __future__ import annotations

from typing import ClassVar, Self

__all__ = [
    "DataError",
    "InputError",
    "PluginError",
    "SmaltiError",
    "UntrustworthyError",
    "UsageError",
]


class SmaltiError(Exception):
    """An error for which the user, not the program, holds the cure.

    Parameters
    ----------
    what : str
        What happened, naming the file, option or component.
    why : str
        The reason, naming the place in the file where there is one.
    fix : str
        What to do about it.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def or_else(self, fix: str) -> Self:
        """Give the same error with another way out."""
        return type(self)(self.what, self.why, f"{self.fix} {fix}".strip())

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.why, self.fix) if line)


class DataError(SmaltiError):
    """The run failed on the data: too few reflections, nothing found, no lattice."""

    exit_status = 1


class UsageError(SmaltiError):
    """The call itself is wrong: an unknown option, a value out of its range."""

    exit_status = 2


class InputError(SmaltiError):
    """An input is missing, unreadable, corrupted or of the wrong kind, or an output cannot be written."""

    exit_status = 3


class UntrustworthyError(SmaltiError):
    """The run ended, but its result should not be believed (raised under ``--strict``)."""

    exit_status = 4


class PluginError(SmaltiError):
    """A plugin is broken, missing, or does not keep the contract of its role."""

    exit_status = 5

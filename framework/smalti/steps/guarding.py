"""Call a plugin's code so that whatever it does wrong is told as its own fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from smalti.errors import PluginError, SmaltiError

__all__ = ["guarded"]

T = TypeVar("T")


def guarded(call: Callable[[], T], what: str, cure: str) -> T:
    """Call a component; our own errors and those of the system (a disk, a missing file) pass.

    Parameters
    ----------
    call : Callable
    what : str
        What has gone wrong if it fails in any other way, naming the component.
    cure : str
        What the user can do about it.

    Raises
    ------
    PluginError
        It raised anything else.
    """
    try:
        return call()
    except (SmaltiError, OSError):
        raise
    except (Exception, SystemExit) as error:  # the component is a plugin's code, and may fail in any way
        raise PluginError(what, f"{type(error).__name__}: {error}.", cure) from error

"""Say what went wrong in three lines, and what a run did in one object."""

from __future__ import annotations

import errno
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import smalti
from smalti.errors import DataError, InputError, SmaltiError
from smalti.text import json_lines

__all__ = [
    "INTERRUPTED",
    "EndedError",
    "as_json",
    "as_object",
    "from_os_error",
    "interruption",
    "peak_memory_mb",
    "tell_error",
    "three_lines",
]

INTERRUPTED = 130

_NOWHERE = {
    errno.ENOSPC: "Free some space, or choose another disk.",
    errno.EDQUOT: "Free some of your space, or choose another disk.",
    errno.EROFS: "Choose another place with -o: this disk can only be read.",
    errno.ENAMETOOLONG: "Choose a shorter name.",
}
"""What to do where an output cannot be written, by the number of the error."""


def three_lines(error: SmaltiError) -> str:
    """What happened, why, and how to fix it: at most three lines."""
    parts = (("Error: ", error.what), ("  Why: ", error.why), ("  Fix: ", error.fix))
    return "\n".join(label + " ".join(text.split()) for label, text in parts if text)


def as_object(error: SmaltiError) -> dict[str, Any]:
    """The ``error`` of ``--json``."""
    return {"what": error.what, "why": error.why, "fix": error.fix, "status": error.exit_status}


def from_os_error(error: OSError) -> SmaltiError:
    """Put what the operating system says into our words."""
    name = str(error.filename) if error.filename else "a file"
    reason = f"{error.strerror or error}."
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return InputError(f"{name} cannot be opened.", reason, "Check the path and who may read or write it.")
    if error.errno in _NOWHERE:
        return InputError(f"{name} cannot be written.", reason, _NOWHERE[error.errno])
    return DataError(f"{name} could not be read or written.", reason, "Check the disk, and try another one.")


def as_json(value: Any) -> str:
    """Write JSON that every parser reads: arrays as lists, infinities and nan as null."""
    return json_lines(_plain(value), 3)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # arrays and scalars of numpy, which must not be imported here
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)


def peak_memory_mb() -> float:
    """The most memory that this process has held, in MB (10^6 bytes); 0 where the system does not tell."""
    try:
        # Linux: the count of getrusage starts with that of the process which started this one.
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return round(
            next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6, 1
        )
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)


class EndedError(SmaltiError):
    """An end that belongs to no class of error: its status comes with it."""

    def __init__(self, status: int, what: str, why: str, fix: str) -> None:
        super().__init__(what, why, fix)
        self.exit_status = status  # type: ignore[misc]


def interruption(fix: str = "Run the same command again.") -> SmaltiError:
    """Put Ctrl-C into words."""
    why = "Nothing half-written was left: every output is written whole or not at all."
    return EndedError(INTERRUPTED, "Interrupted.", why, fix)


def tell_error(error: SmaltiError, argv: Sequence[str], command: str | None = None) -> int:
    """Tell an error that came before a command could start, as an object too where ``--json`` was given."""
    sys.stderr.write(three_lines(error) + "\n")
    if "--json" in argv:
        known = {"smalti": smalti.__version__, "command": command, "peak_memory_mb": peak_memory_mb()}
        empty = {"inputs": (), "outputs": (), "result": None, "seconds": 0.0, "warnings": ()}
        print(as_json({**known, **empty, "status": error.exit_status, "error": as_object(error)}))
    return error.exit_status

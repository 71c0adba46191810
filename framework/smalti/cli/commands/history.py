"""``smalti history``: where a file comes from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.cli.command import Command, Outcome, Request
from smalti.cli.files import Kind, check_exist, recognise
from smalti.errors import InputError, UsageError
from smalti.storage.history import describe_history, read_history

__all__ = ["COMMAND"]

_KINDS = (Kind.EXPERIMENTS, Kind.REFLECTIONS, Kind.PICKLE, Kind.JSON, Kind.HTML)


def run(request: Request) -> Outcome:
    """Show the history of each file."""
    if not request.files:
        raise UsageError(
            "smalti history needs a file, and none was given.",
            "It shows the history that smalti writes into its outputs.",
            f"Example: {COMMAND.example}",
        )
    records = {str(path): _read(path) for path in check_exist(request.files)}
    text = "\n\n".join(f"{name}\n{describe_history(history)}" for name, history in records.items())
    return Outcome({"files": records}, text)


def _read(path: Path) -> tuple[Mapping[str, Any], ...]:
    kind = recognise(path)
    if kind not in _KINDS:
        raise InputError(
            f"{path} is {kind.value}.",
            "Models (.expt), tables (.refl, .h5), results (.json) and reports (.html) carry a history.",
            f"Example: {COMMAND.example}",
        )
    return read_history(path)


COMMAND = Command(
    "history",
    run,
    usage="FILE...",
    details=(
        "Every output of smalti carries the commands that led to it, oldest first: versions of the "
        "program and the plugins, the command line, the parameters that differ from their defaults, names"
        " and hashes of the inputs."
    ),
    example="smalti history refined.expt",
)

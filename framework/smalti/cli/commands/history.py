"""``smalti history``: where a file comes from."""

from __future__ import annotations

from smalti.cli.command import Command, Outcome, Request
from smalti.cli.files import check_exist
from smalti.errors import UsageError
from smalti.storage.history import describe_history, read_history

__all__ = ["COMMAND"]


def run(request: Request) -> Outcome:
    """Show the history of each file."""
    if not request.files:
        raise UsageError(
            "smalti history needs a file, and none was given.",
            "It shows the history that smalti writes into its outputs.",
            f"Example: {COMMAND.example}",
        )
    records = {str(path): read_history(path) for path in check_exist(request.files)}
    text = "\n\n".join(f"{name}\n{describe_history(history)}" for name, history in records.items())
    return Outcome({"files": records}, text)


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

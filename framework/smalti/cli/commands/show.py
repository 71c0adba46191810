"""``smalti show``: models and tables in words."""

from __future__ import annotations

from pathlib import Path

from smalti.cli.command import Command, Outcome, Request, Switch
from smalti.cli.files import Kind, check_exist, recognise
from smalti.errors import InputError, UsageError
from smalti.steps.showing import Description, describe
from smalti.storage import read_experiments, read_reflections

__all__ = ["COMMAND"]


def run(request: Request) -> Outcome:
    """Describe each file."""
    if not request.files:
        raise UsageError(
            "smalti show needs a file, and none was given.",
            "It shows experiment lists (.expt) and reflection tables (.refl, .h5).",
            f"Example: {COMMAND.example}",
        )
    shown = {str(path): _describe(path) for path in check_exist(request.files)}
    every = bool(request.switch("all"))
    text = "\n\n".join(f"{name}\n\n{item.text(every)}" for name, item in shown.items())
    warnings = tuple(warning for item in shown.values() for warning in item.warnings)
    return Outcome({"files": {name: item.summary() for name, item in shown.items()}}, text, (), warnings)


def _describe(path: Path) -> Description:
    kind = recognise(path)
    if kind is Kind.EXPERIMENTS:
        return describe(read_experiments(path), None)
    if kind in (Kind.REFLECTIONS, Kind.PICKLE):
        return describe(None, read_reflections(path))
    raise InputError(
        f"{path} is {kind.value}.",
        "smalti show takes experiment lists (.expt) and reflection tables (.refl, .h5).",
        f"For an image: smalti import {path} -o imported.expt"
        if kind is Kind.IMAGE
        else f"Example: {COMMAND.example}",
    )


COMMAND = Command(
    "show",
    run,
    usage="FILE...",
    details=(
        "Tells the models of each experiment in words, and sums up the columns of a table. Many experiments "
        "and panels are summed up; --all lists them besides."
    ),
    example="smalti show indexed.expt indexed.refl",
    switches=(Switch("--all", "List every experiment and every panel, a line each."),),
)

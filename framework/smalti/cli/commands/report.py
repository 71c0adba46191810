"""``smalti report``: one page that shows what moved and whether to believe it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smalti.cli.command import Command, Outcome, Request, Stage, Switch
from smalti.cli.files import Kind, sort_files
from smalti.cli.places import stem
from smalti.cli.work import Inputs, make_record_of
from smalti.errors import InputError, UsageError
from smalti.models import Experiments
from smalti.steps.reporting import KINDS, figures, make_report
from smalti.storage import read_experiments, read_reflections, refuse_overwriting, write_json, write_whole
from smalti.tables import Reflections

__all__ = ["COMMAND", "STAGE"]

_PAIR = (Kind.EXPERIMENTS, Kind.REFLECTIONS)


def run(request: Request) -> Outcome:
    """Make a report of one stage, or of two compared."""
    before, after = _pairs(request)
    page, numbers = Path(stem(request.output) + ".html"), Path(stem(request.output) + ".json")
    details, found = _refinement(after[1])
    refuse_overwriting([page, numbers], [*before, *after, *found])
    earlier = _read(before) if before else None
    experiments, reflections = _read(after)
    inputs = Inputs((*before, *after, *found), (experiments,), (reflections,))
    report = make_report(
        experiments,
        reflections,
        before=earlier,
        details=details,
        history=[*inputs.history, make_record_of(request, inputs)],
        names=(str(after[0]), str(after[1])),
        extra=request.settings.components("report_section"),
    )
    write_whole(page, report.html.encode())
    write_json(numbers, report.data)
    drawn = _figures(request, report.data)
    return Outcome(report.summary(), report.text(), (page, numbers, *drawn), report.warnings)


def _figures(request: Request, data: Mapping[str, Any]) -> tuple[Path, ...]:
    """Write the figures for papers into the folders that were asked for."""
    written = []
    for kind in KINDS:
        if not request.switch(kind):
            continue
        folder = Path(str(request.switch(kind)))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The folder {folder} cannot be made.", f"{error.strerror}.", f"Give another with --{kind}."
            ) from None
        for name, content in figures(data, kind):
            written.append(folder / f"{name}.{kind}")
            write_whole(written[-1], content)
    return tuple(written)


def _pairs(request: Request) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Give the files before (none) and after: four files are the two pairs in the order of time."""
    named = request.switch("before")
    files = request.files
    if len(files) == 4 and not named:
        paths = sort_files("report", files, _PAIR * 2, COMMAND.example)
        return paths[:2], paths[2:]
    if len(files) == 4:
        raise UsageError(
            "smalti report was given the earlier pair twice.",
            "Four files already are a pair before and a pair after.",
            f"Example: {COMMAND.example}",
        )
    before = sort_files("report", named, _PAIR, COMMAND.example) if named else ()
    return before, sort_files("report", files, _PAIR, COMMAND.example)


def _read(pair: tuple[Path, ...]) -> tuple[Experiments, Reflections]:
    return read_experiments(pair[0]), read_reflections(pair[1])


def _refinement(table: Path) -> tuple[Mapping[str, Any] | None, tuple[Path, ...]]:
    """Give what ``refine`` wrote beside its table, if it did: uncertainties are only there; and its file."""
    path = table.with_suffix(".json")
    if not path.is_file():
        return None, ()
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None, ()
    return (found, (path,)) if isinstance(found, dict) and "parameters" in found else (None, ())


STAGE = Stage("report", roles=("report_section",))

COMMAND = Command(
    "report",
    run,
    usage="EXPT REFL",
    details=(
        "Draws the residuals over the face of the detector with the outlines of the panels, lists every "
        "panel, and says in a sentence what to think of it. Give the files of an earlier step with --before"
        " to see both on the same scales. One HTML file that needs no network; NAME.json holds every number"
        " on it."
    ),
    example="smalti report refined.expt refined.refl --before indexed.expt indexed.refl -o report.html",
    stages=(STAGE,),
    switches=(
        Switch("--before", "Compare with an earlier stage.", ("EXPT", "REFL")),
        Switch("--png", "Write each figure as PNG, for papers  [needs smalti[plots]].", ("DIR",)),
        Switch("--svg", "Write each figure as SVG, for papers  [needs smalti[plots]].", ("DIR",)),
    ),
    output="report.html",
)

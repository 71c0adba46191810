"""``smalti calibrate``: the whole job in one command."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.cli.command import Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.commands import find_spots, import_, index, refine
from smalti.cli.files import refuse_results
from smalti.cli.pipeline import Journal, run_step
from smalti.cli.settings import Settings
from smalti.cli.work import FORCE, with_history
from smalti.errors import UsageError
from smalti.steps.calibrating import CalibrateOptions, Calibration
from smalti.steps.importing.collecting import collect
from smalti.storage import write_json

__all__ = ["COMMAND", "STAGE", "calibrate"]

STAGE = Stage("calibrate", CalibrateOptions)
STAGES = (STAGE, import_.STAGE, find_spots.STAGE, index.STAGE, refine.STAGE)

log = logging.getLogger(__name__)


def run(request: Request) -> Outcome:
    """Calibrate, and end in one screen."""
    calibration, outputs = calibrate(request)
    return Outcome(
        calibration.summary(), calibration.text(), outputs, calibration.warnings, calibration.doubts
    )


def calibrate(request: Request) -> tuple[Calibration, tuple[Path, ...]]:
    """Run all steps into the folder of ``-o``; give what came out and the files to hand on."""
    if not request.files:
        raise UsageError(
            "smalti calibrate needs images, and none was given.",
            "It takes files, folders, patterns such as 'images/*.cbf' and templates.",
            f"Example: {COMMAND.example}",
        )
    refuse_results("calibrate", request.files)
    folder = Path(request.output)
    steps = _Steps(request, folder, Journal(folder / "steps.json", bool(request.switch("resume"))))
    models = str(folder / "imported.expt")
    images = collect([Path(name) for name in request.files]).paths
    imported = steps.run("import", import_.STAGE, request.files, "imported.expt", images=images)
    found = steps.run("find-spots", find_spots.STAGE, (models,), "strong.refl")
    indexed = steps.run("index", index.STAGE, (models, str(folder / "strong.refl")), "indexed")
    refined, names = _refine(steps, folder)
    report = steps.run(
        "report", None, _pair(folder, names[-1]), "report.html", before=_pair(folder, ("indexed", *names)[-2])
    )
    outputs = (folder / f"{names[-1]}.expt", folder / f"{names[-1]}.refl", folder / "report.html")
    calibration = Calibration(
        imported.result,
        found.result,
        indexed.result,
        refined,
        report.result,
        outputs[0],
        outputs[2],
        tuple(dict.fromkeys((*steps.last.doubts, *_bad(report.result)))),
        tuple(dict.fromkeys(steps.warnings)),
        tuple(steps.skipped),
    )
    result = with_history(request, calibration.summary(), outputs, folder / f"{names[-1]}.json")
    write_json(folder / "calibration.json", result)
    return calibration, (*outputs, folder / "calibration.json")


def _bad(report: Mapping[str, Any]) -> tuple[str, ...]:
    """Why the report condemns the result; nothing when it does not."""
    verdict = report["verdict"]
    return tuple(verdict["reasons"]) if verdict["level"] == "bad" else ()


def _refine(steps: _Steps, folder: Path) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:
    """Refine level after level, each from where the one before ended."""
    settings = steps.request.settings
    levels: Sequence[str] = settings.options(STAGE).levels
    key = refine.STAGE.choices[0].key
    component = settings.component(refine.STAGE, key)
    if "level" not in {item.name for item in dataclasses.fields(component)}:
        # A parameterisation without levels is refined once, whatever the list says.
        levels = ("",)
    results: list[tuple[str, Mapping[str, Any]]] = []
    names: list[str] = []
    for level in levels:
        name = f"refined_{level}" if level else "refined"
        own = settings.with_value(key, "level", level) if level else settings
        files = _pair(folder, ("indexed", *names)[-1])
        done = steps.run(name, refine.STAGE, files, name, settings=own)
        steps.last = done
        results.append((level or "all", done.result))
        names.append(name)
    return results, names


def _pair(folder: Path, name: str) -> tuple[str, str]:
    return str(folder / f"{name}.expt"), str(folder / f"{name}.refl")


class _Steps:
    """The steps as they are run, and what they said."""

    def __init__(self, request: Request, folder: Path, journal: Journal) -> None:
        self.request = request
        self.folder = folder
        self.journal = journal
        self.warnings: list[str] = []
        self.skipped: list[str] = []
        self.last = Outcome({}, "")

    def run(
        self,
        name: str,
        stage: Stage | None,
        files: Sequence[str],
        output: str,
        *,
        images: Sequence[Path] = (),
        settings: Settings | None = None,
        before: tuple[str, str] | None = None,
    ) -> Outcome:
        """Run one step with the parameters of its own command."""
        command = stage.name if stage else name
        whole = settings or self.request.settings
        own = whole.narrowed(stage) if stage else whole.narrowed(Stage(name))
        switches = {"before": before} if before else {}
        asked = Request(
            command, tuple(files), str(self.folder / output), own, (), switches, self.request.progress
        )
        outcome, skipped = run_step(name, asked, images, self.journal)
        self.warnings += outcome.warnings
        self.skipped += [name] if skipped else []
        return outcome


COMMAND = Command(
    "calibrate",
    run,
    usage="IMAGES...",
    details=(
        "Imports the images, finds and indexes the spots, refines the detector as one block and then module "
        "by module, and draws a report. Each step is the command of that name and takes its parameters; its "
        "files lie in the folder of -o. With --resume, steps whose inputs and parameters have not changed "
        "are not run again. Ends in one screen: what moved, by how much, is it believable, what to hand on."
    ),
    example="smalti calibrate images/*.cbf --space-group P4 --unit-cell 58.7,58.7,151.6,90,90,90",
    stages=STAGES,
    daily=(
        Daily("--space-group", "index.space_group"),
        Daily("--unit-cell", "index.unit_cell"),
        Daily("--levels", "calibrate.levels"),
        Daily("--panels", "import.panels"),
        Daily("--min-spot-size", "find-spots.min_spot_size"),
        Daily("--outliers", "refine.outliers"),
        Daily("--minimiser", "refine.minimiser"),
        Daily("--close-to-spindle", "refine.close_to_spindle"),
    ),
    switches=(
        Switch("--resume", "Skip steps that are finished and whose inputs and parameters are the same."),
        FORCE,
    ),
    output="calibrated",
    folder=True,
)

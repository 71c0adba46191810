"""``smalti demo``: a detector with known displacements, calibrated."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np

from smalti.cli.command import PARAMETERS_ONLY, Command, Outcome, Request, Switch
from smalti.cli.commands import calibrate, simulate
from smalti.cli.pipeline import call
from smalti.cli.settings import Schema, Settings
from smalti.cli.work import FORCE, JOBS, with_history
from smalti.steps.demonstrating import Comparison, compare_detectors
from smalti.steps.simulating import FULL_DEMO, QUICK_DEMO, Simulated, SimulateOptions
from smalti.storage import read_experiments, read_reflections, write_json
from smalti.tables import Flag

__all__ = ["COMMAND"]


def run(request: Request) -> Outcome:
    """Simulate, calibrate and compare with the truth."""
    folder = Path(request.output)
    options = QUICK_DEMO if request.switch("quick") else FULL_DEMO
    made = simulate.make(_data(request, options, folder / "data"))
    given = replace(
        request,
        command="calibrate",
        files=(str(folder / "data" / f"{options.prefix}_*.cbf"),),
        switches={},
        settings=_with_lattice(request, options),
    )
    calibration, outputs = calibrate.calibrate(replace(given, argv=call(given)))
    comparison = _compare(made, outputs[0], outputs[1])
    ends = (*made.truth_files, *outputs)
    result = with_history(request, comparison.summary(), ends, folder / "calibration.json")
    write_json(folder / "comparison.json", result)
    text = "\n\n".join(
        (made.text(), calibration.text(), comparison.text(), f"The report: {calibration.page}")
    )
    result = {"simulated": made.summary(), "calibrated": calibration.summary(), "truth": comparison.summary()}
    warnings = (*made.warnings, *calibration.warnings)
    doubts = (*calibration.doubts, *comparison.warnings)
    return Outcome(result, text, (*outputs, folder / "comparison.json"), warnings, doubts)


def _data(request: Request, options: SimulateOptions, folder: Path) -> Request:
    """Ask for the data as ``smalti simulate`` would be asked."""
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    settings = Settings(Schema((simulate.STAGE,), request.settings.registry), {"simulate": values})
    asked = replace(request, command="simulate", output=str(folder), settings=settings)
    return replace(asked, argv=call(replace(asked, switches={})))


def _with_lattice(request: Request, options: SimulateOptions) -> Settings:
    """Tell the indexing what a user would know: the space group, and the cell to a tenth of an Angstrom."""
    cell = tuple(round(length, 1) for length in options.unit_cell)
    known = request.settings.with_value("index", "space_group", options.space_group)
    return known.with_value("index", "unit_cell", cell)


def _compare(made: Simulated, models: Path, table: Path) -> Comparison:
    """Compare the recovered panels with the true ones, by the panels that have reflections."""
    recovered, reflections = read_experiments(models)[0].detector, read_reflections(table)
    used = reflections["panel"][reflections.flagged(Flag.USED_IN_REFINEMENT)].astype(np.intp)
    counts = np.bincount(used, minlength=len(recovered))
    return compare_detectors(made.truth.detector, recovered, made.nominal.detector, counts)


COMMAND = Command(
    "demo",
    run,
    usage=PARAMETERS_ONLY,
    details=(
        "A small twin of the tutorial: images of thaumatin on a Pilatus 6M whose panels are displaced are "
        "simulated, calibrated from the images as any data would be, and the recovered panels are compared "
        "with the truth, next to the nominal ones. The report is DIR/report.html. --quick takes less than a"
        " minute on two processors, the full one less than five."
    ),
    example="smalti demo --quick -o demo",
    stages=calibrate.STAGES,
    switches=(Switch("--quick", "Fewer images: less than a minute."), JOBS, FORCE),
    output="demo",
    folder=True,
)

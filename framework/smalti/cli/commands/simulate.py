"""``smalti simulate``: data with known truth."""

from __future__ import annotations

from pathlib import Path

from smalti.cli.command import PARAMETERS_ONLY, Command, Daily, Outcome, Request, Stage
from smalti.cli.work import FORCE, JOBS, Inputs, jobs, make_record_of
from smalti.steps.simulating import Simulated, SimulatedStills, SimulateOptions, simulate, simulate_stills

__all__ = ["COMMAND", "STAGE", "make"]

STAGE = Stage("simulate", SimulateOptions)


def run(request: Request) -> Outcome:
    """Simulate, into the folder of ``-o``."""
    made = make_stills(request) if request.settings.options(STAGE).stills else make(request)
    # Of many files the first and the last say where the others are.
    outputs = (*made.images[:1], *made.tables[:2], *made.truth_files[-3:])
    return Outcome(made.summary(), made.text(), outputs, made.warnings)


def make_stills(request: Request) -> SimulatedStills:
    """Make the stills that a request describes."""
    record = make_record_of(request, Inputs((), (), ()))
    options = request.settings.options(STAGE)
    return simulate_stills(options, Path(request.output), request.progress, jobs(request), record)


def make(request: Request) -> Simulated:
    """Make the sweep that a request describes."""
    options = request.settings.options(STAGE)
    record = make_record_of(request, Inputs((), (), ()))
    return simulate(options, Path(request.output), request.progress, jobs(request), record)


COMMAND = Command(
    "simulate",
    run,
    usage=PARAMETERS_ONLY,
    details=(
        "Makes images (or a table of spots) of a crystal on a detector whose panels are displaced, or "
        "tables of many still crystals (--n-stills), and saves the truth beside them: truth.expt, "
        "truth.refl, truth.json. Use it to plan an experiment: how many images, how strong, how far, to "
        "find the panels as well as you need."
    ),
    example="smalti simulate --layout 'PILATUS 2M' --n-images 90 --shift 0.1,0.1,0 -o simulated",
    stages=(STAGE,),
    daily=(
        Daily("--make", "simulate.output"),
        Daily("--layout", "simulate.layout"),
        Daily("--distance", "simulate.distance"),
        Daily("--unit-cell", "simulate.unit_cell"),
        Daily("--space-group", "simulate.space_group"),
        Daily("--n-images", "simulate.n_images"),
        Daily("--width", "simulate.width"),
        Daily("--n-stills", "simulate.stills"),
        Daily("--counts", "simulate.counts"),
        Daily("--mosaicity", "simulate.mosaicity"),
        Daily("--shift", "simulate.shift"),
        Daily("--turn", "simulate.turn"),
        Daily("--seed", "simulate.seed"),
    ),
    switches=(JOBS, FORCE),
    output="simulated",
    folder=True,
)

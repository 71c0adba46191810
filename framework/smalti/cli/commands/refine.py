"""``smalti refine``: detector, beam and crystal against the spots."""

from __future__ import annotations

import time

from smalti.cli.command import DRY_RUN, Choice, Command, Daily, Outcome, Request, Stage
from smalti.cli.streams import AT, RESUME, STREAM, STREAM_STAGE, is_stream, run_stream
from smalti.cli.telling import peak_memory_mb
from smalti.cli.work import EXECUTOR, JOBS, SCHEDULER, Outputs, read_pair, reserve, write
from smalti.steps.refining import RefineOptions, Spent, forecast, refine

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage(
    "refine",
    RefineOptions,
    (
        Choice("detector", "detector_parameterisation", "hierarchical", "How the detector may move."),
        Choice("minimiser", "minimiser", "levenberg_marquardt", "What finds the minimum."),
        Choice("outliers", "outlier_rejector", "sauter_poon", "What judges the residuals."),
    ),
)


def run(request: Request) -> Outcome:
    """Refine models against indexed reflections."""
    if is_stream(request):
        return run_stream(request, STAGE)
    started = time.process_time()
    inputs, experiments, reflections = read_pair(request, COMMAND.example)
    reading = time.process_time() - started
    reserve(request, inputs.paths, experiments=True, reflections=True, data=True, covariances=True)
    settings = request.settings
    problem = (
        experiments,
        reflections,
        settings.component(STAGE, "detector"),
        settings.component(STAGE, "minimiser"),
        settings.component(STAGE, "outliers"),
        settings.options(STAGE),
    )
    if request.switch(DRY_RUN.name):
        # Files are written about as fast as they are read.
        expected = forecast(*problem, Spent(time.process_time(), reading, peak_memory_mb()))
        return Outcome(expected.summary(), expected.text())
    refined = refine(*problem, request.progress)
    made = Outputs(refined.experiments, refined.reflections, refined.summary(), refined.covariances)
    outputs = write(request, inputs, made)
    doubts = () if refined.trustworthy else tuple(refined.results["verdict"]["reasons"])
    warnings = tuple(warning for warning in refined.warnings if warning not in doubts)
    return Outcome(refined.summary(), refined.text(), outputs, warnings, doubts)


COMMAND = Command(
    "refine",
    run,
    usage="EXPT REFL | FOLDERS, LISTS or PAIRS of files",
    details=(
        "The detector moves as one block (--level 0), module by module (--level 1) or at any level of its "
        "tree, by number or name; with --level auto, as far as it helps to predict reflections that are held "
        "out; beam, crystal orientation and cell are refined with it. Panels without "
        "reflections move with their parent. Too few reflections are held by priors or refused, and the "
        "verdict says whether to believe the result. Of many files, or of many crystals (--stream), a few at "
        "a time are read and eliminated: one detector comes out of any number, and sums for a ledger."
    ),
    example="smalti refine indexed.expt indexed.refl --level 1 --outliers tukey -o refined",
    stages=(STAGE, STREAM_STAGE),
    daily=(
        Daily("--level", "detector.level", "-l"),
        Daily("--outliers", "refine.outliers"),
        Daily("--minimiser", "refine.minimiser"),
        Daily("--detector", "refine.detector"),
        Daily("--spindle-cut", "refine.spindle_cut"),
        Daily("--close-to-spindle", "refine.close_to_spindle"),
        Daily("--fix-beam", "refine.fix_beam"),
        Daily("--fix-crystal", "refine.fix_crystal"),
        Daily("--fix-detector", "refine.fix_detector"),
        Daily("--scan-varying", "refine.scan_varying"),
    ),
    switches=(DRY_RUN, STREAM, EXECUTOR, SCHEDULER, JOBS, RESUME, AT),
    output="refined",
)

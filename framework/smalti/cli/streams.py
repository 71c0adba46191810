"""Refining a stream of crystals, as ``smalti refine`` does it when there are many files, or many crystals."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.cli.command import Outcome, Request, Stage, Switch
from smalti.cli.places import stem
from smalti.cli.work import Inputs, jobs, make_record_of, table_path
from smalti.errors import UsageError
from smalti.steps.ledger import Ledger, load, problem_of, run_of, save, solve
from smalti.steps.ledger.problem import refuse_another
from smalti.steps.pools import Pool, open_pool
from smalti.steps.streaming import Journal, Streamed, StreamOptions, find_pairs, refine_stream, survey_all
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.survey import Survey, parts_of
from smalti.steps.streaming.writing import write_refined
from smalti.storage import atomic_path, refuse_overwriting, write_json
from smalti.storage.experiment_parts import ExperimentParts
from smalti.storage.ledgers import SUMS_SUFFIX
from smalti.storage.records import Record, merge

__all__ = ["AT", "RESUME", "STREAM", "STREAM_STAGE", "is_stream", "run_stream"]

STREAM_STAGE = Stage("stream", StreamOptions)
STREAM = Switch(
    "--stream", "Read crystals a few at a time: any number of files, folders or lists, in little memory."
)
AT = Switch("--at", "Make sums where a ledger was solved, and refine nothing.", ("LEDGER",))
RESUME = Switch("--resume", "Go on with a stream that was interrupted.")

_LARGE = 10_000_000
"""Bytes of an experiment list from which on it is worth while to count what is in it."""
_RECORDED = 64
"""Files whose contents are recorded one by one in the history; of more, the first."""


def is_stream(request: Request) -> bool:
    """Tell whether a request is one for a stream: said so, several pairs of files, or very many crystals."""
    if request.switch("stream") or request.switch("at"):
        return True
    places = [Path(name) for name in request.files]
    if len(places) > 2 or any(place.is_dir() or place.suffix in (".txt", ".lst") for place in places):
        return True
    models = [place for place in places if place.suffix == ".expt" and place.is_file()]
    if len(models) != 1 or models[0].stat().st_size < _LARGE:
        return False
    options: StreamOptions = request.settings.options(STREAM_STAGE)
    return len(ExperimentParts.of(models[0])) > options.automatic


def run_stream(request: Request, stage: Stage) -> Outcome:
    """Refine one detector against all files of a request."""
    pairs = find_pairs(request.files)
    paths = [path for pair in pairs for path in (pair.experiments, pair.reflections)]
    options: StreamOptions = request.settings.options(STREAM_STAGE)
    outputs = _outputs(request, options)
    refuse_overwriting(list(outputs.values()), paths)
    ledger = _ledger(request)
    journal = Journal(Path(stem(request.output) + ".work"))
    with _pool(request) as pool:
        surveys = survey_all(pairs, pool, request.progress)
        journal.open(resume=bool(request.switch("resume")))
        streamed = _refined(request, stage, options, surveys, pool, journal, ledger)
        _write(request, options, streamed, surveys, outputs, pool, paths)
    journal.close()
    doubts = () if streamed.trustworthy else tuple(streamed.results["verdict"]["reasons"])
    warnings = tuple(streamed.results["verdict"]["notes"])
    return Outcome(streamed.summary(), streamed.text(), tuple(outputs.values()), warnings, doubts)


def _outputs(request: Request, options: StreamOptions) -> dict[str, Path]:
    name = stem(request.output)
    table = table_path(request.output)
    if table.suffix != ".refl" and options.write == "all":
        raise UsageError(
            f"A stream writes its reflections as .refl, not as {table.suffix}.",
            "Several workers fill one file, which HDF5 does not allow.",
            f"Give -o {name}",
        )
    outputs = {"data": Path(name + ".json"), "sums": Path(name + SUMS_SUFFIX)}
    if options.write != "none":
        outputs["experiments"] = Path(name + ".expt")
    if options.write == "all":
        outputs["reflections"] = table
    return outputs


def _pool(request: Request) -> AbstractContextManager[Pool]:
    return open_pool(
        request.switch("executor") or "threads", jobs(request), request.switch("scheduler") or ""
    )


def _ledger(request: Request) -> Ledger | None:
    name = request.switch("at")
    return load(name, request.settings.registry) if name else None


def _refined(
    request: Request,
    stage: Stage,
    options: StreamOptions,
    surveys: Sequence[Survey],
    pool: Pool,
    journal: Journal,
    ledger: Ledger | None,
) -> Streamed:
    settings = request.settings
    at: tuple[NDArray[np.float64], Law] | None = None
    if ledger is not None:
        solved = solve(ledger)
        at = solved.known.p, next(iter(ledger.runs.values())).law
    streamed = refine_stream(
        surveys,
        settings.component(stage, "detector"),
        settings.component(stage, "minimiser"),
        settings.component(stage, "outliers"),
        settings.options(stage),
        options,
        pool,
        journal,
        request.progress,
        at,
    )
    if ledger is not None:
        problem = problem_of(streamed.fitted.order.common)
        refuse_another(ledger.problem, problem, f"The ledger '{request.switch('at')}'")
        # One pass tells nothing of it: what the others found holds for this one, too.
        curvature = max(run.curvature for run in ledger.runs.values())
        streamed = replace(streamed, fitted=replace(streamed.fitted, curvature=curvature))
    return streamed


def _write(
    request: Request,
    options: StreamOptions,
    streamed: Streamed,
    surveys: Sequence[Survey],
    outputs: Mapping[str, Path],
    pool: Pool,
    paths: Sequence[Path],
) -> None:
    """Write everything, each file whole or not at all."""
    before = _history(surveys)
    record = make_record_of(request, Inputs(tuple(paths[:_RECORDED]), (), ()), before)
    history = (*before, record)
    fitted = streamed.fitted
    if options.write != "none":
        filled = [item for item in surveys if item.n_experiments]
        with ExitStack() as stack:
            models = stack.enter_context(atomic_path(outputs["experiments"]))
            table = None
            if "reflections" in outputs:
                table = stack.enter_context(atomic_path(outputs["reflections"]))
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(dir=outputs["experiments"].resolve().parent, prefix=".models.")
            )
            write_refined(fitted.order, filled, models, table, Path(folder), pool, history, request.progress)
    problem = problem_of(fitted.order.common)
    save(outputs["sums"], Ledger(problem, {Path(request.output).name: run_of(fitted, surveys)}))
    write_json(outputs["data"], {**streamed.summary(), "history": list(history)})


def _history(surveys: Sequence[Survey]) -> tuple[Record, ...]:
    """Histories of the first tables: those of thousands of files say the same thousands of times."""
    return merge(*(parts_of(item.pair)[1].history for item in surveys[:_RECORDED]))

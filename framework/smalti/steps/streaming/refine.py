"""Refine one detector against any number of crystals, which are read as they are needed."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.progress import Progress, silent
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.pools import Pool
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.telling.result import durations
from smalti.steps.streaming.common import common_of
from smalti.steps.streaming.fitting import first_order, fit, linearise
from smalti.steps.streaming.journal import Journal
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.options import StreamOptions
from smalti.steps.streaming.pairs import Pair
from smalti.steps.streaming.passing import Files, Runner, covering
from smalti.steps.streaming.reducing import Order
from smalti.steps.streaming.result import Streamed, gather_results
from smalti.steps.streaming.survey import Survey, parts_of, survey
from smalti.text import plural

__all__ = ["refine_stream", "survey_all"]

Array = NDArray[np.float64]


def survey_all(pairs: Sequence[Pair], pool: Pool, progress: Progress = silent) -> tuple[Survey, ...]:
    """Look through all files.

    Raises
    ------
    DataError
        The same spots are there twice.
    """
    found: list[Survey] = []
    for item in pool.ordered(survey, pairs):
        found.append(item)
        progress("looking through files", len(found), len(pairs))
    _refuse_repeated(found)
    return tuple(found)


def _refuse_repeated(surveys: Sequence[Survey]) -> None:
    marks = np.concatenate([item.marks for item in surveys])
    order = np.argsort(marks, kind="stable")
    again = order[1:][(marks[order[1:]] == marks[order[:-1]]) & (marks[order[1:]] != 0)]
    if not len(again):
        return
    number = int(np.searchsorted(np.cumsum([item.n_experiments for item in surveys]), again[0], side="right"))
    raise DataError(
        f"The spots of {plural(len(again), 'experiment')} are there twice.",
        f"The first is in '{surveys[number].pair.experiments}'; they would count double.",
        "Give every file once, and none that was joined from others beside these.",
    )


def refine_stream(
    surveys: Sequence[Survey],
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions,
    stream: StreamOptions,
    pool: Pool,
    journal: Journal,
    progress: Progress = silent,
    at: tuple[Array, Law] | None = None,
) -> Streamed:
    """Refine the detector of a stream of crystals.

    In two stages: a sample of the crystals, taken evenly from all files, tells the noise and brings the
    detector near to its place; then all crystals are refined against, with one pass over the files for each
    step. In each pass crystals are read a few at a time, brought to their best and eliminated.

    Parameters
    ----------
    surveys : sequence of Survey
        Of the files, in the order of their names.
    at : (parameters, law), optional
        Make one pass at these shared parameters (g,) and with this noise, and refine nothing.

    Raises
    ------
    DataError, InputError, UsageError
    """
    clock = {"start": time.perf_counter()}
    filled = [item for item in surveys if item.n_experiments] or list(surveys)
    example = parts_of(filled[0].pair)[0].part(0, 1)[0]
    common = common_of(
        example,
        parameterisation,
        rejector,
        options,
        any_detector=stream.detector == "first",
        one_beam=stream.beam == "common",
    )
    everything = Runner(Files(tuple(filled), 1, stream.batch), pool, journal, progress, "refining all")
    if at is not None:
        order = Order(common, at[1], at[0], at[0])
        fitted = linearise(order, common.prior, everything)
    else:
        files = covering(filled, stream.sample, stream.batch)
        sample = Runner(files, pool, journal, progress, "refining a sample")
        order, prior = first_order(common, sample), common.prior
        if files.stride > 1:
            fitted = fit(order, prior, sample, minimiser, options.rounds)
            clock["sample"] = time.perf_counter()
            order, prior = fitted.next_order(), fitted.prior
        fitted = fit(order, prior, everything, minimiser, options.rounds)
    clock["refinement"] = time.perf_counter()
    return gather_results(fitted, _counts(surveys), durations(clock))


def _counts(surveys: Sequence[Survey]) -> dict[str, int]:
    """What was found in the files."""
    return {
        "n_files": len(surveys),
        "n_rows": sum(item.n_rows for item in surveys),
        "n_strays": sum(item.n_strays for item in surveys),
    }

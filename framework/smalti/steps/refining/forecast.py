"""What a refinement would do, need and take, told without doing it."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smalti.errors import SmaltiError
from smalti.models import Experiments
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.solution import Parameter
from smalti.steps.cores import available_cores
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.arrows import pieces_of
from smalti.steps.refining.problem.eliminating import eliminate
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import Selection, select
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.problem.varying import one_crystal_a_scan
from smalti.steps.refining.refine import refine
from smalti.steps.refining.solving.choosing import alternatives_of
from smalti.steps.refining.solving.letting_vary import foreseen
from smalti.steps.refining.solving.projecting import partition_for
from smalti.tables import Reflections
from smalti.text import plural, table

__all__ = ["Forecast", "Spent", "forecast"]

SAMPLE = 24_000
"""Rows of the larger of the two samples that are refined to see what all would take."""
SMALLER = 4
"""The smaller sample has so many times fewer rows."""


@dataclass(frozen=True)
class Spent:
    """What a command has spent before it refines.

    Attributes
    ----------
    seconds : float
        On starting and reading.
    writing : float
        Seconds that writing will take.
    memory_mb : float
        The most memory so far, MB (10^6 bytes), the table included.
    """

    seconds: float = 0.0
    writing: float = 0.0
    memory_mb: float = 0.0


@dataclass(frozen=True)
class Forecast:
    """What a refinement would do, need and take.

    Attributes
    ----------
    parameters : Mapping
        Number of free parameters by kind; of the richest, where a level is to be chosen.
    alternatives : Mapping
        Number of parameters of each level among which one is chosen; empty where it is given.
    selection : Selection
        The reflections that would be used.
    seconds : Mapping
        ``pass``: one linearisation, as measured; ``refining``; and ``total``, start and files included.
    memory_mb : float
        The most memory, MB (10^6 bytes).
    sample : int
        Rows of the table that were refined to tell.
    n_threads : int
    """

    parameters: Mapping[str, int]
    alternatives: Mapping[str, int]
    selection: Selection
    seconds: Mapping[str, float]
    memory_mb: float
    sample: int
    n_threads: int

    def summary(self) -> dict[str, Any]:
        """Give everything as one JSON object."""
        held = int(self.selection.held_out.sum())
        return {
            "dry_run": True,
            "parameters": {**self.parameters, "total": sum(self.parameters.values())},
            "alternatives": dict(self.alternatives),
            "n_reflections": self.selection.observations.n - held,
            "n_free": held,
            "left_out": dict(self.selection.left_out),
            "expected_seconds": dict(self.seconds),
            "expected_memory_mb": self.memory_mb,
            "sample": self.sample,
            "n_threads": self.n_threads,
        }

    def text(self) -> str:
        """Say it to people."""
        told = self.summary()
        kinds = table(["Parameters of", "Number"], [[k, n] for k, n in told["parameters"].items()])
        counts = f"{plural(told['n_reflections'], 'reflection')} would be refined against"
        counts += f", {told['n_free']:,} held out to check it." if told["n_free"] else "."
        if self.selection.left_out:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.selection.left_out.items())
            counts += f" Left out: {reasons}."
        levels = ", ".join(f"{name} ({n})" for name, n in self.alternatives.items())
        chosen = [f"A level would be chosen; these are those of the richest of {levels}."] if levels else []
        seconds = self.seconds
        need = (
            f"Expected: {seconds['total']:.2g} s, of which {seconds['refining']:.2g} s refining, and "
            f"{self.memory_mb:,.0f} MB, with {plural(self.n_threads, 'thread')}. "
            f"One pass over the reflections takes {1e3 * seconds['pass']:.0f} ms. "
            f"Measured on {self.sample:,} rows of the table; nothing is written."
        )
        return "\n\n".join([kinds, *chosen, counts, need])


def forecast(
    experiments: Experiments,
    reflections: Reflections,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    options: RefineOptions | None = None,
    spent: Spent | None = None,
) -> Forecast:
    """Tell what :func:`smalti.steps.refining.refine` would do with the same arguments.

    Time and memory are those of refining two samples of the table, drawn at even distances, continued to all
    rows along a straight line: no constant of another machine comes in. A small table is refined whole.

    Raises
    ------
    DataError
        The data cannot be refined, as far as their selection tells.
    """
    options, spent = options or RefineOptions(), spent or Spent()
    if options.scan_varying != "off":
        experiments = one_crystal_a_scan(experiments)
    layouts = {
        name: Layout.of(experiments, component, options)
        for name, component in alternatives_of(parameterisation, experiments).items()
    }
    layout = list(layouts.values())[-1]
    selection = select(reflections, layout, options)
    layout = foreseen(layout, selection, options)
    threads = options.n_threads or available_cores()
    plain = reflections.with_columns(opaque={})

    sample = _some_crystals if _eliminates(layout, selection, options) else _some_rows

    def run(every: int) -> None:
        parts = sample(experiments, plain, every) if every > 1 else (experiments, plain)
        enough = replace(options, minimum_reflections=3) if every > 1 else options
        refine(*parts, parameterisation, minimiser, rejector, enough)

    every = -(-plain.n_rows // SAMPLE)
    try:
        seconds, memory = _continued(run, every)
    except SmaltiError:  # what all rows determine a part of them may not
        every = 1
        seconds, memory = _continued(run, every)
    durations = {
        "pass": _seconds_of_a_pass(layout, selection, options),
        "refining": seconds,
        "total": spent.seconds + seconds + spent.writing,
    }
    return Forecast(
        _by_kind(layout.parameters),
        {name: item.n for name, item in layouts.items()} if len(layouts) > 1 else {},
        selection,
        durations,
        round(spent.memory_mb + memory, 1),
        -(-plain.n_rows // every),
        threads,
    )


def _some_rows(experiments: Experiments, table: Reflections, every: int) -> tuple[Experiments, Reflections]:
    """Every so manieth row."""
    return experiments, table.take(np.arange(0, table.n_rows, every))


def _some_crystals(
    experiments: Experiments, table: Reflections, every: int
) -> tuple[Experiments, Reflections]:
    """Every so manieth experiment: of many crystals each costs the same, however many reflections it has."""
    few = replace(experiments, items=experiments.items[::every])
    part = table.where(table["id"] % every == 0)
    return few, part.with_columns({"id": (part["id"] // every).astype(table["id"].dtype)})


def _continued(run: Callable[[int], None], every: int) -> tuple[float, float]:
    """Seconds and MB that all rows take, from samples of every so many rows and of fewer still.

    Tracing memory makes Python slower and kernels not: it is done where only differences of time count.
    """
    if every == 1:
        return _traced(run, 1)
    few = SMALLER * every
    began = time.perf_counter()
    run(few)
    seconds = time.perf_counter() - began
    small, large = _traced(run, few), _traced(run, every)
    slope, more = (max(b - a, 0.0) / (1.0 / every - 1.0 / few) for a, b in zip(small, large, strict=True))
    return seconds + slope * (1.0 - 1.0 / few), large[1] + more * (1.0 - 1.0 / every)


def _traced(run: Callable[[int], None], every: int) -> tuple[float, float]:
    """Seconds and MB of a refinement whose memory is traced."""
    tracemalloc.start()
    began = time.perf_counter()
    try:
        run(every)
        return time.perf_counter() - began, tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def _source(layout: Layout, selection: Selection, options: RefineOptions) -> RotationSource:
    data, threads = selection.observations, options.n_threads or available_cores()
    return RotationSource(layout, data, 1.0 / data.variance, layout.prior, threads)


def _eliminates(layout: Layout, selection: Selection, options: RefineOptions) -> bool:
    """Whether crystals would be eliminated."""
    return partition_for(_source(layout, selection, options), options).eliminates


def _seconds_of_a_pass(layout: Layout, selection: Selection, options: RefineOptions) -> float:
    """Seconds of one linearisation against all reflections, and of eliminating crystals where it is done."""
    source, p = _source(layout, selection, options), np.zeros(layout.n)
    partition = partition_for(source, options)
    began = time.perf_counter()
    if partition.eliminates:
        for piece in pieces_of(source, partition, p):
            eliminate(piece.arrow)
    else:
        source.normal_equations(p)
    return time.perf_counter() - began


def _by_kind(parameters: tuple[Parameter, ...]) -> dict[str, int]:
    """Count parameters by what they belong to."""
    return dict(Counter(_kind(parameter.name) for parameter in parameters))


def _kind(name: str) -> str:
    if name.startswith("Crystal"):
        return "crystal orientation" if "Phi" in name else "crystal cell"
    return next(
        (word for word in ("detector", "beam", "goniometer") if name.lower().startswith(word)), "other"
    )

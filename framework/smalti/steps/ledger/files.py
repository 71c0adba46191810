"""Ledgers in files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from smalti.discovery import Registry
from smalti.errors import InputError
from smalti.models import Experiments
from smalti.options import build
from smalti.steps.ledger.book import Ledger
from smalti.steps.ledger.problem import Problem
from smalti.steps.ledger.run import Run
from smalti.steps.refining.options import RefineOptions
from smalti.steps.streaming.common import Common
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.sums import Sums
from smalti.storage.experiments import experiments_of, experiments_text
from smalti.storage.ledgers import LedgerFile, StoredRun, read_ledger, write_ledger

__all__ = ["load", "save"]

_POINTS = ("point", "judged_at", "marks")


def save(path: str | Path, ledger: Ledger) -> None:
    """Write a ledger, whole or not at all."""
    common = ledger.problem.common
    problem = {
        "example": json.loads(experiments_text(Experiments((common.example,)))),
        "detector": {
            "name": common.parameterisation.name,
            "options": asdict(common.parameterisation),  # type: ignore[call-overload]
        },
        "outliers": {
            "name": common.rejector.name,
            "options": asdict(common.rejector),  # type: ignore[call-overload]
        },
        "options": asdict(common.options),
        "one_beam": common.one_beam,
        "names": list(ledger.problem.names),
    }
    write_ledger(path, LedgerFile(problem, {name: _stored(run) for name, run in ledger.runs.items()}))


def _stored(run: Run) -> StoredRun:
    arrays = {**run.sums.arrays(), **{name: getattr(run, name) for name in _POINTS}}
    left_out = str(arrays.pop("left_out"))
    facts = {
        **run.facts,
        "left_out": json.loads(left_out),
        "law": asdict(run.law),
        "curvature": run.curvature,
    }
    return StoredRun(arrays, facts)


def load(path: str | Path, registry: Registry) -> Ledger:
    """Read a ledger.

    Raises
    ------
    InputError
        It is damaged.
    UsageError
        The plugin of its parameterisation is not installed.
    """
    file = read_ledger(path)
    try:
        problem = _problem(file.problem, Path(path), registry)
        runs = {name: _run(stored) for name, stored in file.runs.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"'{path}' is damaged or not a ledger of smalti.", f"{error!r}.", "Make it again."
        ) from None
    if list(problem.names) != file.problem["names"]:
        raise InputError(
            f"'{path}' was made with other parameters than its options give now.",
            "The plugin that names them has changed since.",
            "Use the version of smalti and of the plugin that made it.",
        )
    return Ledger(problem, runs)


def _problem(stored: Any, path: Path, registry: Registry) -> Problem:
    detector, outliers = stored["detector"], stored["outliers"]
    common = Common(
        experiments_of(stored["example"], path)[0],
        registry.make("detector_parameterisation", detector["name"], detector["options"]),
        registry.make("outlier_rejector", outliers["name"], outliers["options"]),
        build(RefineOptions, stored["options"], name="refine"),
        one_beam=bool(stored["one_beam"]),
    )
    return Problem(common, detector["name"])


def _run(stored: StoredRun) -> Run:
    facts = dict(stored.facts)
    law, curvature = facts.pop("law"), facts.pop("curvature")
    arrays = {**stored.arrays, "left_out": np.array(json.dumps(facts.pop("left_out")))}
    points = {name: arrays[name] for name in _POINTS}
    made = Law(float(law["typical"]), *(tuple(map(float, law[key])) for key in ("x", "y", "angle")))
    return Run(Sums.of_arrays(arrays), law=made, curvature=float(curvature), facts=facts, **points)

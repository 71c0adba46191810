"""Solve a ledger: the detector that all its runs together tell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Detector
from smalti.solution import Prior
from smalti.steps.ledger.book import Ledger
from smalti.steps.ledger.telling import as_text
from smalti.steps.refining.problem.uncertainty import inverse_of
from smalti.steps.refining.solving.learning import learn
from smalti.steps.streaming.knowing import Known
from smalti.steps.streaming.result import rows_of_known
from smalti.steps.streaming.sums import Sums
from smalti.steps.streaming.telling import judgement

__all__ = ["STALE", "Solved", "solve", "sums_at"]

Array = NDArray[np.float64]

STALE = 0.1
"""A run is to be linearised again when its share in the solution may be further off than so many ESDs."""

_MOST_STEPS = 50
_ENDED = 1e-9
"""ESDs: smaller steps are rounding."""


@dataclass(frozen=True)
class Solved:
    """What a ledger tells.

    Attributes
    ----------
    known : Known
        At the solution.
    results : Mapping
        The rows of all tables.
    """

    known: Known
    results: Mapping[str, Any]

    @property
    def detector(self) -> Detector:
        """The refined detector."""
        return self.known.detector

    @property
    def stale(self) -> tuple[str, ...]:
        """Names of the runs that have to be linearised again."""
        return tuple(row["run"] for row in self.results["runs"] if row["stale"])

    @property
    def trustworthy(self) -> bool:
        """Whether the result should be believed."""
        return bool(self.results["verdict"]["trustworthy"])

    def summary(self) -> dict[str, Any]:
        """Give everything that is printed, as one JSON object."""
        return dict(self.results)

    def text(self) -> str:
        """Give the tables for people."""
        return as_text(self.results)


def sums_at(ledger: Ledger, p: Array) -> Sums:
    """Add up all runs as they are at p (g,), to second order."""
    return reduce(Sums.plus, (run.at(p) for run in ledger.runs.values()))


def solve(ledger: Ledger) -> Solved:
    """Find the detector at which the sum of all runs is least.

    The problem is quadratic but for the widths of priors, which the data tell.

    Raises
    ------
    DataError
        Nothing is in it.
    """
    if not ledger.runs:
        raise DataError("The ledger has no runs.", "", "Add one: smalti ledger add LEDGER RUN.sums.h5")
    common = ledger.problem.common
    p = next(iter(ledger.runs.values())).point
    prior = common.prior
    for _ in range(_MOST_STEPS):
        known = Known(common, prior, sums_at(ledger, p), p)
        step = -inverse_of(known.equations.matrix) @ known.equations.gradient
        p = p + step
        size = math.sqrt(max(float(step @ known.equations.matrix @ step), 0.0))
        at_end = Known(common, prior, sums_at(ledger, p), p)
        learnt: Prior = learn(at_end.equations, prior, common.prior).prior
        if size < _ENDED and np.allclose(learnt.precision, prior.precision, rtol=1e-9):
            break
        prior = learnt
    return Solved(at_end, _results(ledger, at_end))


def _results(ledger: Ledger, known: Known) -> dict[str, Any]:
    curvatures = [run.curvature for run in ledger.runs.values()]
    worst = max(curvatures)
    rows = []
    for name, run in ledger.runs.items():
        distance = run.distance(known.p)
        beside = (run.curvature or worst) * distance**2
        rows.append(
            {
                "run": name,
                "n_crystals": run.sums.n_crystals,
                "n_used": run.sums.n_used,
                "distance": distance,
                "beside": beside,
                "stale": beside > STALE,
                **run.facts,
            }
        )
    results = {"n_files": sum(row.get("n_files", 0) for row in rows), **rows_of_known(known), "runs": rows}
    verdict = judgement(results, None, known.n_null)
    stale = [row["run"] for row in rows if row["stale"]]
    if stale:
        verdict["notes"].append(
            f"Linearise again: {', '.join(stale)}. The solution is so far from where they were linearised "
            f"that it may be off by more than {STALE} ESDs: smalti refine FILES --stream --at LEDGER."
        )
    return {**results, "verdict": verdict}

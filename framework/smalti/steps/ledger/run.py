"""One run of a ledger: what its crystals told, and where its normal equations were made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.streaming.fitting import Fitted
from smalti.steps.streaming.law import Law
from smalti.steps.streaming.sums import Sums
from smalti.steps.streaming.survey import Survey

__all__ = ["Run", "run_of"]

Array = NDArray[np.float64]

_NAMED = 20


@dataclass(frozen=True)
class Run:
    """Sums of one run.

    Attributes
    ----------
    sums : Sums
    point : (g,)
        Shared parameters at which they were made.
    judged_at : (g,)
        Those at which outliers were judged.
    law : Law
        Noise that their weights were made with.
    curvature : float
        How fast the normal equations change, see :class:`smalti.steps.streaming.fitting.Fitted`.
    marks : (m,) uint64
        What tells the spots of each of its experiments from any others, ascending.
    facts : Mapping
        When, from which files.
    """

    sums: Sums
    point: Array
    judged_at: Array
    law: Law
    curvature: float
    marks: NDArray[np.uint64]
    facts: Mapping[str, Any]

    def at(self, p: Array) -> Sums:
        """Give the sums as they are expected to be at p (g,): to second order where p is another point."""
        step = p - self.point
        if not step.any():
            return self.sums
        return self.sums.moved(step)

    def distance(self, p: Array) -> float:
        """How far p (g,) is from the point of the sums, in standard deviations of this run."""
        step = p - self.point
        return math.sqrt(max(float(step @ self.sums.matrix.sum(axis=0) @ step), 0.0))


def run_of(fitted: Fitted, surveys: Sequence[Survey]) -> Run:
    """Make the run of a fit."""
    marks = np.concatenate([item.marks for item in surveys])
    files = [
        {"experiments": str(item.pair.experiments), "reflections": str(item.pair.reflections)}
        for item in surveys[:_NAMED]
    ]
    facts = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "n_files": len(surveys),
        "files": files,
    }
    return Run(
        fitted.sums,
        fitted.p,
        fitted.order.judged_at,
        fitted.order.law,
        fitted.curvature,
        np.sort(marks[marks != 0]),
        facts,
    )

"""What a stream of crystals told of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smalti.models import Detector
from smalti.solution import Ended
from smalti.steps.streaming.fitting import Fitted
from smalti.steps.streaming.knowing import Known
from smalti.steps.streaming.rows import (
    detector_row,
    fit_row,
    halves_row,
    panel_rows,
    parameter_rows,
    step_rows,
)
from smalti.steps.streaming.telling import as_text, judgement

__all__ = ["Streamed", "gather_results", "rows_of_known"]

Row = dict[str, Any]


@dataclass(frozen=True)
class Streamed:
    """The refined detector and everything known about it.

    Attributes
    ----------
    fitted : Fitted
        Sums, noise and parameters at the end, for ledgers and for writing.
    results : Mapping
        The rows of all tables.
    """

    fitted: Fitted
    results: Mapping[str, Any]

    @property
    def detector(self) -> Detector:
        """The refined detector."""
        return self.fitted.known.detector

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


def rows_of_known(known: Known) -> Row:
    """Rows that need nothing but sums."""
    eigenvalues = known.eigenvalues
    return {
        "n_parameters": len(known.p),
        "n_crystals": known.sums.n_crystals,
        "n_experiments": known.sums.n_experiments,
        "n_used": known.sums.n_used,
        "n_rejected": known.sums.n_rejected,
        "left_out": dict(known.sums.left_out),
        "final": fit_row(known.sums),
        "reduced_chi_squared": known.scale,
        "panels": panel_rows(known),
        "detectors": [detector_row(known)],
        "parameters": parameter_rows(known),
        "halves": halves_row(known),
        "effective_parameters": known.uncertainty.effective,
        "smallest_eigenvalue": float(eigenvalues[0]) if len(eigenvalues) else None,
    }


def gather_results(fitted: Fitted, counts: Mapping[str, int], clock: Mapping[str, float]) -> Streamed:
    """Make the tables.

    Parameters
    ----------
    counts : Mapping
        What was found in the files: ``n_files``, ``n_rows``, ``n_strays``.
    clock : Mapping
        Seconds by stage.
    """
    known = fitted.known
    ended: Ended | None = fitted.solutions[-1].ended if fitted.solutions else None
    results = {
        **counts,
        **rows_of_known(known),
        "before": fit_row(fitted.before),
        "steps": step_rows(fitted.solutions),
        "ended": ended.value if ended else "Linearised where it was asked for, and not refined",
        "noise": fitted.order.law.described(),
        "curvature": fitted.curvature,
        "seconds": dict(clock),
    }
    return Streamed(fitted, {**results, "verdict": judgement(results, ended, known.n_null)})

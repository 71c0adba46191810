"""What the summary of a refinement adds to a report: steps, parameters, uncertainties."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smalti.steps.reporting.numbers import listed, significant
from smalti.steps.reporting.residuals import TO_SHOWN

__all__ = ["MOST_PARAMETERS", "Refinement"]

MOST_PARAMETERS = 3000
"""More parameters than this (many crystals) are not listed one by one."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """The parts of a refinement's summary that the report shows; all may be absent.

    Attributes
    ----------
    steps : list of dict
        ``number``, ``n_reflections``, ``objective``, ``shown`` (RMSDs in um, um, mdeg).
    ended : str
        Why it ended.
    parameters : list of dict
        ``name``, ``label``, ``value``, ``esd``, ``unit``.
    panels : dict
        Flat number of a panel to what is known of its motion.
    free : dict or None
        RMSDs over reflections that took no part.
    cell_esd : list or None
    """

    steps: list[dict[str, Any]] = field(default_factory=list)
    ended: str = ""
    parameters: list[dict[str, Any]] = field(default_factory=list)
    panels: dict[int, dict[str, Any]] = field(default_factory=dict)
    free: dict[str, Any] | None = None
    cell_esd: list[float] | None = None

    @classmethod
    def of(cls, details: Mapping[str, Any] | None) -> Refinement:
        """Read the summary of a refinement, as it stands in the ``.json`` beside the refined files."""
        if not details:
            return cls()
        summary = details.get("result", details)
        parameters = list(summary.get("parameters") or [])
        return cls(
            steps=[_step(step) for step in summary.get("steps") or []],
            ended=str(summary.get("ended") or ""),
            parameters=parameters if len(parameters) <= MOST_PARAMETERS else [],
            panels={int(row["panel"]): dict(row) for row in summary.get("panels") or []},
            free=summary.get("free"),
            cell_esd=summary.get("cell_esd"),
        )


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "number": int(step["number"]),
        "n_reflections": int(step["n_reflections"]),
        "shown": listed(np.asarray(step["rmsd"], dtype=float) * TO_SHOWN),
        "objective": significant(float(step["objective"]), 7),
    }

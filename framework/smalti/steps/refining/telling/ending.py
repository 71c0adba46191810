"""Whether a minimiser ended where it should: its own word for it, and what the normal equations say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from smalti.solution import Ended, NormalEquations
from smalti.steps.refining.problem.uncertainty import inverse_of

__all__ = ["doubts_of_ending", "notes_of_ending", "short_of_minimum"]

_SHORT = 1.0
"""ESDs. No parameter is further from the minimum than this of its own, if the whole is no further."""


def short_of_minimum(equations: NormalEquations) -> float:
    """How far from the minimum the normal equations were made, in ESDs of all parameters together.

    The length of the full step that is left, in the metric of the normal matrix N: sqrt(g^T N^-1 g), g the
    gradient. No parameter is further from its minimum than so many of its ESDs (Cauchy and Schwarz).
    """
    gradient = equations.gradient
    if not gradient.size:
        return 0.0
    return math.sqrt(max(float(gradient @ inverse_of(equations.matrix) @ gradient), 0.0))


def doubts_of_ending(results: Mapping[str, Any], ended: Ended) -> list[str]:
    """Why the end is none to be trusted: the minimiser says so, or it says otherwise and is wrong."""
    if not ended.converged:
        return [
            f"The minimiser gave up before a minimum ({ended.value}); more steps or another minimiser may "
            "help."
        ]
    return [] if ended is Ended.RMSD_TARGET else _short(results, "says that it is done")


def notes_of_ending(results: Mapping[str, Any], ended: Ended) -> list[str]:
    """What to know of an end that was asked for."""
    return _short(results, "stopped at its target") if ended is Ended.RMSD_TARGET else []


def _short(results: Mapping[str, Any], says: str) -> list[str]:
    left = results["short_of_minimum"]
    if left <= _SHORT:
        return []
    return [
        f"The minimiser {says}, and the minimum is {left:,.3g} ESDs further on: ESDs hold at the minimum "
        "only; more steps or another minimiser may help."
    ]

"""Choosing how much of the detector moves: by what it predicts, not by what it fits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.roles import Choosable, DetectorParameterisation
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.solving.evidence import twice_log_evidence
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["Candidate", "alternatives_of", "choose", "try_all"]

Array = NDArray[np.float64]
Row = dict[str, Any]
Mask = NDArray[np.bool_]

DECISIVE = 2.0
"""By so many standard errors the free reflections must prefer a candidate to decide alone."""


@dataclass(frozen=True)
class Candidate:
    """One way in which the detector may move, and what came of it."""

    name: str
    layout: Layout
    fit: Fit
    effective: float
    seconds: float


def alternatives_of(
    parameterisation: DetectorParameterisation, experiments: Experiments
) -> Mapping[str, DetectorParameterisation]:
    """Give what to choose from, simplest first; the parameterisation itself where a level is given.

    Of several detectors, what all of them offer.

    Raises
    ------
    UsageError
        The parameterisation has no alternatives.
    """
    if getattr(parameterisation, "level", None) != "auto":
        return {"": parameterisation}
    if not isinstance(parameterisation, Choosable):
        raise UsageError(
            f"The level cannot be chosen with '{parameterisation.name}'.",
            "This parameterisation does not say what to choose from.",
            "Give a level, or choose another parameterisation: smalti plugins lists them.",
        )
    offers = [parameterisation.alternatives(detector) for detector in experiments.unique("detector")]
    return {name: item for name, item in offers[0].items() if all(name in offer for offer in offers)}


def try_all(layouts: Mapping[str, Layout], fit_of: Callable[[Layout], Fit]) -> tuple[Candidate, ...]:
    """Refine with each of the alternatives, all from the same start against the same reflections."""
    found = []
    for name, layout in layouts.items():
        began = time.perf_counter()
        fit = fit_of(layout)
        effective = fit.rounds[-1].effective
        found.append(Candidate(name, layout, fit, effective, time.perf_counter() - began))
    return tuple(found)


def choose(candidates: Sequence[Candidate]) -> tuple[Candidate, Row | None]:
    """Choose the simplest candidate that none predicts better, and say why; nothing of a single one.

    Deviances are sums of squares over variances: those of the last candidate, the richest, for all, of
    reflections that no candidate rejects. A richer candidate is preferred if it predicts the free
    reflections better by more than :data:`DECISIVE` standard errors (of the sum of the paired differences);
    if they cannot tell, the evidence of the fitted ones decides
    (:func:`smalti.steps.refining.solving.evidence.twice_log_evidence`).
    """
    if len(candidates) == 1:
        return candidates[0], None
    free = np.logical_and.reduce([item.fit.free for item in candidates])
    working = np.logical_and.reduce([item.fit.working for item in candidates])
    variance = candidates[-1].fit.rounds[-1].noise.variance
    squares = [np.sum(item.fit.residuals**2 / variance, axis=1) for item in candidates]
    best, rows, reasons = 0, [_row(candidates[0], squares[0], free, working)], []
    for k in range(1, len(candidates)):
        row = _row(candidates[k], squares[k], free, working)
        gain = squares[best][free] - squares[k][free]
        row["compared_with"] = candidates[best].name
        row["gain"] = float(gain.sum())
        row["gain_esd"] = float(gain.std() * math.sqrt(len(gain))) if len(gain) else 0.0
        row["evidence_gain"] = row["evidence"] - rows[best]["evidence"]
        better, why = _compare(row, len(gain))
        reasons.append(why)
        rows.append(row)
        best = k if better else best
    for k, row in enumerate(rows):
        row["chosen"] = k == best
    return candidates[best], {"chosen": candidates[best].name, "reasons": reasons, "candidates": rows}


def _row(item: Candidate, squares: Array, free: Mask, working: Mask) -> Row:
    row: Row = {
        "name": item.name,
        "n_parameters": item.layout.n,
        "effective_parameters": item.effective,
        "n_used": int(working.sum()),
        "n_free": int(free.sum()),
    }
    for prefix, use in (("", working), ("free_", free)):
        names = [f"{prefix}rmsd_{name}" for name in ("x_mm", "y_mm", "phi_deg")]
        values = [None, None, None]
        if use.any():
            values = (np.sqrt(np.mean(item.fit.residuals[use] ** 2, axis=0)) * _UNITS).tolist()
        row |= dict(zip(names, values, strict=True))
    return row | {
        "deviance": float(squares[working].sum()),
        "free_deviance": float(squares[free].sum()),
        "evidence": twice_log_evidence(item.fit, float(squares[working].sum()), int(working.sum())),
        "seconds": item.seconds,
    }


_UNITS = np.array([1.0, 1.0, np.degrees(1.0)])


def _compare(row: Row, n_free: int) -> tuple[bool, str]:
    """Whether a candidate is better than the one before, and why in words."""
    name, other, likes = row["name"], row["compared_with"], row["evidence_gain"] > 0.0
    opinion = f"the evidence of the fitted ones is {'for' if likes else 'against'} it"
    if not n_free:
        return likes, f"No reflections are held out; by the evidence of the fitted ones {name} is " + (
            f"better than {other}." if likes else f"no better than {other}."
        )
    size = abs(row["gain"]) / row["gain_esd"] if row["gain_esd"] else 0.0
    amount = f"deviance {abs(row['gain']):,.1f} +- {row['gain_esd']:,.1f} over {n_free:,} reflections"
    if row["gain"] <= 0.0 and (size > DECISIVE or not likes):
        return False, f"{name} predicts the free reflections no better than {other} ({amount} worse)."
    better = size > DECISIVE or likes
    if size > DECISIVE:
        agreement = "and" if likes else "though"
        return (
            True,
            f"{name} predicts the free reflections better than {other} ({amount}), {agreement} {opinion}.",
        )
    side = "better" if row["gain"] > 0.0 else "worse"
    words = f"{name} predicts the free reflections not clearly {side} than {other} ({amount}), and {opinion}."
    return better, words

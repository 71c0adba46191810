"""Every lattice that was tried, in words and in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from math import prod
from typing import Any

import numpy as np

from smalti.geometry.lattice import same_lattice
from smalti.steps.indexing.trials import Trial
from smalti.text import table

__all__ = ["candidate_table", "trial_summary"]

SHORT = 26
"""Characters of a remark that fit beside the numbers of a candidate."""


def candidate_table(trials: Sequence[Trial], count: int = 8) -> str:
    """Table of the best lattices tried, each once; long remarks stand below it."""
    tried, trials = len(trials), _different(trials, count)
    notes = list(dict.fromkeys(word for trial in trials if len(word := _remark(trial)) > SHORT))
    rows = [
        (
            *(f"{value:.2f}" for value in trial.cell),
            f"{trial.volume:.0f}",
            *_figures(trial),
            f"({notes.index(_remark(trial)) + 1})" if _remark(trial) in notes else _remark(trial),
        )
        for trial in trials
    ]
    heads = (
        "a",
        "b",
        "c",
        "alpha",
        "beta",
        "gamma",
        "volume",
        "indexed\n(%)",
        "rmsd\n(1e-3/A)",
        "score",
        "remark",
    )
    title = f"Candidate lattices (reduced, each once; {tried} tried, lowest score is best):"
    text = table(heads, rows, title=title)
    lines = [text, *(f"({number}) {note}" for number, note in enumerate(notes, start=1))]
    if any("odd)" in _remark(trial) for trial in trials):
        lines.append("odd: spots that the smaller of two cells does not explain")
    if any("strewn" in _remark(trial) for trial in trials):
        lines.append("strewn: spots about its points lie as if along lines, so that an axis is wrong")
    if any(trial.refused.startswith("not needed") for trial in trials):
        lines.append("not needed: so many times a lattice that explains the spots")
    return "\n".join(lines)


def _different(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The first ``count`` lattices, without those that came out of several candidates again."""
    chosen: list[Trial] = []
    for trial in trials:
        if len(chosen) == count:
            break
        if not any(same_lattice(trial.basis, other.basis) for other in chosen):
            chosen.append(trial)
    return chosen


def _figures(trial: Trial) -> tuple[str, str, str]:
    if not np.isfinite(trial.rmsd):
        return "", "", ""
    return f"{100 * trial.indexed:.1f}", f"{1e3 * trial.rmsd:.3f}", f"{trial.score:.2f}"


def _remark(trial: Trial) -> str:
    if trial.refused:
        return trial.refused
    words = []
    if trial.reductions:
        factor, odd = (
            prod(item.factor for item in trial.reductions),
            max(item.odd for item in trial.reductions),
        )
        words.append(f"volume / {factor} ({100 * odd:.1f} % odd)")
    if trial.larger:
        factor, odd = prod(item.factor for item in trial.larger), min(item.odd for item in trial.larger)
        words.append(f"volume x {factor} ({100 * odd:.1f} % odd)")
    if trial.by_chance:
        words.append("strewn")
    return "; ".join(words)


def trial_summary(trial: Trial) -> dict[str, Any]:
    """Give everything known of a candidate, for the JSON."""
    return {
        "cell": list(trial.cell),
        "volume": trial.volume,
        "power": trial.power,
        "indexed": trial.indexed,
        "rmsd": trial.rmsd if np.isfinite(trial.rmsd) else None,
        "score": trial.score if np.isfinite(trial.score) else None,
        "sharpness": trial.sharpness,
        "by_chance": trial.by_chance,
        "least_odd_fraction": trial.least_odd,
        "reductions": [{"factor": item.factor, "odd_fraction": item.odd} for item in trial.reductions],
        "larger_cells": [asdict(item) for item in trial.larger],
        "refused": trial.refused,
    }

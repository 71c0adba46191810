"""A ledger: runs by name, added, removed and merged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from smalti.errors import DataError, UsageError
from smalti.options import suggest
from smalti.steps.ledger.problem import Problem, refuse_another
from smalti.steps.ledger.run import Run
from smalti.text import plural

__all__ = ["Ledger", "added", "merged", "removed"]


@dataclass(frozen=True)
class Ledger:
    """What runs told of one detector.

    Sums of the runs are kept one by one, and added when they are asked for: a ledger from which a run was
    removed is the ledger that never had it.

    Attributes
    ----------
    problem : Problem
    runs : Mapping
        Name to run.
    """

    problem: Problem
    runs: Mapping[str, Run]


def added(ledger: Ledger, name: str, run: Run, problem: Problem) -> Ledger:
    """Give a ledger with one run more.

    Raises
    ------
    DataError
        The run is about another detector or other parameters, or crystals of it are in the ledger.
    UsageError
        There is a run of that name.
    """
    refuse_another(ledger.problem, problem, f"Run '{name}'")
    for known, other in ledger.runs.items():
        shared = np.intersect1d(other.marks, run.marks, assume_unique=True)
        if len(shared):
            raise DataError(
                f"{plural(len(shared), 'experiment')} of run '{name}' are in the ledger, in run '{known}'.",
                "The same spots would count twice.",
                f"Remove that run first: smalti ledger remove LEDGER {known}",
            )
    if name in ledger.runs:
        raise UsageError(
            f"There is a run '{name}' in the ledger.",
            f"It has other crystals: {plural(ledger.runs[name].sums.n_crystals, 'crystal')}.",
            "Give the new one another name with --name, or remove the old one.",
        )
    return replace(ledger, runs={**ledger.runs, name: run})


def removed(ledger: Ledger, name: str) -> Ledger:
    """Give a ledger without a run.

    Raises
    ------
    UsageError
        There is none of that name, or it is the only one.
    """
    if name not in ledger.runs:
        raise UsageError(
            f"There is no run '{name}' in the ledger.",
            f"Its runs: {', '.join(ledger.runs)}.",
            suggest(name, list(ledger.runs)),
        )
    if len(ledger.runs) == 1:
        raise UsageError(
            f"'{name}' is the only run of the ledger.", "", "Delete the file, if nothing of it is wanted."
        )
    return replace(ledger, runs={key: run for key, run in ledger.runs.items() if key != name})


def merged(ledger: Ledger, other: Ledger) -> Ledger:
    """Give a ledger with the runs of another one, too."""
    for name, run in other.runs.items():
        ledger = added(ledger, name, run, other.problem)
    return ledger

"""Ledgers: sums of many runs about one detector, put together and taken apart without the data."""

from smalti.steps.ledger.book import Ledger, added, merged, removed
from smalti.steps.ledger.files import load, save
from smalti.steps.ledger.problem import Problem, problem_of
from smalti.steps.ledger.run import Run, run_of
from smalti.steps.ledger.solve import Solved, solve

__all__ = [
    "Ledger",
    "Problem",
    "Run",
    "Solved",
    "added",
    "load",
    "merged",
    "problem_of",
    "removed",
    "run_of",
    "save",
    "solve",
]

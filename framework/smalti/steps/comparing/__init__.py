"""Run several minimisers on one and the same refinement problem."""

from smalti.steps.comparing.bench import compare, run_all
from smalti.steps.comparing.options import CompareOptions
from smalti.steps.comparing.result import Compared, Run

__all__ = ["CompareOptions", "Compared", "Run", "compare", "run_all"]

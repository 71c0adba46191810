"""Which symmetric lattice a crystal has, judged by refinement under each."""

from smalti.steps.symmetry.options import SymmetryOptions
from smalti.steps.symmetry.result import Symmetry
from smalti.steps.symmetry.run import find_symmetry

__all__ = ["Symmetry", "SymmetryOptions", "find_symmetry"]

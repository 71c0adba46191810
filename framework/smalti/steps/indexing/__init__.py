"""Find the lattice of a crystal and give every spot its index."""

from smalti.steps.indexing.known import KnownLattice, parse_cell, parse_space_group
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.result import Indexed
from smalti.steps.indexing.run import index

__all__ = ["IndexOptions", "Indexed", "KnownLattice", "index", "parse_cell", "parse_space_group"]

"""Find the lattice of a crystal and give every spot its index."""

from smalti.steps.indexing.in_turn import first_that_works
from smalti.steps.indexing.known import KnownLattice, parse_cell, parse_space_group
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.result import Indexed
from smalti.steps.indexing.run import index
from smalti.steps.indexing.stills import IndexedStills, index_stills

__all__ = [
    "IndexOptions",
    "Indexed",
    "IndexedStills",
    "KnownLattice",
    "first_that_works",
    "index",
    "index_stills",
    "parse_cell",
    "parse_space_group",
]

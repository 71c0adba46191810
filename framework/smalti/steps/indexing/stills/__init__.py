"""Index stills: each shows its own crystal, as it stood."""

from smalti.steps.indexing.stills.result import IndexedStills
from smalti.steps.indexing.stills.run import index_stills

__all__ = ["IndexedStills", "index_stills"]

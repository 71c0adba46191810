"""Give a crystal other axes: models, indices and space group together."""

from smalti.steps.reindexing.options import ReindexOptions
from smalti.steps.reindexing.reindex import Reindexed, change_axes, reindex

__all__ = ["ReindexOptions", "Reindexed", "change_axes", "reindex"]

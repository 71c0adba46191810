"""Find diffraction spots on images."""

from smalti.steps.finding.execution import Chunk, Execution, find_chunk, merged
from smalti.steps.finding.finder import find_spots
from smalti.steps.finding.found import Found, ImageCounts
from smalti.steps.finding.keeping import SUFFIX, Keeper, digest_of, write_frames
from smalti.steps.finding.options import FindOptions
from smalti.steps.finding.runs import n_frames, runs_of

__all__ = [
    "SUFFIX",
    "Chunk",
    "Execution",
    "FindOptions",
    "Found",
    "ImageCounts",
    "Keeper",
    "digest_of",
    "find_chunk",
    "find_spots",
    "merged",
    "n_frames",
    "runs_of",
    "write_frames",
]

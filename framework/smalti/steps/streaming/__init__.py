"""Refinement of a detector against any number of crystals, in memory that does not grow with their number."""

from smalti.steps.streaming.journal import Journal
from smalti.steps.streaming.options import StreamOptions
from smalti.steps.streaming.pairs import Pair, find_pairs
from smalti.steps.streaming.refine import refine_stream, survey_all
from smalti.steps.streaming.result import Streamed

__all__ = ["Journal", "Pair", "StreamOptions", "Streamed", "find_pairs", "refine_stream", "survey_all"]

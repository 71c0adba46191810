"""The steps: join experiments and tables of several data sets, carry a metrology over, and split again."""

from smalti.steps.combining.combine import Combined, combine
from smalti.steps.combining.metrology import with_metrology
from smalti.steps.combining.options import CombineOptions, SplitOptions
from smalti.steps.combining.split import Part, split
from smalti.steps.combining.told import parts_text

__all__ = [
    "CombineOptions",
    "Combined",
    "Part",
    "SplitOptions",
    "combine",
    "parts_text",
    "split",
    "with_metrology",
]

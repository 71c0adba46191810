"""Find diffraction spots on images."""

from smalti.steps.finding.finder import find_spots
from smalti.steps.finding.found import Found, ImageCounts
from smalti.steps.finding.options import FindOptions

__all__ = ["FindOptions", "Found", "ImageCounts", "find_spots"]

"""Refinement of beam, detector and crystals against the positions of indexed reflections."""

from smalti.steps.refining.forecast import Forecast, Spent, forecast
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.refine import Fitted, fit_only, refine
from smalti.steps.refining.telling.result import Refined

__all__ = ["Fitted", "Forecast", "RefineOptions", "Refined", "Spent", "fit_only", "forecast", "refine"]

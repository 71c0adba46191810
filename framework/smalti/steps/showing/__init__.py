"""Models and reflection tables in words: what ``smalti show`` tells."""

from smalti.steps.showing.describing import Description, describe

__all__ = ["Description", "describe"]

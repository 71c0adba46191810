"""The options of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from smalti.options import option

__all__ = ["CompareOptions"]


@dataclass(frozen=True)
class CompareOptions:
    """Who takes part."""

    minimisers: tuple[str, ...] = option(
        (), "Minimisers to run, by name; none given runs all that are installed."
    )

"""What became of several indexers that were tried in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smalti.text import table

__all__ = ["Method", "method_rows", "methods_text"]


@dataclass(frozen=True, slots=True)
class Method:
    """What became of one indexer.

    Attributes
    ----------
    indexer : str
    cell : tuple of float or None
        None where it found nothing.
    indexed : float
        Part of all spots.
    problem : str
        Why it found nothing; "" if it found something.
    taken : bool
    """

    indexer: str
    cell: tuple[float, ...] | None
    indexed: float
    problem: str = ""
    taken: bool = False


def method_rows(methods: Sequence[Method]) -> list[dict[str, Any]]:
    """Give what became of each indexer, for the JSON."""
    return [
        {
            "indexer": item.indexer,
            "cell": None if item.cell is None else list(item.cell),
            "indexed": item.indexed,
            "problem": item.problem,
            "taken": item.taken,
        }
        for item in methods
    ]


def methods_text(methods: Sequence[Method]) -> str:
    """Table of the indexers tried; "" where there was no choice."""
    if not methods:
        return ""
    rows = [
        (
            item.indexer,
            " ".join(f"{value:.2f}" for value in item.cell or ()),
            f"{100 * item.indexed:.1f}" if item.cell else "",
            "taken" if item.taken else ("nothing found" if item.problem else ""),
        )
        for item in methods
    ]
    return table(("indexer", "cell", "indexed\n(%)", ""), rows, title="Indexers tried, in this order:")

"""Which level of a detector's tree a user means."""

from __future__ import annotations

from smalti.errors import UsageError
from smalti.models import Detector
from smalti.options import suggest

__all__ = ["level_number"]

_DEEPEST = {"module", "modules", "panel", "panels"}


def level_number(detector: Detector, level: int | str) -> int:
    """Give the number of a level: a number, "module" for the deepest, or the name of a node.

    Raises
    ------
    UsageError
        The tree has no such level or node; says what it has.
    """
    text = str(level).strip()
    if text.lower() in _DEEPEST:
        return detector.depth
    if text.isdigit():
        if int(text) > detector.depth:
            raise UsageError(
                f"The detector has no level {text}.",
                f"Its tree: {_tree(detector)}.",
                f"Give a level from 0 to {detector.depth}; smalti panels makes modules of a panel.",
            )
        return int(text)
    named = [node.level for node in detector.walk() if node.name == text]
    if not named:
        raise UsageError(
            f"The detector has no level or node called '{text}'.",
            f"Its tree: {_tree(detector)}.",
            suggest(text, sorted({node.name for node in detector.walk() if node.name} | _DEEPEST)),
        )
    return min(named)


def _tree(detector: Detector) -> str:
    counts = [sum(node.level == level for node in detector.walk()) for level in range(detector.depth + 1)]
    return ", ".join(f"{count} at level {level}" for level, count in enumerate(counts))

"""Which nodes of a detector's tree a user means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from smalti.errors import UsageError
from smalti.models import Detector, Node
from smalti.options import suggest

__all__ = ["Chosen", "chosen", "deepest"]

_DEEPEST = {"module", "modules", "panel", "panels"}


@dataclass(frozen=True, eq=False)
class Chosen:
    """A node that takes part.

    Attributes
    ----------
    node : Node
    level : int
        The level it was asked for at; a panel that ends higher up stands for itself there.
    number : int
        Its place among the nodes of that level, from 1.
    """

    node: Node
    level: int
    number: int


def chosen(detector: Detector, level: int | str) -> tuple[Chosen, ...]:
    """List the root and the nodes that a choice of levels means, parents before children.

    Parameters
    ----------
    level : int or str
        One number (or "module" for the deepest): that level and those above it. A list with commas:
        exactly these levels, and nodes by their names, in which ``*`` stands for anything.

    Raises
    ------
    UsageError
        The tree has no such level or node; says what it has.
    """
    words = [word.strip() for word in str(level).split(",") if word.strip()]
    if words == ["auto"]:
        raise UsageError(
            "The level 'auto' has to be found first.",
            "A parameterisation needs to know its nodes; a refinement finds out which the data support.",
            f"Use smalti refine --level auto, or give a level from 0 to {detector.depth}.",
        )
    single = _number(detector, words[0]) if len(words) == 1 else None
    if single is not None:
        numbers, patterns = set(range(single + 1)), []
    else:
        numbered = {word: _number(detector, word) for word in words}
        numbers = {0, *(number for number in numbered.values() if number is not None)}
        patterns = [word for word, number in numbered.items() if number is None]
    found: dict[tuple[int, ...], Chosen] = {}
    for depth in range(detector.depth + 1):
        for item in _at(detector, depth):
            named = item.node.level == depth and any(fnmatchcase(item.node.name, p) for p in patterns)
            # A panel that ends higher up has been met there.
            if (depth in numbers or named) and item.node.path not in found:
                found[item.node.path] = item
    for pattern in patterns:
        if not any(fnmatchcase(item.node.name, pattern) for item in found.values()):
            raise _unknown(detector, pattern)
    return tuple(found.values())


def deepest(detector: Detector) -> tuple[Chosen, ...]:
    """List the root and all panels."""
    return chosen(detector, f"0,{detector.depth}")


def _at(detector: Detector, depth: int) -> Iterator[Chosen]:
    for number, node in enumerate(detector.nodes(depth), start=1):
        yield Chosen(node, depth, number)


def _number(detector: Detector, word: str) -> int | None:
    """The level that a word means; None where it has to be a name."""
    if word.lower() in _DEEPEST:
        return detector.depth
    if not word.isdigit():
        return None
    if int(word) > detector.depth:
        raise UsageError(
            f"The detector has no level {word}.",
            f"Its tree: {_tree(detector)}.",
            f"Give a level from 0 to {detector.depth}; smalti panels makes modules of a panel.",
        )
    return int(word)


def _unknown(detector: Detector, word: str) -> UsageError:
    return UsageError(
        f"The detector has no level or node called '{word}'.",
        f"Its tree: {_tree(detector)}.",
        suggest(word, sorted({node.name for node in detector.walk() if node.name} | _DEEPEST)),
    )


def _tree(detector: Detector) -> str:
    counts = [sum(node.level == level for node in detector.walk()) for level in range(detector.depth + 1)]
    return ", ".join(f"{count} at level {level}" for level, count in enumerate(counts))

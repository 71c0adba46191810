"""Small tables by which a user tells each panel what it may do: ``3,7-9: all; others: in_plane``."""

from __future__ import annotations

from smalti.errors import UsageError
from smalti.models import Detector
from smalti.text import plural, ranges
from smalti_plugins.detectors.freedoms import freedoms_of

__all__ = ["freedoms_by_panel"]

_OTHERS = "others"

_FORM = "A table reads '3,7-9: all; 12: fixed; others: in_plane', panels counted from 0."


def freedoms_by_panel(detector: Detector, text: str) -> tuple[tuple[int, ...], ...]:
    """Give the freedoms of each panel by a table of rows ``panels: freedoms`` between semicolons.

    Panels are numbers, ranges of numbers, or names; ``others`` are those that no row speaks of.
    Without such a row they are fixed to their parent.

    Raises
    ------
    UsageError
        A row cannot be read, speaks of a panel that is not there, or of one that another row has.
    """
    found: dict[int, tuple[int, ...]] = {}
    others: tuple[int, ...] | None = None
    for row in filter(None, (part.strip() for part in text.split(";"))):
        left, colon, right = row.partition(":")
        if not colon or not left.strip() or not right.strip():
            raise UsageError(
                f"'{row}' is no row of a table of panels.", "It lacks panels or freedoms.", _FORM
            )
        freedoms = freedoms_of(right)
        words = [word.strip() for word in left.split(",") if word.strip()]
        if _OTHERS in words:
            if others is not None or len(words) > 1:
                raise UsageError(
                    f"'{row}' is no row of a table of panels.",
                    f"'{_OTHERS}' stands alone, and in one row only.",
                    _FORM,
                )
            others = freedoms
            continue
        panels = [panel for word in words for panel in _panels(detector, word)]
        twice = sorted({panel for panel in panels if panel in found or panels.count(panel) > 1})
        if twice:
            raise UsageError(
                f"The table of panels speaks of {plural(len(twice), 'panel')} twice: {ranges(twice)}.",
                "It is not clear which row counts.",
                "Name every panel once.",
            )
        found.update(dict.fromkeys(panels, freedoms))
    return tuple(found.get(panel, others or ()) for panel in range(len(detector)))


def _panels(detector: Detector, word: str) -> list[int]:
    """The panels that a number, a range or a name means."""
    named = [k for k, panel in enumerate(detector.panels) if panel.name == word]
    first, dash, last = (part.strip() for part in word.partition("-"))
    numbers = first.isdigit() and (last.isdigit() if dash else True)
    if not numbers and named:
        return named
    if not numbers:
        raise UsageError(
            f"'{word}' is no panel of this detector.", "It is neither number, range nor name.", _FORM
        )
    low, high = int(first), int(last if dash else first)
    if low > high or high >= len(detector):
        raise UsageError(
            f"The detector has no {'panels' if dash else 'panel'} {word}.",
            f"It has {plural(len(detector), 'panel')}, counted from 0 to {len(detector) - 1}.",
            _FORM,
        )
    return list(range(low, high + 1))

"""A verdict put together: reasons, notes, a text, and what became of the panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smalti.text import plural

__all__ = ["judged"]


def judged(
    reasons: Sequence[str], notes: Sequence[str], good: str, panels: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Put a verdict together.

    Parameters
    ----------
    reasons : sequence of str
        Why the result is not trustworthy; none where it is.
    notes : sequence of str
        What else to know.
    good : str
        What to say where there is no reason.
    panels : sequence of Mapping
        Rows of panels; those that have no parameters of their own are not judged.

    Returns
    -------
    dict
        trustworthy (bool), reasons, notes, text, and the numbers of panels that moved, that are believed, and
        the panels that are not.
    """
    own = [row for row in panels if row["believed"] is not None]
    counts = {
        "n_moved": sum(bool(row["moved"]) for row in own),
        "n_believed": sum(row["believed"] for row in own),
        "n_judged": len(own),
        "not_believed": [
            {"detector": row["detector"], "panel": row["panel"], "why": row["why"]}
            for row in own
            if not row["believed"]
        ],
    }
    text = "not trustworthy: " + " ".join(reasons) if reasons else f"trustworthy: {good}"
    if own:
        text += f" {counts['n_moved']} of {plural(len(own), 'panel')} moved by more than three ESDs"
        # Where the whole is not to be believed nothing is said for its parts.
        text += "." if reasons else f"; {counts['n_believed']} are believed to be where they are put."
    return {
        "trustworthy": not reasons,
        "reasons": list(reasons),
        "notes": list(notes),
        "text": text,
        **counts,
    }

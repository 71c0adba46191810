"""The six ways in which a rigid body may move, and the words for some of them."""

from __future__ import annotations

from smalti.errors import UsageError
from smalti.options import suggest

__all__ = ["IN_PLANE", "SIX", "freedoms_of"]

SIX = (
    ("Dist", "mm"), ("Shift1", "mm"), ("Shift2", "mm"), ("Tau1", "mrad"), ("Tau2", "mrad"), ("Tau3", "mrad"),
)  # fmt: skip
"""Name and unit of the parameters of a body: along normal, fast, slow; about normal, fast, slow."""

IN_PLANE = (1, 2, 3)
"""Shift1, Shift2 and Tau1: what reflections see to first order."""

_WORDS: dict[str, tuple[int, ...]] = {
    "all": (0, 1, 2, 3, 4, 5),
    "in_plane": IN_PLANE,
    "no_tilt": (0, 1, 2, 3),
    "shifts": (1, 2),
    "fixed": (),
}


def freedoms_of(text: str) -> tuple[int, ...]:
    """Give places in :data:`SIX` for a word (all, in_plane, no_tilt, shifts, fixed) or names (Dist+Tau1).

    Raises
    ------
    UsageError
        Neither.
    """
    word = text.strip().lower().replace("-", "_")
    if word in _WORDS:
        return _WORDS[word]
    places = {name.lower(): place for place, (name, _) in enumerate(SIX)}
    parts = [part.strip() for part in word.split("+")]
    for part in parts:
        if part not in places:
            raise UsageError(
                f"'{text.strip()}' is no choice of freedoms.",
                f"It is {', '.join(_WORDS)}, or some of {', '.join(name for name, _ in SIX)} joined by '+'.",
                suggest(part, [*_WORDS, *places], "For modules, 'in_plane' is the safe choice."),
            )
    return tuple(sorted({places[part] for part in parts}))

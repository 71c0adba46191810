"""What a spot finder would mark on the picture shown, with options that are changed as one looks."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.options import build, describe, suggest
from smalti.roles import SpotFinder
from smalti.steps.finding.frames import as_int32
from smalti.steps.guarding import guarded
from smalti.steps.viewing.contrast import good_pixels
from smalti.steps.viewing.counts import Ground
from smalti.steps.viewing.explained import pictures_of
from smalti.steps.viewing.stacking import Stack

__all__ = ["FinderChoice", "command_of", "described", "make_finder", "strong_pixels"]


@dataclass(frozen=True)
class FinderChoice:
    """The finders that can be tried, and the one that the command line chose."""

    classes: tuple[type[SpotFinder], ...]
    chosen: SpotFinder


def described(choice: FinderChoice) -> list[dict[str, Any]]:
    """Give every finder with its options, for a form."""
    return [
        {
            "name": cls.name,
            "chosen": cls.name == choice.chosen.name,
            "pictures": pictures_of(cls()),
            "options": [
                {
                    "name": item.name,
                    "kind": _kind(item.default),
                    "value": _text(getattr(choice.chosen, item.name, item.default)),
                    "default": _text(item.default),
                    "help": item.help,
                    "unit": item.unit,
                    "range": item.range,
                }
                for item in describe(cls)
            ],
        }
        for cls in choice.classes
    ]


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "text"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def make_finder(choice: FinderChoice, name: str, values: Mapping[str, str]) -> SpotFinder:
    """Make a finder with some options.

    Raises
    ------
    UsageError
        There is no such finder or option, or a value is out of its range.
    """
    known = {cls.name: cls for cls in choice.classes}
    if name not in known:
        raise UsageError(f"There is no spot finder '{name}'.", "", suggest(name, list(known)))
    made: SpotFinder = build(known[name], dict(values), name=name)
    return made


def strong_pixels(stack: Stack, ground: Ground, finder: SpotFinder) -> NDArray[np.intp]:
    """Mark the strong pixels of what is shown, flat indices.

    Of a mean the finder sees the sum: its statistics are those of counts.
    """
    counts = as_int32(stack.total)
    good = np.ascontiguousarray(good_pixels(stack, ground))
    what = f"The spot finder '{finder.name}' failed on this picture."
    return np.asarray(
        guarded(lambda: finder.find(counts, good), what, "Change its options, or choose another.")
    )


def command_of(choice: FinderChoice, name: str, values: Mapping[str, str], files: Sequence[str]) -> str:
    """Write the command that finds spots with these options; those that are as by default are left out."""
    cls = next(cls for cls in choice.classes if cls.name == name)
    defaults = {item.name: _text(item.default) for item in describe(cls)}
    changed = [f"{name}.{key}={value}" for key, value in values.items() if value != defaults.get(key)]
    return shlex.join(["smalti", "find-spots", *files, "--finder", name, *changed])

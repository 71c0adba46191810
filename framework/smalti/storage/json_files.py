"""JSON out: one model a line, written whole."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from smalti.errors import DataError
from smalti.storage.atomic import write_whole
from smalti.text import json_lines

__all__ = ["by_line", "finite", "write_json"]


ROWS = 2
"""Items stand one a line as deep as this: a key of a key holds a table, whose rows are these lines."""

_PLAIN = (str, int, bool)


def write_json(path: str | os.PathLike[str], obj: Any) -> None:
    """Write any JSON-able object (arrays and NumPy numbers included), a row a line, whole or not at all.

    JSON has no word for what is not a finite number; "nan", "inf" and "-inf" are written as texts.
    """
    write_whole(path, (json_lines(finite(obj), ROWS) + "\n").encode())


def finite(value: Any) -> Any:
    """Turn a value into what JSON can hold: plain types, and texts for NaN and infinities."""
    if value is None or type(value) in _PLAIN:  # most of them
        return value
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(finite(item) for item in value)
    if isinstance(value, Enum):
        return finite(value.value)
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def by_line(document: Mapping[str, Any]) -> str:
    """Set a document of lists as JSON with one list item a line.

    Indented throughout, a list of 300 models is mostly line breaks and ten times slower to write; on
    one line it cannot be compared. One model a line can be both.
    """
    parts = []
    for key, value in document.items():
        if isinstance(value, Sequence) and not isinstance(value, str) and value:
            items = ",\n  ".join(_line(item) for item in value)
            parts.append(f" {json.dumps(key)}: [\n  {items}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {_line(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _line(value: Any) -> str:
    try:
        return json.dumps(value, default=_plain, allow_nan=False)
    except ValueError:
        raise DataError(
            "A model holds a number that is not finite.",
            "Files of models cannot hold NaN or Infinity.",
            "Look at the step that made it: a refinement without enough data ends so.",
        ) from None


def _plain(value: Any) -> Any:
    """Turn what the json module does not know into what it does."""
    if isinstance(value, np.generic | np.ndarray | Mapping | os.PathLike):
        return finite(value)
    raise TypeError(f"cannot write {type(value).__name__} to JSON")

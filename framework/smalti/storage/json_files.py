"""JSON out: one model a line, written whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smalti.errors import DataError
from smalti.storage.atomic import write_whole

__all__ = ["by_line", "write_json"]


def write_json(path: str | os.PathLike[str], obj: Any) -> None:
    """Write any JSON-able object (arrays and NumPy numbers included), indented, whole or not at all."""
    write_whole(path, (json.dumps(obj, indent=1, default=_plain) + "\n").encode())


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
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"cannot write {type(value).__name__} to JSON")

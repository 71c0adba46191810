"""The options of a reader, kept with the images so that they are opened again in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from smalti.roles import Reader

__all__ = ["OPTIONS", "as_it_was", "told"]

OPTIONS = "reader_options"
"""Where the parameters of an image set have them."""


def told(reader: Reader) -> dict[str, Any]:
    """Give the options of a reader that are not its defaults, for the parameters of an image set."""
    changed: dict[str, Any] = {}
    if not is_dataclass(reader):
        return changed
    for item in fields(reader):
        value = getattr(reader, item.name)
        if value != item.default:
            changed[item.name] = str(value.absolute()) if isinstance(value, Path) else value
    return {OPTIONS: changed} if changed else {}


def as_it_was(reader: Reader, params: Mapping[str, Any]) -> Reader:
    """Give the reader with the options that it had when it imported the images.

    Options that it no longer has are passed over: pixels can be read all the same.
    """
    kept = params.get(OPTIONS)
    if not isinstance(kept, Mapping) or not is_dataclass(reader):
        return reader
    known = {item.name: item for item in fields(reader)}
    values = {
        name: Path(value) if "Path" in str(known[name].type) and isinstance(value, str) else value
        for name, value in kept.items()
        if name in known
    }
    return replace(reader, **values)

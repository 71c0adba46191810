"""Writing ``.refl`` files, byte for byte as DIALS does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from smalti.errors import DataError
from smalti.storage.atomic import atomic_path
from smalti.storage.columns import disk_form
from smalti.storage.opaque import FixedRows, Shoeboxes
from smalti.storage.records import HISTORY_KEY, Record
from smalti.storage.refl_reader import MAGIC, VERSIONS
from smalti.tables import Opaque, Reflections

__all__ = ["identifier_pieces", "write_refl"]


def write_refl(path: Path, reflections: Reflections) -> None:
    """Write a reflection table, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for piece in _pieces(reflections):
            file.write(piece)


def _pieces(reflections: Reflections) -> Iterator[bytes]:
    """Give the file piece by piece: a column at a time, so that memory holds one twice and not all."""
    pack = msgpack.Packer()
    versions = [c.version for c in reflections.opaque.values() if isinstance(c, Shoeboxes)]
    yield pack.pack_array_header(3) + pack.pack(MAGIC) + pack.pack(max(versions, default=VERSIONS[0]))
    yield pack.pack_map_header(3)
    yield from identifier_pieces(pack, reflections.identifiers, reflections.history)
    yield pack.pack("nrows") + pack.pack(reflections.n_rows)
    names = sorted([*reflections, *reflections.opaque])
    yield pack.pack("data") + pack.pack_map_header(len(names))
    for name in names:
        kind, blob = _column(name, reflections)
        yield pack.pack(name) + pack.pack_array_header(2) + pack.pack(kind)
        yield pack.pack_array_header(2) + pack.pack(reflections.n_rows)
        try:
            yield pack.pack(blob)
        except ValueError:
            raise DataError(
                f"Column '{name}' is too large for a .refl file.",
                f"It takes {len(blob) / 2**30:.1f} GiB, and the format ends at 4.",
                "Write the table as .h5.",
            ) from None


def identifier_pieces(
    pack: msgpack.Packer, identifiers: Mapping[int, str], history: tuple[Record, ...]
) -> Iterator[bytes]:
    """Give the map of identifiers, with the history as an earlier value of its first key.

    The format has no place for a history: DIALS refuses any further key, and other readers refuse
    anything after the table. But of two values for one key every reader keeps the last, so a first
    one is seen by nobody who does not look for it.
    """
    entries = sorted((int(key), str(name)) for key, name in identifiers.items())
    if history:
        entries = entries or [(0, "")]
        text = json.dumps({HISTORY_KEY: history}, separators=(",", ":"))
        entries.insert(0, (entries[0][0], text))
    yield pack.pack("identifiers") + pack.pack_map_header(len(entries))
    for key, value in entries:
        yield pack.pack(key) + pack.pack(value)


def _column(name: str, reflections: Reflections) -> tuple[str, Any]:
    if name in reflections:
        form, values = disk_form(name, reflections[name])
        return form.name, values.reshape(-1).view(np.uint8).data
    column: Opaque = reflections.opaque[name]
    if isinstance(column, (FixedRows, Shoeboxes)):
        return column.type_name, column.blob()
    raise DataError(
        f"Column '{name}' of type {column.type_name} cannot be written.",
        "It was not read from a file and says nothing of how it lies in one.",
        "Leave it out: table.without(...).",
    )

"""``.refl`` files written a range of rows at a time, by several processes if need be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgpack
import numpy as np

from smalti.errors import DataError
from smalti.storage.columns import TYPES, disk_form
from smalti.storage.records import Record
from smalti.storage.refl_reader import MAGIC, VERSIONS
from smalti.storage.refl_writer import identifier_pieces
from smalti.tables import Reflections

__all__ = ["RowFile"]

_LARGEST = 2**32 - 1
"""Bytes of the largest column that the format can hold."""


@dataclass(frozen=True)
class RowFile:
    """A table of a known number of rows, whose columns lie ready to be filled.

    Attributes
    ----------
    path : Path
    n_rows : int
    places : Mapping
        Name of each column to its type on disk and the byte where its data begin.
    end : int
        The byte after the last column.
    """

    path: Path
    n_rows: int
    places: Mapping[str, tuple[str, int]]
    end: int

    @classmethod
    def create(cls, path: Path, example: Reflections, names: Sequence[str], n_rows: int) -> RowFile:
        """Begin a file with columns like those of a table that have these names.

        Raises
        ------
        DataError
            A column would be larger than the format allows.
        """
        pack = msgpack.Packer()
        kept = sorted(name for name in names if name in example)
        with path.open("wb") as file:
            file.write(pack.pack_array_header(3) + pack.pack(MAGIC) + pack.pack(VERSIONS[0]))
            file.write(pack.pack_map_header(3) + pack.pack("nrows") + pack.pack(n_rows))
            file.write(pack.pack("data") + pack.pack_map_header(len(kept)))
            places = {}
            for name in kept:
                form, _ = disk_form(name, example[name])
                size = form.row_bytes * n_rows
                if size > _LARGEST:
                    raise DataError(
                        f"Column '{name}' is too large for a .refl file.",
                        f"It takes {size / 2**30:.1f} GiB, and the format ends at 4.",
                        "Write models only (stream.write=models), or refine fewer files at a time.",
                    )
                file.write(pack.pack(name) + pack.pack_array_header(2) + pack.pack(form.name))
                file.write(pack.pack_array_header(2) + pack.pack(n_rows))
                file.write(b"\xc6" + size.to_bytes(4, "big"))
                places[name] = (form.name, file.tell())
                file.seek(size, 1)
            end = file.tell()
            file.truncate(end)
        return cls(path, n_rows, places, end)

    def write(self, start: int, table: Reflections) -> None:
        """Fill rows from ``start`` on with those of a table."""
        with self.path.open("r+b") as file:
            for name, (kind, offset) in self.places.items():
                form = TYPES[kind]
                values = np.ascontiguousarray(table[name].astype(form.dtype, copy=False))
                file.seek(offset + start * form.row_bytes)
                file.write(values.reshape(-1).view(np.uint8).data)

    def finish(self, identifiers: Mapping[int, str], history: tuple[Record, ...]) -> None:
        """Write what follows the columns, which completes the file."""
        with self.path.open("r+b") as file:
            file.seek(self.end)
            for piece in identifier_pieces(msgpack.Packer(), identifiers, history):
                file.write(piece)
            file.truncate()

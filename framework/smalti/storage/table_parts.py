"""Parts of reflection tables, read without the rest: a range of rows, of a few columns.

Columns lie in a file one after the other, each in one piece of equal rows; where each begins is found by
stepping over their data.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.storage.columns import TYPES
from smalti.storage.hdf5 import hdf5_parts, read_hdf5_rows
from smalti.storage.places import open_binary
from smalti.storage.records import Record
from smalti.storage.refl_reader import PICKLE, TableReader, refuse_pickle
from smalti.tables import Reflections

__all__ = ["TableParts"]

_HDF5 = {".h5", ".hdf5"}
_BINARY = {0xC4: 1, 0xC5: 2, 0xC6: 4}
"""First byte of binary data in MessagePack, and in how many bytes their length follows."""
_HEAD = 4096
"""Bytes within which name, type and length of a column are found."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Type of a column, and the byte at which its data begin."""

    kind: str
    offset: int


@dataclass(frozen=True)
class TableParts:
    """A reflection table in a file, of which any rows can be read.

    Columns of variable length (shoeboxes) and of unknown types have no part in it.

    Attributes
    ----------
    path : Path
    n_rows : int
    identifiers : Mapping
        Value of the ``id`` column to identifier of the experiment.
    places : Mapping
        Where each column is; of HDF5 the names alone.
    history : tuple
        Records of the commands that led here, oldest first.
    """

    path: Path
    n_rows: int
    identifiers: Mapping[int, str]
    places: Mapping[str, _Place]
    history: tuple[Record, ...] = ()

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> TableParts:
        """Find the columns of a file, HDF5 by its suffix.

        Raises
        ------
        InputError
        """
        path = Path(path)
        if path.suffix in _HDF5:
            n_rows, identifiers, names, history = hdf5_parts(path)
            return cls(path, n_rows, identifiers, {name: _Place("", 0) for name in names}, history)
        with open_binary(path) as file:
            first = file.read(1)
            if first == PICKLE:
                refuse_pickle(path)
            return _find(TableReader(path, file))

    def rows(self, start: int, stop: int, names: Collection[str] | None = None) -> Reflections:
        """Read some rows, of all columns or of those of some names that there are."""
        wanted = [name for name in self.places if names is None or name in names]
        if self.path.suffix in _HDF5:
            return Reflections(read_hdf5_rows(self.path, wanted, start, stop), self.identifiers)
        columns = {}
        with open_binary(self.path) as file:
            reader = TableReader(self.path, file)
            for name in wanted:
                columns[name] = self._read(reader, name, start, stop)
        return Reflections(columns, self.identifiers)

    def _read(self, reader: TableReader, name: str, start: int, stop: int) -> NDArray[np.generic]:
        place = self.places[name]
        row = TYPES[place.kind].row_bytes
        reader.place = f"column '{name}'"
        reader.file.seek(place.offset + start * row)
        blob = reader.file.read((stop - start) * row)
        return reader.numbers(name, place.kind, stop - start, blob)


def _find(reader: TableReader) -> TableParts:
    """Step through a file from column to column."""
    found = reader.named_parts(lambda: _columns(reader))
    (identifiers, history), n_rows, (places, counts) = found["identifiers"], found["nrows"], found["data"]
    for name, count in counts.items():
        if count != n_rows:
            reader.place = f"column '{name}'"
            raise reader.fail(f"it has {count} rows and the table {n_rows}")
    return TableParts(reader.path, n_rows, identifiers, places, history)


def _columns(reader: TableReader) -> tuple[dict[str, _Place], dict[str, int]]:
    """Give the places of the columns of numbers, and how many rows each column has."""
    places, counts = {}, {}
    for _ in range(reader.next(reader.unpacker.read_map_header)):
        name, kind, count = reader.column_head()
        begin, size = _binary(reader)
        if begin + size > reader.size:
            raise reader.fail("the file is cut off")
        counts[name] = count
        if kind in TYPES:
            if size != count * TYPES[kind].row_bytes:
                raise reader.fail(f"{count} rows of {kind} do not take {size} bytes")
            places[name] = _Place(kind, begin)
        reader.go_to(begin + size, _HEAD)
    return places, counts


def _binary(reader: TableReader) -> tuple[int, int]:
    """Give the first byte and the length of the binary data that come next, unread."""
    at = reader.offset
    reader.file.seek(at)
    head = reader.file.read(5)
    width = _BINARY.get(head[0] if head else 0)
    if width is None:
        raise reader.fail("the data of the column is needed")
    return at + 1 + width, int.from_bytes(head[1 : 1 + width], "big")

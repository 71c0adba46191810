"""Columns that are carried without being looked into: shoeboxes, and types that are not known."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.storage.columns import SHOEBOX

__all__ = ["FixedRows", "OpaqueColumn", "Shoeboxes", "find_rows"]

_HEADER = struct.Struct("<I6iB")
"""Panel, bounding box (x0 x1 y0 y1 z0 z1), whether pixels follow."""

_PIXEL_BYTES = {1: 12, 2: 9}
"""Bytes per pixel: value and background of 4 each and a mask of 4, or of 1 in newer files."""


@dataclass(frozen=True, slots=True)
class FixedRows:
    """A column of an unknown type whose rows are all of one length.

    Attributes
    ----------
    type_name : str
        Name of the type in the file.
    rows : NDArray
        (N, bytes per row) uint8.
    """

    type_name: str
    rows: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: NDArray[np.intp]) -> FixedRows:
        """Give the rows with these indices, in this order."""
        return FixedRows(self.type_name, self.rows[rows])

    def blob(self) -> bytes:
        """Give the column as it lies in a file."""
        return self.rows.tobytes()


@dataclass(slots=True)
class Shoeboxes:
    """A column of shoeboxes: the pixels around each spot, as they lie in the file.

    The rows differ in length and nothing says where each begins, so they have to be walked; that is
    done when rows are first taken, as most commands carry the column untouched.

    Attributes
    ----------
    data : bytes
        All rows, one after another.
    count : int
        Number of rows.
    source : str
        The file they come from, for messages.
    version : int
        Version of the file format they need: 2 may have masks of one byte a pixel, 1 has four.
    """

    data: bytes
    count: int
    type_name: str = SHOEBOX
    source: str = field(default="a table", compare=False)
    version: int = 1
    _starts: NDArray[np.int64] | None = field(default=None, repr=False, compare=False)

    def __len__(self) -> int:
        return self.count

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each row begins, and where the last ends, (N + 1,) bytes."""
        if self._starts is None:
            try:
                self._starts = find_rows(self.data, self.count)
            except ValueError as error:
                raise InputError(
                    f"The shoeboxes of {self.source} are damaged.",
                    f"{error}.",
                    "Make the file again with the step that wrote it.",
                ) from None
        return self._starts

    def check(self) -> None:
        """Check what can be checked without a walk.

        Raises
        ------
        ValueError
            If the column is too short for its rows.
        """
        if len(self.data) < _HEADER.size * self.count or (self.data and not self.count):
            raise ValueError(f"{self.count} shoeboxes cannot lie in {len(self.data)} bytes")

    def take(self, rows: NDArray[np.intp]) -> Shoeboxes:
        """Give the rows with these indices, in this order."""
        starts = self.starts
        indices = np.arange(self.count)[rows]
        lengths = (starts[1:] - starts[:-1])[indices]
        parts = (
            self.data[a:b]
            for a, b in zip(starts[indices].tolist(), starts[indices + 1].tolist(), strict=True)
        )
        begins = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths, dtype=np.int64)])
        return Shoeboxes(b"".join(parts), len(indices), self.type_name, self.source, self.version, begins)

    def blob(self) -> bytes:
        """Give the column as it lies in a file."""
        return self.data


OpaqueColumn = FixedRows | Shoeboxes


def find_rows(data: bytes, count: int) -> NDArray[np.int64]:
    """Walk a blob of shoeboxes and tell where each begins, (count + 1,) bytes.

    Raises
    ------
    ValueError
        Says at which byte and in which row the blob breaks off or makes no sense.
    """
    if len(data) == _HEADER.size * count and not np.any(np.frombuffer(data, np.uint8)[28::29]):
        return np.arange(count + 1, dtype=np.int64) * _HEADER.size
    starts = np.empty(count + 1, dtype=np.int64)
    at, end, unpack = 0, len(data), _HEADER.unpack_from
    for row in range(count):
        if at + _HEADER.size > end:
            raise ValueError(f"row {row} begins at byte {at} of {end} and is cut off")
        starts[row] = at
        _, x0, x1, y0, y1, z0, z1, present = unpack(data, at)
        at += _HEADER.size
        if present:
            if x1 < x0 or y1 < y0 or z1 < z0 or present not in _PIXEL_BYTES:
                raise ValueError(f"row {row} at byte {starts[row]} is not a shoebox")
            at += (x1 - x0) * (y1 - y0) * (z1 - z0) * _PIXEL_BYTES[present]
    if at != end:
        raise ValueError(f"the rows end at byte {at}, the column at byte {end}")
    starts[count] = at
    return starts

"""Column types of ``.refl`` files and the arrays that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError

__all__ = ["SHOEBOX", "STRING", "TYPES", "ColumnType", "disk_form"]

SHOEBOX = "Shoebox<>"
STRING = "std::string"


@dataclass(frozen=True, slots=True)
class ColumnType:
    """How one type of column lies on disk: little-endian numbers, row-major, no padding."""

    name: str
    dtype: str
    shape: tuple[int, ...] = ()

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return np.dtype(self.dtype).itemsize * int(np.prod(self.shape, dtype=int))


TYPES: Mapping[str, ColumnType] = {
    column.name: column
    for column in (
        ColumnType("bool", "?"),
        ColumnType("int", "<i4"),
        ColumnType("std::size_t", "<u8"),
        ColumnType("double", "<f8"),
        ColumnType("vec2<double>", "<f8", (2,)),
        ColumnType("vec3<double>", "<f8", (3,)),
        ColumnType("mat3<double>", "<f8", (3, 3)),
        ColumnType("int6", "<i4", (6,)),
        ColumnType("cctbx::miller::index<>", "<i4", (3,)),
    )
}
"""The types that DIALS reads; a table with any other is refused by it as a whole."""

_BY_FORM = {(column.dtype[-2:], column.shape): column for column in TYPES.values()}
_BY_FORM["f8", (9,)] = TYPES["mat3<double>"]


def disk_form(name: str, values: NDArray[Any]) -> tuple[ColumnType, NDArray[Any]]:
    """Choose the type on disk of a column and convert it where no value is lost.

    Short integers and floats are widened; integers of 64 bits that fit 32 are narrowed, as the format
    has no signed 64-bit type.

    Raises
    ------
    DataError
        If the format has no type for the column.
    """
    kind, shape = values.dtype.kind, values.shape[1:]
    if kind == "f" and values.dtype.itemsize <= 8:
        values = values.astype("<f8", copy=False)
    elif kind == "u" and not shape:
        values = values.astype("<u8", copy=False)
    elif kind in "iu" and _fits(values):
        values = values.astype("<i4", copy=False)
    column = _BY_FORM.get((values.dtype.str[1:] if kind != "b" else "?", shape))
    if column is None:
        raise DataError(
            f"Column '{name}' cannot be written to a .refl file.",
            f"The format has no type for rows of {values.dtype} with shape {shape}.",
            "Write the table as .h5, or leave the column out.",
        )
    return column, np.ascontiguousarray(values)


def _fits(values: NDArray[Any]) -> bool:
    if not values.size:
        return True
    limits = np.iinfo(np.int32)
    return bool(int(values.min()) >= limits.min and int(values.max()) <= limits.max)

"""Small reflection tables as bytes, and what becomes of those that are read and written."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from smalti.storage import read_reflections, write_reflections
from smalti.storage.opaque import FixedRows, Shoeboxes
from smalti.tables import Reflections

MAGIC = "dials::af::reflection_table"


def shoebox(bbox: tuple[int, ...], pixels: bool, mask_bytes: int = 4) -> bytes:
    """One shoebox as it lies in a file."""
    x0, x1, y0, y1, z0, z1 = bbox
    n = (x1 - x0) * (y1 - y0) * (z1 - z0)
    head = struct.pack("<I6iB", 7, *bbox, (1 if mask_bytes == 4 else 2) if pixels else 0)
    return head + (bytes(range(1, 1 + n * (8 + mask_bytes))) if pixels else b"")


BOXES = [
    shoebox((0, 2, 0, 2, 0, 1), True),
    shoebox((5, 9, 5, 9, 0, 3), False),
    shoebox((1, 2, 3, 4, 5, 6), True),
]


def columns(n: int = 3) -> dict[str, Any]:
    """The columns of a small table, as they lie in a file."""
    return {
        "bbox": ["int6", [n, np.arange(6 * n, dtype="<i4").tobytes()]],
        "entering": ["bool", [n, bytes([1, 0, 1][:n])]],
        "flags": ["std::size_t", [n, np.full(n, 36, dtype="<u8").tobytes()]],
        "id": ["int", [n, np.array([0, -1, 0][:n], dtype="<i4").tobytes()]],
        "miller_index": ["cctbx::miller::index<>", [n, np.arange(3 * n, dtype="<i4").tobytes()]],
        "panel": ["std::size_t", [n, np.arange(n, dtype="<u8").tobytes()]],
        "setting": ["mat3<double>", [n, np.arange(9.0 * n).tobytes()]],
        "shoebox": ["Shoebox<>", [n, b"".join(BOXES[:n])]],
        "two": ["vec2<double>", [n, np.arange(2.0 * n).tobytes()]],
        "xyzobs.px.value": ["vec3<double>", [n, np.linspace(0, 1, 3 * n).tobytes()]],
    }


def packed(data: dict[str, Any] | None = None, version: int = 1, **head: Any) -> bytes:
    data = columns() if data is None else data
    parts = {"identifiers": {0: "a"}, "nrows": 3, "data": data, **head}
    return bytes(msgpack.packb([MAGIC, version, parts]))


def write(folder: Path, content: bytes, name: str = "in.refl") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def again(folder: Path, content: bytes) -> bytes:
    write_reflections(folder / "out.refl", read_reflections(write(folder, content)))
    return (folder / "out.refl").read_bytes()


def same(one: Reflections, other: Reflections) -> None:
    """Check that two tables are equal in every column, type and attribute."""
    assert set(one) == set(other)
    for name, values in one.items():
        assert values.dtype == other[name].dtype
        np.testing.assert_array_equal(values, other[name])
    assert set(one.opaque) == set(other.opaque)
    for name, column in one.opaque.items():
        kept = other.opaque[name]
        assert isinstance(column, FixedRows | Shoeboxes) and isinstance(kept, FixedRows | Shoeboxes)
        assert (column.type_name, len(column), column.blob()) == (kept.type_name, len(kept), kept.blob())
    assert one.identifiers == other.identifiers
    assert one.history == other.history

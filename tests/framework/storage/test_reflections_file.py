"""Reflection tables: files of DIALS round-trip byte for byte, and every fault names its place."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import msgpack
import numpy as np
import pytest

from smalti.storage import read_reflections, write_reflections
from smalti.storage.opaque import FixedRows, Shoeboxes, find_rows
from smalti.tables import Opaque, Reflections

from .reflection_bytes import BOXES, again, columns, packed, shoebox, write

BYTE_FOR_BYTE = (
    "centroid_indexed four_sweeps_indexed four_sweeps_spots_4 i04_weak i23_24_panels l_cysteine_20 "
    "lpe4_spots narrow_wedges"
).split()


@pytest.mark.data
@pytest.mark.parametrize("name", BYTE_FOR_BYTE)
def test_files_of_dials_round_trip_byte_for_byte(data: Path, tmp_path: Path, name: str) -> None:
    path = data / "tables" / name / "data.refl"
    assert again(tmp_path, path.read_bytes()) == path.read_bytes()


@pytest.mark.data
def test_old_image_set_numbers_become_what_dials_writes_now(data: Path, tmp_path: Path) -> None:
    """The one change to a file: unsigned 64-bit image set numbers of old files become 32-bit ones."""
    old = read_reflections(data / "tables" / "cspad_300" / "data.refl")
    assert old["imageset_id"].dtype == np.int32
    write_reflections(tmp_path / "out.refl", old)
    document = msgpack.unpackb((tmp_path / "out.refl").read_bytes(), strict_map_key=False)
    before = msgpack.unpackb((data / "tables" / "cspad_300" / "data.refl").read_bytes(), strict_map_key=False)
    assert document[2]["data"].pop("imageset_id")[0] == "int"
    assert before[2]["data"].pop("imageset_id")[0] == "std::size_t"
    assert document == before


def test_every_type_round_trips_byte_for_byte(tmp_path: Path) -> None:
    assert again(tmp_path, packed()) == packed()
    table = read_reflections(tmp_path / "in.refl")
    assert table["setting"].shape == (3, 3, 3)
    assert table["two"].shape == (3, 2)
    assert table["id"].tolist() == [0, -1, 0]
    assert table["entering"].tolist() == [True, False, True]


def test_empty_tables(tmp_path: Path) -> None:
    bare = packed({}, nrows=0, identifiers={})
    assert again(tmp_path, bare) == bare
    headed = packed(columns(0), nrows=0)
    assert again(tmp_path, headed) == headed
    assert read_reflections(tmp_path / "in.refl").n_rows == 0


def test_shoeboxes_follow_their_rows(tmp_path: Path) -> None:
    table = read_reflections(write(tmp_path, packed()))
    assert isinstance(table.opaque["shoebox"], Opaque)
    turned = table.take(np.array([2, 0]))
    column = turned.opaque["shoebox"]
    assert isinstance(column, Shoeboxes)
    assert column.blob() == BOXES[2] + BOXES[0]
    assert column.starts.tolist() == [0, len(BOXES[2]), len(BOXES[2]) + len(BOXES[0])]
    once_more = turned.take(np.array([1])).opaque["shoebox"]
    assert isinstance(once_more, Shoeboxes) and once_more.blob() == BOXES[0]
    none = table.where(np.zeros(3, dtype=bool)).opaque["shoebox"]
    assert isinstance(none, Shoeboxes) and none.blob() == b"" and len(none) == 0


@pytest.mark.data
def test_subset_of_real_shoeboxes_agrees_with_bounding_boxes(data: Path) -> None:
    table = read_reflections(data / "tables" / "centroid_indexed" / "data.refl")
    half = table.where(np.arange(table.n_rows) % 2 == 1)
    column = half.opaque["shoebox"]
    assert isinstance(column, Shoeboxes)
    heads = [struct.unpack_from("<I6i", column.data, at) for at in column.starts[:-1].tolist()]
    assert [head[1:] for head in heads] == [tuple(box) for box in half["bbox"].tolist()]
    assert [head[0] for head in heads] == half["panel"].tolist()


def test_version_two_has_masks_of_one_byte(tmp_path: Path) -> None:
    boxes = [shoebox((0, 2, 0, 2, 0, 1), True, 1), shoebox((0, 1, 0, 1, 0, 1), False), BOXES[2]]
    data = columns() | {"shoebox": ["Shoebox<>", [3, b"".join(boxes)]]}
    table = read_reflections(write(tmp_path, packed(data, version=2)))
    column = table.take(np.array([2])).opaque["shoebox"]
    assert isinstance(column, Shoeboxes) and column.blob() == boxes[2]
    write_reflections(tmp_path / "out.refl", table)
    assert (tmp_path / "out.refl").read_bytes() == packed(data, version=2)


def test_walk_of_empty_boxes_needs_no_loop() -> None:
    boxes = shoebox((0, 1, 0, 1, 0, 1), False) * 4
    assert find_rows(boxes, 4).tolist() == [0, 29, 58, 87, 116]


def test_texts_are_left_out_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = columns() | {"name": ["std::string", [3, bytes(96)]]}
    with caplog.at_level(logging.WARNING):
        table = read_reflections(write(tmp_path, packed(data)))
    assert "name" not in table and "name" not in table.opaque
    assert "'name'" in caplog.text and "in.refl" in caplog.text


def test_unknown_types_are_carried(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = dict(sorted((columns() | {"new": ["vec5<half>", [3, bytes(range(30))]]}).items()))
    assert again(tmp_path, packed(data)) == packed(data)
    table = read_reflections(tmp_path / "in.refl").take(np.array([2, 1]))
    column = table.opaque["new"]
    assert isinstance(column, FixedRows)
    assert column.blob() == bytes(range(20, 30)) + bytes(range(10, 20))
    uneven = columns() | {"new": ["vec5<half>", [3, bytes(31)]]}
    with caplog.at_level(logging.WARNING):
        assert "new" not in read_reflections(write(tmp_path, packed(uneven))).opaque
    assert "'new'" in caplog.text


def test_short_and_long_numbers_find_a_type(tmp_path: Path) -> None:
    table = Reflections(
        {
            "a": np.arange(3, dtype=np.int64) - 1,
            "b": np.arange(3, dtype=np.uint32),
            "c": np.arange(3, dtype=np.float32),
            "d9": np.zeros((3, 9)),
            "s": np.arange(3, dtype=np.int16),
        }
    )
    write_reflections(tmp_path / "out.refl", table)
    back = read_reflections(tmp_path / "out.refl")
    kinds = {name: (back[name].dtype.str[1:], back[name].shape) for name in back}
    assert kinds == {
        "a": ("i4", (3,)),
        "b": ("u8", (3,)),
        "c": ("f8", (3,)),
        "d9": ("f8", (3, 3, 3)),
        "s": ("i4", (3,)),
    }
    assert back["a"].tolist() == [-1, 0, 1]

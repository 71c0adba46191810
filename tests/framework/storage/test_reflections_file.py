"""Reflection tables: files of DIALS round-trip byte for byte, and every fault names its place."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import DataError, InputError, UsageError
from smalti.storage import read_reflections, write_reflections
from smalti.storage.opaque import FixedRows, Shoeboxes, find_rows
from smalti.tables import Opaque, Reflections

MAGIC = "dials::af::reflection_table"
BYTE_FOR_BYTE = (
    "centroid_indexed four_sweeps_indexed four_sweeps_spots_4 i04_weak i23_24_panels l_cysteine_20 "
    "lpe4_spots narrow_wedges"
).split()


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


@pytest.mark.parametrize(
    ("blob", "words"),
    [
        (b"".join(BOXES)[:-1], "the rows end at byte"),
        (b"".join(BOXES) + b"x", "the rows end at byte"),
        (shoebox((9, 2, 0, 2, 0, 1), False)[:-1] + b"\1" + BOXES[1] + BOXES[2], "row 0 at byte 0"),
        (shoebox((0, 2**30, 0, 2**30, 0, 2**30), False)[:-1] + b"\1" + BOXES[1] * 2, "row 1 begins at byte"),
    ],
)
def test_damaged_shoeboxes_name_file_row_and_byte(tmp_path: Path, blob: bytes, words: str) -> None:
    data = columns() | {"shoebox": ["Shoebox<>", [3, blob]]}
    table = read_reflections(write(tmp_path, packed(data)))
    with pytest.raises(InputError, match=words) as caught:
        table.take(np.array([0]))
    assert "in.refl" in caught.value.what


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


@pytest.mark.parametrize("kind", ["pickle in a refl", "pickle by name"])
def test_pickles_are_refused_in_one_sentence_and_never_loaded(tmp_path: Path, kind: str) -> None:
    trap = tmp_path / "loaded"
    evil = f"\x80\x02cos\nsystem\nX{chr(len(f'touch {trap}'))}\0\0\0touch {trap}\x85R.".encode("latin-1")
    path = write(tmp_path, evil, "in.refl" if kind == "pickle in a refl" else "in.pickle")
    with pytest.raises(InputError) as caught:
        read_reflections(path)
    message = str(caught.value)
    assert "pickle" in message and "dials.python" in message and str(path) in message
    assert "\n" not in message
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"{}", "beginning of the file"),
        (bytes(msgpack.packb([MAGIC, 1])), "a list of 3"),
        (bytes(msgpack.packb(["other", 1, {}])), "does not say that it is a reflection table"),
        (packed(version=3), "version 3"),
        (packed(nrows=4), "column 'bbox', at byte .*: it has 3 rows and the table 4"),
        (packed(extra=1), "only data, identifiers, nrows are known"),
        (bytes(msgpack.packb([MAGIC, 1, {"nrows": 0}])), "the part data, identifiers is missing"),
        (packed(columns() | {"panel": ["int", [3, b"\xff" * 12]]}), "values from -1 to -1"),
        (packed(columns() | {"id": ["int", [3, b"\xfe\xff\xff\xff" * 3]]}), "values from -2 to -2"),
        (packed(columns() | {"id": ["double", [3, bytes(24)]]}), "column 'id'.*the column holds float64"),
        (packed(columns() | {"d": ["double", [3, bytes(23)]]}), "3 rows of double take 24 bytes"),
        (packed(columns() | {"entering": ["bool", [3, b"\0\1\2"]]}), "neither 0 nor 1"),
        (packed(columns() | {"shoebox": ["Shoebox<>", [3, bytes(80)]]}), "3 shoeboxes cannot lie in 80"),
        (packed(columns() | {"imageset_id": ["std::size_t", [3, b"\xff" * 24]]}), "out of the range"),
        (packed(identifiers={"a": "b"}), "part 'identifiers'.*the number of an experiment"),
    ],
)
def test_fault_names_file_and_place(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        read_reflections(write(tmp_path, content))
    assert "in.refl" in caught.value.what


def test_cut_off_file_names_column_and_byte(tmp_path: Path) -> None:
    whole = packed()
    cut = whole.index(b"panel") + 20
    with pytest.raises(InputError, match=rf"column 'panel', at byte \d+ of {cut}: the file is cut off"):
        read_reflections(write(tmp_path, whole[:cut]))
    for length in range(1, len(whole)):
        with pytest.raises(InputError, match=f"of {length}: the file is cut off"):
            read_reflections(write(tmp_path, whole[:length]))


def test_something_after_the_table_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert read_reflections(write(tmp_path, packed() + b"\0\0")).n_rows == 3
    assert "2 bytes after the table" in caplog.text


WHOLE = packed()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(WHOLE) - 1), junk=st.binary(min_size=1, max_size=5))
def test_damaged_bytes_give_a_table_or_words(tmp_path: Path, place: int, junk: bytes) -> None:
    path = write(tmp_path, WHOLE[:place] + junk + WHOLE[place + len(junk) :], "fuzz.refl")
    try:
        table = read_reflections(path)
        table.take(np.arange(table.n_rows))
    except InputError as error:
        assert "fuzz.refl" in str(error)


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


@pytest.mark.parametrize(
    "values", [np.array([2**40, -1, 0]), np.array(["a", "b", "c"]), np.zeros((3, 4)), np.zeros(3, complex)]
)
def test_columns_without_a_type_are_refused_by_name(tmp_path: Path, values: np.ndarray[Any, Any]) -> None:
    with pytest.raises(DataError, match="'odd'"):
        write_reflections(tmp_path / "out.refl", Reflections({"odd": values}))
    assert list(tmp_path.iterdir()) == []


def test_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.refl"):
        write_reflections(tmp_path / "out.csv", Reflections({}))


def test_hdf5_keeps_everything(tmp_path: Path) -> None:
    data = columns() | {"new": ["vec5<half>", [3, bytes(range(30))]]}
    table = read_reflections(write(tmp_path, packed(data))).with_columns(
        {"a/b": np.arange(3, dtype=np.int64)}
    )
    table = table.with_columns(history=({"command": "index", "long": "x" * 100_000},))
    write_reflections(tmp_path / "out.h5", table)
    back = read_reflections(tmp_path / "out.h5")
    same(table, back)
    same(table.take(np.array([2, 0])), back.take(np.array([2, 0])))


def test_hdf5_is_contiguous_with_units(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    write_reflections(tmp_path / "out.h5", read_reflections(write(tmp_path, packed())))
    with h5py.File(tmp_path / "out.h5") as file:
        column = file["columns/xyzobs.px.value"]
        assert column.chunks is None and column.shape == (3, 3)
        assert column.attrs["unit"] == "px, px, image"


def test_damaged_hdf5_is_refused_in_words(tmp_path: Path) -> None:
    write_reflections(tmp_path / "out.h5", read_reflections(write(tmp_path, packed())))
    whole = (tmp_path / "out.h5").read_bytes()
    for length in (0, 100, len(whole) // 2):
        with pytest.raises(InputError, match=r"cut\.h5"):
            read_reflections(write(tmp_path, whole[:length], "cut.h5"))
    with pytest.raises(InputError, match="no file"):
        read_reflections(tmp_path / "none.h5")


@pytest.mark.data
def test_hdf5_of_real_table(data: Path, tmp_path: Path) -> None:
    table = read_reflections(data / "tables" / "centroid_indexed" / "data.refl")
    write_reflections(tmp_path / "out.h5", table)
    same(table, read_reflections(tmp_path / "out.h5"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_hdf5_on_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of HDF5 brought the whole process down, when it was left to write to the disk itself."""
    from smalti.storage import atomic

    table = read_reflections(write(tmp_path, packed()))
    real = Path.touch
    monkeypatch.setattr(
        atomic.Path,
        "touch",
        lambda path, **_: path.symlink_to("/dev/full") if ".part" in path.name else real(path),
    )
    with pytest.raises(InputError, match="No space left"):
        write_reflections(tmp_path / "out.h5", table)
    assert not (tmp_path / "out.h5").exists()

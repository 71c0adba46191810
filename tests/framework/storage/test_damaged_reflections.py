"""Reflection tables with faults are refused in words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smalti.errors import DataError, InputError, UsageError
from smalti.storage import read_reflections, write_reflections
from smalti.tables import Reflections

from .reflection_bytes import BOXES, MAGIC, columns, packed, shoebox, write


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

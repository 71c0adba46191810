"""Reflection tables keep their schema."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.tables import Flag, Reflections


class Letters:
    """An opaque column."""

    type_name = "letters"

    def __init__(self, text: str) -> None:
        self.text = text

    def __len__(self) -> int:
        return len(self.text)

    def take(self, rows: np.ndarray) -> Letters:
        return Letters("".join(self.text[k] for k in rows))


def table() -> Reflections:
    return Reflections(
        {
            "id": [0, 1, -1],
            "miller_index": [[1, 2, 3], [0, 0, 4], [0, 0, 0]],
            "flags": [Flag.STRONG | Flag.INDEXED, Flag.INDEXED, Flag.STRONG],
            "mine": [0.5, 1.5, 2.5],
        },
        {0: "a", 1: "b"},
        {"shoebox": Letters("xyz")},
    )


def test_columns_take_the_type_of_the_schema() -> None:
    t = table()
    assert t["id"].dtype == np.int32 and t["miller_index"].dtype == np.int32 and t["flags"].dtype == np.uint64
    assert t["mine"].dtype == np.float64
    assert t.n_rows == 3 and len(t) == 4
    assert all(column.flags.c_contiguous for column in t.values())


def test_rows_are_chosen_with_what_is_carried() -> None:
    t = table().where(np.array([True, False, True]))
    assert t.n_rows == 2
    assert t.opaque["shoebox"].text == "xz"  # type: ignore[attr-defined]
    np.testing.assert_array_equal(t["mine"], [0.5, 2.5])
    assert t.identifiers == {0: "a", 1: "b"}


def test_tables_do_not_change() -> None:
    t = table()
    with pytest.raises(ValueError, match="read-only"):
        t["mine"][0] = 9.0
    more = t.with_columns({"mine": [1.0, 2.0, 3.0], "d": [1.0, 2.0, 3.0]})
    assert "d" in more and "d" not in t and t["mine"][0] == 0.5
    assert "mine" not in more.without("mine", "shoebox")
    assert not more.without("shoebox").opaque


def test_the_callers_array_stays_writable() -> None:
    mine = np.zeros(3)
    t = Reflections({"mine": mine})
    mine[0] = 1.0
    assert not t["mine"].flags.writeable


def test_flags_need_all_their_bits() -> None:
    t = table()
    np.testing.assert_array_equal(t.flagged(Flag.INDEXED), [True, True, False])
    np.testing.assert_array_equal(t.flagged(Flag.INDEXED | Flag.STRONG), [True, False, False])


def test_wrong_columns_are_refused_in_words() -> None:
    with pytest.raises(DataError, match="differ in length"):
        Reflections({"id": [0, 1], "panel": [0]})
    with pytest.raises(DataError, match=r"'miller_index' has shape"):
        Reflections({"miller_index": [1, 2, 3]})
    with pytest.raises(DataError, match="'panel' holds float64"):
        Reflections({"panel": [0.5]})
    with pytest.raises(DataError, match="no columns xyzobs.px.value, s1"):
        table().require("id", "xyzobs.px.value", "s1")


def test_joined_tables_keep_common_columns() -> None:
    t = Reflections.concatenate([table(), table().without("mine")])
    assert t.n_rows == 6 and "mine" not in t
    assert Reflections.concatenate([]).n_rows == 0


def test_an_empty_table_has_no_rows() -> None:
    assert Reflections({}).n_rows == 0


def test_whole_numbers_that_do_not_fit_are_refused_and_do_not_wrap() -> None:
    with pytest.raises(DataError, match="Column 'panel' holds values from -1 to 3"):
        Reflections({"panel": np.array([3, -1])})
    with pytest.raises(DataError, match="Column 'id' holds values"):
        Reflections({"id": np.array([2**40])})
    assert Reflections({"panel": np.array([3, 1])})["panel"].dtype == np.uint64

"""Tables as text."""

from __future__ import annotations

import json

import pytest

from smalti.text import json_lines, plural, ranges, table, wrapped


def test_numbers_stand_to_the_right_and_words_to_the_left() -> None:
    lines = table(["Panel", "RMSD\n(px)"], [["p1", "0.5"], ["corner", "10.25"]], title="T").splitlines()
    assert lines == ["T", "Panel    RMSD", "         (px)", "------  -----", "p1        0.5", "corner  10.25"]


def test_counts_agree_with_their_noun() -> None:
    assert plural(1, "panel") == "1 panel"
    assert plural(1234, "reflection") == "1,234 reflections"
    assert plural(2, "entry") == "2 entries" and plural(2, "day") == "2 days"


def test_runs_of_numbers_are_drawn_together() -> None:
    assert ranges([0, 1, 2, 3, 7, 9, 10]) == "0-3, 7, 9-10"
    assert ranges(range(0, 100, 2), most=3) == "0, 2, 4, ..."
    assert ranges([]) == ""


def test_sentences_are_broken_and_tables_are_not() -> None:
    sentence = "Of all these words " * 10
    row = "a table row  " * 10
    lines = wrapped(f"{sentence.strip()}\n{row}\nshort", 60).split("\n")
    assert max(len(line) for line in lines if "  " not in line) <= 60
    assert row in lines and lines[-1] == "short"
    assert " ".join(line for line in lines if "words" in line).split() == sentence.split()


def test_json_stands_one_row_a_line():
    rows = [{"a": k, "b": [1.5, None]} for k in range(3)]
    value = {"name": "x", "table": rows, "empty": [], "none": {}, "deep": {"a": {"b": {"c": [1]}}}}
    text = json_lines(value, 2)
    assert json.loads(text) == value
    assert [line.strip(" ,") for line in text.splitlines() if '"a": 1' in line] == [
        '{"a": 1, "b": [1.5, null]}'
    ]
    assert len(text.splitlines()) == 13
    assert json_lines(value, 0) == json.dumps(value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_lines({"a": float("nan")}, 3)

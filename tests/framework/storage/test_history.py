"""Every output carries where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.storage import (
    describe_history,
    hash_file,
    make_record,
    merge,
    read_experiments,
    read_history,
    read_reflections,
    write_experiments,
    write_json,
    write_reflections,
)
from smalti.tables import Reflections
from smalti.testing import synthetic


def record(command: str, parents: Sequence[Any] = (), inputs: Sequence[Path] = ()) -> dict[str, Any]:
    parameters = {"d_min": 2.0, "rejector": "tukey", "limit": float("inf"), "cell": (1.0, 2.0)}
    return make_record(
        command, ["smalti", command, "a b.expt"], parameters, {"d_min": 2.0}, inputs, {"mcd": "0.1"}, parents
    )


def test_record_holds_what_is_needed_to_do_it_again(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    made = record("refine", inputs=[tmp_path / "in"])
    assert made["program"] == "smalti" and made["version"] and made["host"] and made["python"]
    assert made["command"] == "refine" and made["argv"] == ["smalti", "refine", "a b.expt"]
    assert made["changed"] == {"d_min": 2.0} and made["plugins"] == {"mcd": "0.1"}
    assert made["inputs"] == [
        {"path": str(tmp_path / "in"), "bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    ]
    assert made["time"].endswith("+00:00")
    assert json.loads(json.dumps(made, allow_nan=False)) == made


def test_missing_input_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        record("refine", inputs=[tmp_path / "none"])
    with pytest.raises(InputError, match="none"):
        hash_file(tmp_path / "none")


def test_shared_ancestors_are_kept_once_and_parents_first() -> None:
    first = record("import")
    left = record("find-spots", [first])
    right = record("mask", [first])
    both = merge((first, left), (first, right))
    assert [item["command"] for item in both] == ["import", "find-spots", "mask"]
    last = record("index", both)
    assert last["parents"] == [left["id"], right["id"]]
    assert merge(both, (*both, last)) == (*both, last)
    assert len({item["id"] for item in (first, left, right, last)}) == 4


@pytest.mark.parametrize("ending", ["expt", "refl", "h5", "json"])
def test_every_kind_of_file_carries_it(tmp_path: Path, ending: str) -> None:
    first = record("import")
    last = record("index", [first])
    path = tmp_path / f"out.{ending}"
    if ending == "expt":
        item = synthetic.experiment(synthetic.detector("PILATUS 300K"))
        write_experiments(path, Experiments((item,), (first,)), last)
        assert read_experiments(path).history == (first, last)
    elif ending == "json":
        write_json(path, {"result": 1, "history": [first, last]})
    else:
        table = Reflections({"id": np.zeros(2, np.int32)}, {0: "a"}, history=(first,))
        write_reflections(path, table, last)
        assert read_reflections(path).identifiers == {0: "a"}
    assert read_history(path) == (first, last)


@pytest.mark.parametrize("identifiers", [{}, {0: "a"}, {3: "c", 1: "b"}])
def test_other_readers_of_tables_do_not_see_it(tmp_path: Path, identifiers: dict[int, str]) -> None:
    """One object, nothing after it, three keys; the last value of a key is the identifier."""
    table = Reflections({"id": np.zeros(2, np.int32)}, identifiers)
    write_reflections(tmp_path / "out.refl", table, record("index"))
    document = msgpack.unpackb((tmp_path / "out.refl").read_bytes(), strict_map_key=False)
    assert list(document[2]) == ["identifiers", "nrows", "data"]
    assert document[2]["identifiers"] == (identifiers or {0: ""})
    back = read_reflections(tmp_path / "out.refl")
    assert back.identifiers == identifiers
    assert [item["command"] for item in back.history] == ["index"]
    write_reflections(tmp_path / "bare.refl", back.with_columns(history=()))
    write_reflections(tmp_path / "never.refl", table)
    assert (tmp_path / "bare.refl").read_bytes() == (tmp_path / "never.refl").read_bytes()


def test_files_of_other_programs_have_none(tmp_path: Path) -> None:
    item = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    write_experiments(tmp_path / "a.expt", Experiments((item,)))
    write_reflections(tmp_path / "a.refl", Reflections({}))
    assert read_history(tmp_path / "a.expt") == read_history(tmp_path / "a.refl") == ()
    assert "No history" in describe_history(())
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(InputError, match="carries no history"):
        read_history(tmp_path / "a.json")


def test_lines_of_newer_dials_are_carried_and_shown(tmp_path: Path) -> None:
    item = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    line = "2025-05-14T10:53:02Z|dials.index|v3.22"
    write_experiments(tmp_path / "a.expt", Experiments((item,), extra={"history": [line]}), record("refine"))
    assert json.loads((tmp_path / "a.expt").read_text())["history"] == [line]
    first, second = read_history(tmp_path / "a.expt")
    assert first == {"line": line} and second["command"] == "refine"
    assert line in describe_history((first, second))


@pytest.mark.parametrize("history", [3, ["x"], {"a": 1}])
def test_damaged_history_is_told(tmp_path: Path, history: Any) -> None:
    item = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    write_experiments(tmp_path / "a.expt", Experiments((item,)))
    document = json.loads((tmp_path / "a.expt").read_text())
    (tmp_path / "a.expt").write_text(json.dumps({**document, "smalti_history": history}))
    with pytest.raises(InputError, match="history"):
        read_history(tmp_path / "a.expt")


def test_told_in_words(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).touch()
    made = record("refine", inputs=[tmp_path / name for name in "abcdefgh"])
    text = describe_history([replace_time(made)])
    assert "smalti refine   2026-05-01 10:00:00 UTC on here" in text
    assert "smalti refine 'a b.expt'" in text
    assert "d_min = 2.0" in text and "rejector" not in text
    assert "and 2 more" in text and "plugins 0.1: mcd" in text


def test_told_within_a_terminal_and_without_saying_versions_twice() -> None:
    plugins = {f"plugin-number-{k}": "0.1" for k in range(20)} | {"theirs": "7"}
    changed = {"hierarchical": {"level": "1"}, "index": {"cell": [1.5, 2], "d_min": None}}
    made = {**replace_time(record("refine")), "plugins": plugins, "changed": changed}
    other = {**made, "plugins": {"theirs": "8"}}
    text = describe_history([made, made, other])
    assert max(map(len, text.splitlines())) <= 100
    assert text.count("plugin-number-3,") == 1
    assert text.count("as before") == 1
    assert "plugins 7: theirs" in " ".join(text.split()) and "plugins 8: theirs" in text
    for line in ("hierarchical.level = 1", "index.cell = 1.5,2", "index.d_min = none"):
        assert f"changed  {line}\n" in text


def test_the_page_of_a_report_carries_it(tmp_path: Path) -> None:
    from smalti.steps.reporting.page import _embedded

    made = {**record("report"), "argv": ["smalti", "report", "</script>"]}
    block = f'<script type="application/json" id="history">{_embedded([made])}</script>'
    (tmp_path / "page.html").write_text(f"<!doctype html><body>{block}<script>1</script></body>")
    assert read_history(tmp_path / "page.html") == (made,)
    for page in ("<!doctype html>", block[:80], block.replace("[", "", 1)):
        (tmp_path / "page.html").write_text(page)
        with pytest.raises(InputError, match="page.html"):
            read_history(tmp_path / "page.html")


def replace_time(made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "time": "2026-05-01T10:00:00.000+00:00", "host": "here"}


def test_history_of_experiments_does_not_change_equality() -> None:
    item = synthetic.experiment(synthetic.detector("PILATUS 300K"))
    plain = Experiments((item,))
    assert replace(plain, history=(record("index"),)) == plain

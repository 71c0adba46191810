"""Parts of files, read without the rest, are what the whole says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.storage import json_parts as scanning
from smalti.storage import read_experiments, write_experiments, write_reflections
from smalti.storage.experiment_parts import ExperimentParts
from smalti.storage.json_parts import find_items
from smalti.storage.table_parts import TableParts
from smalti.tables import Reflections
from smalti.testing.synthetic import crystal, detector, experiment


def table(n: int = 1000) -> Reflections:
    rng = np.random.default_rng(4)
    return Reflections(
        {
            "id": np.sort(rng.integers(0, 7, n)).astype(np.int32),
            "miller_index": rng.integers(-9, 9, (n, 3)).astype(np.int32),
            "xyzobs.mm.value": rng.normal(size=(n, 3)),
            "flags": rng.integers(0, 99, n).astype(np.uint64),
            "entering": rng.random(n) < 0.5,
            "a/b": rng.normal(size=n),
        },
        {0: "one", 6: "seven"},
    )


@pytest.mark.parametrize("name", ["t.refl", "t.h5"])
@pytest.mark.parametrize("bounds", [(0, 1000), (0, 0), (17, 18), (400, 1000)])
def test_rows_of_a_table(tmp_path: Path, name: str, bounds: tuple[int, int]) -> None:
    whole = table()
    write_reflections(tmp_path / name, whole)
    parts = TableParts.of(tmp_path / name)
    assert parts.n_rows == 1000
    assert parts.identifiers == {0: "one", 6: "seven"}
    part = parts.rows(*bounds)
    assert set(part) == set(whole)
    for column in whole:
        np.testing.assert_array_equal(part[column], whole[column][slice(*bounds)])
    assert set(parts.rows(3, 5, ("id", "nothing"))) == {"id"}


def test_a_table_that_is_cut_off_is_said_to_be(tmp_path: Path) -> None:
    write_reflections(tmp_path / "t.refl", table())
    content = (tmp_path / "t.refl").read_bytes()
    for size in (0, 5, 60, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.refl").write_bytes(content[:size])
        with pytest.raises(InputError, match="cut.refl"):
            TableParts.of(tmp_path / "cut.refl")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.refl").write_bytes(b"\x80\x04abc")
    with pytest.raises(InputError, match="pickle"):
        TableParts.of(tmp_path / "t.refl")


@pytest.mark.parametrize("chunk", [7, 64, 1 << 20])
def test_items_of_lists_whatever_their_texts_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(scanning, "_CHUNK", chunk)
    document = {
        "__id__": "ExperimentList",
        "experiment": [{"a": 'quote " and \\', "b": "}]"}, {"c": [1, {"d": "\\\\"}]}, {}],
        "beam": [],
        "history": ["a text {", "\\"],
        "crystal": [{"e": "[{"}],
        "other": {"list": [{"not": "an item"}]},
    }
    path = tmp_path / "a.expt"
    path.write_text(json.dumps(document, indent=1))
    items, content = find_items(path), path.read_bytes()
    for key in ("experiment", "beam", "crystal"):
        assert [json.loads(content[a:b]) for a, b in items[key]] == document[key]
    assert len(items["history"]) == 0


@pytest.mark.parametrize("text", ['{"experiment": [{"a": 1}', '{"a": "b', "7", "{}"])
def test_documents_that_are_cut_off_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.expt").write_text(text)
    with pytest.raises(InputError, match=r"a\.expt"):
        find_items(tmp_path / "a.expt")


def test_parts_of_experiment_lists(tmp_path: Path) -> None:
    one = experiment(detector(), crystal())
    items = [replace(one, identifier=f"number {k}") for k in range(5)]
    assert one.crystal is not None
    other = replace(one.crystal, extra={"text": '"}{'})
    items[3] = replace(items[3], crystal=other)
    write_experiments(tmp_path / "a.expt", Experiments(tuple(items)))
    whole, parts = read_experiments(tmp_path / "a.expt"), ExperimentParts.of(tmp_path / "a.expt")
    assert len(parts) == 5
    assert tuple(parts.part(0, 5)) == tuple(whole)
    first, second = parts.part(0, 2), parts.part(2, 5)
    assert (*first, *second) == tuple(whole)
    assert first[0].detector is second[2].detector, "shared models stay shared from part to part"
    assert parts.pointers(0, 5, ["crystal"])["crystal"].tolist() == [0, 0, 0, 1, 0]


def test_a_part_names_the_place_of_what_is_wrong(tmp_path: Path) -> None:
    write_experiments(tmp_path / "a.expt", Experiments((experiment(detector(), crystal()),)))
    text = (tmp_path / "a.expt").read_text()
    (tmp_path / "a.expt").write_text(text.replace('"real_space_a": [', '"real_space_a": ["x", '))
    with pytest.raises(InputError, match=r"crystal\[0\]\.real_space_a"):
        ExperimentParts.of(tmp_path / "a.expt").part(0, 1)


def test_something_else_is_no_experiment_list(tmp_path: Path) -> None:
    (tmp_path / "a.expt").write_text('{"rows": [{"a": 1}]}')
    with pytest.raises(InputError, match="no list 'experiment'"):
        ExperimentParts.of(tmp_path / "a.expt")

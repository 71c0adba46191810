"""Pairs of files are found wherever they are, and what is in them without reading it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import DataError, InputError, UsageError
from smalti.steps.pools import Pool
from smalti.steps.streaming.gathering import read_group
from smalti.steps.streaming.pairs import find_pairs
from smalti.steps.streaming.refine import survey_all
from smalti.steps.streaming.survey import Survey, survey
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections


def touched(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).touch()
    return [folder / name for name in names]


def test_pairs_of_a_folder_a_list_and_by_name(tmp_path: Path) -> None:
    touched(tmp_path, "b.expt", "b.refl", "a.expt", "a.h5", "truth.expt")
    pairs = find_pairs([tmp_path])
    assert [(p.experiments.name, p.reflections.name) for p in pairs] == [
        ("a.expt", "a.h5"),
        ("b.expt", "b.refl"),
    ]
    (tmp_path / "list.txt").write_text("# two files\nb.expt\n\nb.refl\n")
    assert find_pairs([tmp_path / "list.txt"]) == pairs[1:]
    assert find_pairs([tmp_path / "b.refl", tmp_path, tmp_path / "b.expt"]) == pairs


def test_one_list_and_one_table_belong_together(tmp_path: Path) -> None:
    files = touched(tmp_path, "models.expt", "spots.refl")
    assert find_pairs(files)[0].reflections.name == "spots.refl"


def test_files_without_a_partner_are_named(tmp_path: Path) -> None:
    files = touched(tmp_path, "a.expt", "a.refl", "b.expt")
    with pytest.raises(InputError, match=r"b\.expt"):
        find_pairs(files)
    with pytest.raises(InputError, match="no file or folder"):
        find_pairs([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing to refine"):
        find_pairs([tmp_path / "empty"])


def test_a_survey_finds_every_row(surveys: tuple[Survey, ...]) -> None:
    for item in surveys:
        assert item.n_experiments == 24
        assert item.n_strays == 0
        assert item.bounds[0, 0] == 0
        assert item.bounds[-1, 1] == 24
        np.testing.assert_array_equal(item.bounds[1:, 0], item.bounds[:-1, 1])
        whole = read_reflections(item.pair.reflections)
        assert item.bounds[:, 4].sum() == whole.n_rows
        for group in item.groups():
            experiments, table = read_group(group, None)
            assert len(experiments) == group.stop - group.start
            assert table.n_rows == group.size
            mine = whole.where((whole["id"] >= group.start) & (whole["id"] < group.stop))
            np.testing.assert_array_equal(table["xyzobs.mm.value"], mine["xyzobs.mm.value"])
            np.testing.assert_array_equal(table["id"] + group.start, mine["id"])


def test_chunks_of_the_index_pass_do_not_matter(
    surveys: tuple[Survey, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.steps.streaming.survey._AT_ONCE", 137)
    again = survey(surveys[0].pair)
    np.testing.assert_array_equal(again.bounds, surveys[0].bounds)
    np.testing.assert_array_equal(again.marks, surveys[0].marks)


def test_rows_that_are_not_together_are_refused(surveys: tuple[Survey, ...], tmp_path: Path) -> None:
    pair = surveys[0].pair
    table = read_reflections(pair.reflections)
    rows = np.arange(table.n_rows)
    rows[[5, 500]] = rows[[500, 5]]
    write_reflections(tmp_path / "a.refl", table.take(rows))
    write_experiments(tmp_path / "a.expt", read_experiments(pair.experiments))
    with pytest.raises(DataError, match="not sorted by experiment"):
        survey(find_pairs([tmp_path])[0])


def test_rows_without_an_experiment_are_strays(surveys: tuple[Survey, ...], tmp_path: Path) -> None:
    pair = surveys[0].pair
    table = read_reflections(pair.reflections)
    number = np.array(table["id"])
    number[[0, 100, 300]] = -1
    write_reflections(tmp_path / "a.refl", table.with_columns({"id": number}))
    write_experiments(tmp_path / "a.expt", read_experiments(pair.experiments))
    found = survey(find_pairs([tmp_path])[0])
    assert found.n_strays == 3
    assert found.bounds[:, 4].sum() == table.n_rows - 3
    assert sum(read_group(group)[1].n_rows for group in found.groups()) == table.n_rows - 3


def test_spots_that_are_there_twice_are_refused(
    stills: Path, surveys: tuple[Survey, ...], tmp_path: Path, threads: Pool
) -> None:
    pair = surveys[0].pair
    write_reflections(tmp_path / "copy.h5", read_reflections(pair.reflections))
    models = read_experiments(pair.experiments)
    items = tuple(replace(item, identifier="") for item in models)
    write_experiments(tmp_path / "copy.expt", replace(models, items=items))
    with pytest.raises(DataError, match="24 experiments are there twice"):
        survey_all(find_pairs([stills, tmp_path]), threads)


def test_a_table_of_other_experiments_is_refused(surveys: tuple[Survey, ...], tmp_path: Path) -> None:
    pair = surveys[0].pair
    write_reflections(tmp_path / "a.refl", read_reflections(pair.reflections))
    models = read_experiments(pair.experiments)
    write_experiments(tmp_path / "a.expt", replace(models, items=models.items[:3]))
    with pytest.raises(DataError, match="do not belong together"):
        survey(find_pairs([tmp_path])[0])

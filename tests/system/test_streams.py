"""Streams and ledgers through the command line, as people run them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from smalti.steps.simulating import SimulateOptions, simulate_stills
from smalti.steps.streaming.reducing import reduce_batch
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pairs of files of 12 stills, in two folders."""
    place = tmp_path_factory.mktemp("stream")
    options = SimulateOptions(
        output="indexed", stills=36, files_of=12, spots_per_still=60, layout="PILATUS 300K", distance=120.0,
        shift=(0.05, 0.05, 0.02), seed=3,
    )  # fmt: skip
    simulate_stills(options, place / "all")
    for name, numbers in (("monday", (0, 1)), ("tuesday", (2,))):
        (place / name).mkdir()
        for number in numbers:
            for suffix in ("expt", "refl"):
                file = f"indexed_{number:05d}.{suffix}"
                (place / name / file).symlink_to(place / "all" / file)
    return place


@pytest.fixture(scope="module")
def here(folder: Path, program):
    """Run the program in that folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield program


@pytest.fixture(scope="module")
def refined(here) -> dict:
    """What one refinement of everything gives."""
    return done(here("refine", "all", "--level", "1", "--json", "-o", "joint"))


def done(result) -> dict:
    assert result.status == 0, result.err
    return json.loads(result.out)["result"]


def values(result: dict) -> np.ndarray:
    return np.array([row["shift"] for row in result["parameters"]])


def test_a_folder_is_streamed_into_one_data_set(folder: Path, refined: dict) -> None:
    assert refined["n_files"] == 3
    assert refined["n_crystals"] == 36
    assert refined["verdict"]["trustworthy"]
    assert len(read_experiments(folder / "joint.expt")) == 36
    assert read_reflections(folder / "joint.refl")["id"].max() == 35
    assert not (folder / "joint.work").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.filterwarnings("default::ResourceWarning")
def test_dask_gives_the_same(here, folder: Path, refined: dict) -> None:
    pytest.importorskip("distributed")
    words = ("--executor", "dask", "--jobs", "2", "stream.batch=12", "stream.write=none")
    found = done(here("refine", "all", "--level", "1", *words, "--json", "-o", "dask"))
    np.testing.assert_allclose(values(found), values(refined), atol=1e-9)
    assert not (folder / "dask.expt").exists()


def test_ledgers_add_up(here, folder: Path, refined: dict) -> None:
    """Two days, summed at the solution of the whole, tell what the whole does."""
    done(here("ledger", "add", "joint.ledger.h5", "joint.sums.h5", "--json"))
    for day in ("monday", "tuesday"):
        words = ("--level", "1", "--at", "joint.ledger.h5", "stream.write=none")
        done(here("refine", day, "--stream", *words, "--json", "-o", day))
    done(here("ledger", "add", "days.h5", "monday.sums.h5", "tuesday.sums.h5", "--json"))
    listed = here("ledger", "show", "days.h5")
    assert "monday" in listed.out
    assert "tuesday" in listed.out
    solved = done(here("ledger", "solve", "days.h5", "joint.expt", "-o", "days", "--json"))
    alone = done(here("ledger", "solve", "joint.ledger.h5", "-o", "alone", "--json"))
    esd = np.array([row["esd"] for row in alone["parameters"]])
    assert np.abs((values(solved) - values(alone)) / esd).max() < 0.05
    assert np.abs((values(alone) - values(refined)) / esd).max() < 0.1
    corrected = read_experiments(folder / "days.expt")
    assert len(corrected) == 36
    joint = read_experiments(folder / "joint.expt")
    assert np.abs(corrected[0].detector.stacked() - joint[0].detector.stacked()).max() < 1e-3
    done(here("ledger", "remove", "days.h5", "monday", "--json"))
    merged = done(here("ledger", "merge", "days.h5", "monday.sums.h5", "--json"))
    assert {row["run"] for row in merged["runs"]} == {"monday", "tuesday"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("refine", "nowhere", "--stream"), "no file or folder nowhere"),
        (("refine", "all", "--executor", "thread"), "Did you mean 'threads'"),
        (("refine", "all", "--scheduler", "tcp://a:1"), "which only dask knows"),
        (("refine", "all", "-o", "table.h5"), "writes its reflections as .refl"),
        (("refine", "all", "refine.crystals=one_cell"), "A stream does not know refine.crystals"),
        (("refine", "all", "--at", "joint.expt"), "not a ledger"),
        (("ledger",), "told nothing to do"),
        (("ledger", "sole", "x.h5"), "Did you mean 'solve'"),
        (("ledger", "add", "x.h5"), "takes more words"),
        (("ledger", "show", "joint.refl"), "not a ledger"),
    ],
)
def test_mistakes_are_told_in_words(here, folder: Path, refined: dict, words, said) -> None:
    result = here(*words)
    assert result.status in (1, 2, 3), result.err
    assert said in result.err
    assert "Traceback" not in result.err


def test_the_same_files_by_two_names_are_one(here, refined: dict) -> None:
    words = ("--level", "1", "--json", "stream.write=none")
    again = ("all/indexed_00000.expt", "all/indexed_00000.refl")
    found = done(here("refine", "monday", *again, *words, "-o", "twice"))
    assert found["n_crystals"] == 24


def test_a_table_that_is_not_sorted_is_sorted_by_joining_it(here, folder: Path) -> None:
    table = read_reflections(folder / "all" / "indexed_00000.refl")
    write_reflections(folder / "mixed.refl", table.take(np.random.default_rng(1).permutation(table.n_rows)))
    write_experiments(folder / "mixed.expt", read_experiments(folder / "all" / "indexed_00000.expt"))
    refused = here("refine", "mixed.expt", "mixed.refl", "--stream")
    assert refused.status == 1
    assert "smalti combine" in refused.err
    assert here("combine", "mixed.expt", "mixed.refl", "-o", "sorted").status == 0
    words = ("--stream", "stream.write=none", "--json", "-o", "again")
    assert done(here("refine", "sorted.expt", "sorted.refl", *words))["n_crystals"] == 12


def test_an_interrupted_run_goes_on(here, refined: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of its last pass; what is done again gives the same to the last bit."""
    monkeypatch.setattr("smalti.steps.streaming.journal._INTERVAL", 0.0)
    words = ("refine", "all", "--level", "1", "--json", "stream.batch=4", "stream.write=none", "-o", "broken")
    whole = done(here(*words))
    seen = []

    def tiring(order, batch):
        seen.append(batch)
        if len(seen) == 25:
            raise KeyboardInterrupt
        return reduce_batch(order, batch)

    def counting(order, batch):
        seen.append(batch)
        return reduce_batch(order, batch)

    with monkeypatch.context() as patch:
        patch.setattr("smalti.steps.streaming.passing.reduce_batch", tiring)
        assert here(*words).status == 130
    assert Path("broken.work").is_dir()
    seen.clear()
    with monkeypatch.context() as patch:
        patch.setattr("smalti.steps.streaming.passing.reduce_batch", counting)
        again = done(here(*words, "--resume"))
    assert values(again).tolist() == values(whole).tolist()
    assert again["steps"] == whole["steps"]
    n_passes = len(whole["steps"])
    assert 0 < len(seen) < 9 * n_passes - 20

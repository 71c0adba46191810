"""Work divided, interrupted, sent to processes and waited for: the same table always."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.errors import InputError, UsageError
from smalti.models import Experiments
from smalti.steps.finding import (
    Chunk,
    Execution,
    FindOptions,
    Found,
    Keeper,
    digest_of,
    find_chunk,
    find_spots,
    merged,
    n_frames,
    runs_of,
    waiting,
    write_frames,
)
from smalti.steps.importing import ImportOptions, import_images
from smalti.steps.pools import open_pool
from smalti.steps.simulating import SimulateOptions, simulate
from smalti.tables import Reflections
from smalti_plugins.formats.pilatus import PilatusCbf
from smalti_plugins.spots.dispersion_extended import DispersionExtended

from .frames_on_disk import ArrayReader, spotty, stills, sweep

READERS = (ArrayReader(),)
FINDER = DispersionExtended()
OPTIONS = FindOptions(jobs=2)


@pytest.fixture
def experiments(rng: np.random.Generator, tmp_path: Path) -> Experiments:
    """Two sweeps and two stills, with spots that lie across every border of chunks."""
    spots = np.column_stack([rng.uniform(8, 50, 60), rng.uniform(8, 80, 60), rng.uniform(1, 13, 60)])
    long, short = spotty(rng, 14, spots), spotty(rng, 5, spots[spots[:, 2] < 4])
    more = stills(tmp_path / "c", spotty(rng, 2, spots[spots[:, 2] < 2]))
    return Experiments((sweep(tmp_path / "a", long), sweep(tmp_path / "b", short), *more))


def find(experiments: Experiments, execution: Execution | None = None, **more: Any) -> Found:
    return find_spots(experiments, READERS, FINDER, OPTIONS, execution=execution, **more)


def assert_same(a: Reflections, b: Reflections) -> None:
    assert a.n_rows > 10 and list(a) == list(b)
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def in_parts(experiments: Experiments, count: int, folder: Path) -> list[Path]:
    """Search in parts, each kept in a file."""
    digest, paths = digest_of(experiments, FINDER, OPTIONS), []
    for k in range(1, count + 1):
        outcomes, planned = find_chunk(Chunk(k, count), runs_of(experiments), READERS, FINDER, OPTIONS)
        paths.append(folder / f"part{k}.frames")
        write_frames(paths[-1], outcomes, digest, planned)
    return paths


@pytest.mark.parametrize("count", [1, 3, 7, 21])
def test_parts_put_together_are_the_whole(experiments: Experiments, tmp_path: Path, count: int) -> None:
    paths = in_parts(experiments, count, tmp_path)
    finished = merged(paths[::-1], digest_of(experiments, FINDER, OPTIONS))
    put_together, whole = find(experiments, Execution(finished=finished)), find(experiments)
    assert_same(put_together.reflections, whole.reflections)
    assert put_together.summary() == whole.summary()


def test_missing_double_and_strange_parts_are_refused(experiments: Experiments, tmp_path: Path) -> None:
    paths = in_parts(experiments, 3, tmp_path)
    digest = digest_of(experiments, FINDER, OPTIONS)
    with pytest.raises(InputError, match="7 frames of 21 missing"):
        merged(paths[:2], digest)
    with pytest.raises(InputError, match="hold the same frames"):
        merged([*paths, paths[0]], digest)
    with pytest.raises(InputError, match="belongs to another search"):
        merged(paths, digest_of(experiments, DispersionExtended(sigma_strong=4.0), OPTIONS))
    whole = paths[1].read_bytes()
    for damaged in (whole[:200], whole[: len(whole) // 2], b"", b"PK nonsense"):
        paths[1].write_bytes(damaged)
        with pytest.raises(InputError, match="cannot be read as frames"):
            merged(paths, digest)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1.5/3"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="which part"):
        Chunk.parse(text)


def test_parts_are_equal_and_leave_nothing_out() -> None:
    places = [(0, z) for z in range(10)]
    parts = [Chunk.parse(f"{k}/4").of(places) for k in range(1, 5)]
    assert sorted(len(part) for part in parts) == [2, 2, 3, 3]
    assert sorted(place for part in parts for place in part) == places


@dataclass(frozen=True)
class CountingFinder:
    """Counts the frames that it searches, and breaks the work off at one of them."""

    stop_at: int = 10**9
    searched: ClassVar[list[int]] = []
    name: ClassVar[str] = "counting"

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        self.searched.append(1)
        if len(self.searched) >= self.stop_at:
            raise KeyboardInterrupt
        return DispersionExtended().find(counts, mask)

    def __repr__(self) -> str:
        return "CountingFinder()"


def test_an_interrupted_search_goes_on(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smalti.steps.finding.keeping._BLOCK", 3)
    folder, options = tmp_path / "work", FindOptions(jobs=1)
    planned = sum(n_frames(run) for run in runs_of(experiments))
    digest = digest_of(experiments, CountingFinder(), options)

    def search(finder: CountingFinder, resume: bool) -> Found:
        finder.searched.clear()
        keeper = Keeper(folder, digest, planned)
        keeper.begin(resume=resume)
        found = find_spots(experiments, READERS, finder, options, execution=Execution(keeper=keeper))
        keeper.forget()
        return found

    with pytest.raises(KeyboardInterrupt):
        search(CountingFinder(stop_at=12), resume=False)
    assert sorted(path.suffix for path in folder.iterdir()) == [".frames"] * 4
    resumed = search(CountingFinder(), resume=True)
    assert len(CountingFinder.searched) == planned - 11
    assert not folder.exists()
    assert_same(resumed.reflections, find(experiments).reflections)


def test_work_of_another_search_is_not_gone_on_with(experiments: Experiments, tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "work", "one", 21)
    keeper.begin(resume=False)
    find(experiments, Execution(keeper=keeper))
    with pytest.raises(InputError, match="another search"):
        Keeper(tmp_path / "work", "two", 21).begin(resume=True)
    assert Keeper(tmp_path / "work", "two", 21).begin(resume=False) == 0


@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_other_processes_give_the_same(tmp_path: Path, kind: str) -> None:
    if kind == "dask":
        pytest.importorskip("distributed", reason="Dask is not installed: pip install 'smalti[dask]'")
    options = SimulateOptions(layout="PILATUS 100K", n_images=20, distance=80.0, counts=1000.0, beam_stop=0.0)
    simulate(options, tmp_path)
    readers = [PilatusCbf()]
    experiments = import_images([tmp_path / "simulated_#####.cbf"], readers, ImportOptions()).experiments
    here = find_spots(experiments, readers, FINDER, OPTIONS)
    with open_pool(kind, 2) as pool:
        there = find_spots(experiments, readers, FINDER, OPTIONS, execution=Execution(pool))
    assert_same(here.reflections, there.reflections)


@pytest.mark.parametrize("there", [0, 4])
def test_images_that_come_later_are_waited_for(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: int
) -> None:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    whole = find(Experiments(experiments[:1]))
    files = sorted((tmp_path / "a").iterdir())
    aside = tmp_path / "aside"
    aside.mkdir()
    for path in files[there:]:
        path.rename(aside / path.name)

    def deliver() -> None:
        for path in files[there:]:
            time.sleep(0.02)
            content = (aside / path.name).read_bytes()
            path.write_bytes(content[: len(content) // 2])  # half of it is there for a while
            time.sleep(0.02)
            shutil.copy(aside / path.name, path)

    writer = threading.Thread(target=deliver)
    writer.start()
    found = find(Experiments(experiments[:1]), Execution(patience=20.0))
    writer.join()
    assert_same(found.reflections, whole.reflections)
    assert not found.warnings


def test_a_run_that_ends_early_is_searched_as_far_as_it_goes(
    experiments: Experiments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    for path in sorted((tmp_path / "a").iterdir())[9:]:
        path.unlink()
    found = find(Experiments(experiments[:1]), Execution(patience=0.1))
    assert "ended early" in found.warnings[0] and "has not come" in found.warnings[0]
    assert found.reflections["bbox"][:, 5].max() == 9


def test_images_in_one_file_are_not_followed_by_readers_that_cannot(
    experiments: Experiments, tmp_path: Path
) -> None:
    item = experiments[0]
    assert item.imageset is not None
    # The whole is one file, of which all images are said to be; it has one.
    first = tmp_path / "all.npy"
    shutil.copy(item.imageset.path(1), first)
    inside = replace(item, imageset=replace(item.imageset, template=str(first), indices=tuple(range(14))))
    with pytest.raises(InputError, match="cannot be followed"):
        find(Experiments((inside,)), Execution(patience=1.0))

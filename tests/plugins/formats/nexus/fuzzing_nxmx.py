"""Mutations of NeXus files in processes that may die; at the top of the checkout, for a million of them:

python -m tests.plugins.formats.nexus.fuzzing_nxmx 1000000 [seed]

Of a hundred mutations 98 are of a compressed chunk, one changes bytes anywhere in a file, one rebuilds it:
objects removed, replaced, linked in circles, datasets of impossible shapes, attributes of other types.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_longlong
from dataclasses import dataclass, field
from functools import lru_cache
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import h5py
import numpy as np

from smalti.errors import InputError
from smalti_plugins.formats.nexus._filters import Pipeline, pipeline
from smalti_plugins.formats.nexus._frames import _dataset
from smalti_plugins.formats.nexus._master import is_master, read_master
from smalti_plugins.formats.nexus._probe import survives
from smalti_plugins.formats.nexus.reader import Nxmx

from .nxmx_files import written
from .nxmx_mutations import mutated, rebuilt
from .old_masters import old_master

PATIENCE = 20
"""Seconds of a processor for one mutation: longer is a hang."""


@dataclass
class Bench:
    """The files that are mutated, and a place to write to."""

    folder: Path
    every: int
    sources: list[tuple[Path, Path]] = field(default_factory=list)
    chunks: list[tuple[Pipeline, int, bytes, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for k, layout in enumerate(("single", "external", "virtual", "old")):
            home = self.folder / str(k)
            home.mkdir()
            master = old_master(home) if layout == "old" else written(home, layout)  # type: ignore[arg-type]
            self.sources += [(master, path) for path in sorted(home.iterdir())]
        for compression in ("bslz4", "lz4", "none"):
            for bits in (16, 32):
                home = self.folder / f"{compression}{bits}"
                home.mkdir()
                with h5py.File(written(home, compression=compression, bits=bits)) as file:
                    item = file["entry/data/data"]
                    mask, raw = item.id.read_direct_chunk((0, 0, 0))
                    found = pipeline(item)
                    assert found is not None
                    self.chunks.append((found, mask, raw, item.dtype.str))

    def one(self, k: int, seed: int) -> str:
        """Make mutation k and read what came of it; says how it ended."""
        rng = np.random.default_rng([seed, k])
        if k % self.every > 1:
            return self._chunk(rng)
        with self._file(k, rng) as (master, how):
            return f"{how} {read(master)}"

    def sees(self, k: int, seed: int) -> str:
        """Tell whether the look from another process notices a mutation that kills."""
        with self._file(k, np.random.default_rng([seed, k])) as (master, how):
            return f"{how} kills HDF5, {'NOT SEEN' if survives(master) else 'seen before'}"

    @contextmanager
    def _file(self, k: int, rng: np.random.Generator) -> Iterator[tuple[Path, str]]:
        """Mutate a file for a while; gives the master and how."""
        master, path = self.sources[int(rng.integers(len(self.sources)))]
        whole = _bytes_of(path)
        try:
            if k % self.every == 1:
                _put(path, mutated(whole, rng))
                yield master, "bytes"
            else:
                with h5py.File(path, "r+") as file:
                    rebuilt(file, rng)
                yield master, "rebuilt"
        finally:
            _put(path, whole)

    def _chunk(self, rng: np.random.Generator) -> str:
        filters, mask, raw, kind = self.chunks[int(rng.integers(len(self.chunks)))]
        room = np.full(44 * 60 + 16, 77, dtype=kind)
        out = room[8:-8].reshape(44, 60)
        sound = filters.undo(mutated(raw, rng), mask, out)
        assert (room[:8] == 77).all() and (room[-8:] == 77).all()
        return "chunk decoded" if sound else "chunk refused"


def _put(path: Path, content: bytes) -> None:
    """Write a new file in place of one: what has the old one open keeps it, and is forgotten."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)
    read_master.cache_clear()
    _dataset.cache_clear()


@lru_cache(maxsize=64)
def _bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def read(master: Path) -> str:
    """Match, then read mask, headers and frames of a file; anything but a clear error is raised."""
    reader = Nxmx()
    if not is_master(master):
        return "passed over"
    series = reader.open([master])
    try:
        for index in range(min(len(series), 3)):
            header = series.header(index)
        series.mask()
    except InputError as error:
        assert "example_" in str(error), error
        return "refused"
    end = "read"
    for index in range(min(len(series), 3)):
        try:
            counts = series.read(index)
        except InputError as error:
            assert "example_" in str(error), error
            end = "read in part"
            continue
        assert counts.dtype == np.int32 and counts.shape == header.size[::-1], (counts.shape, header.size)
    return end


def work(
    first: int,
    last: int,
    seed: int,
    every: int,
    folder: Path,
    at: Synchronized[int],
    ends: multiprocessing.Queue[Counter[str]],
) -> None:
    """Try mutations one after the other; ``at`` tells which is under way."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    with tempfile.TemporaryDirectory(dir=folder) as place:
        bench = Bench(Path(place), every)
        counted: Counter[str] = Counter()
        for k in range(first, last):
            at.value = k
            # Of its own time: on a busy machine a process may be kept waiting for longer.
            signal.setitimer(signal.ITIMER_PROF, PATIENCE)
            signal.alarm(20 * PATIENCE)
            try:
                counted[bench.one(k, seed)] += 1
            except Exception as error:
                counted[f"{k} {type(error).__name__}: {str(error)[:300]}"] += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        ends.put(counted)


def run(n: int, seed: int, folder: Path, every: int = 100, step: int = 5_000) -> Counter[str]:
    """Try n mutations in processes of their own; those that kill or hang theirs are counted."""
    context = multiprocessing.get_context("fork")
    total: Counter[str] = Counter()
    first = 0
    while first < n:
        at, ends = context.Value(c_longlong, first), context.Queue()
        last = min(first + step, n)
        process = context.Process(target=work, args=(first, last, seed, every, folder, at, ends))
        process.start()
        while process.is_alive():
            process.join(0.05)
            if not ends.empty():
                break
        if not ends.empty():
            total += ends.get()
            process.join()
            first = last
        else:
            process.join()
            end = signal.Signals(-(process.exitcode or 0)).name
            with tempfile.TemporaryDirectory(dir=folder) as place:
                total[f"{Bench(Path(place), every).sees(at.value, seed)} ({end})"] += 1
            first = at.value + 1
        print(first, dict(total), flush=True) if os.environ.get("FUZZ_TELL") else None
    return total


if __name__ == "__main__":
    number, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as place:
        for end, count in sorted(run(number, start, Path(place)).items()):
            print(count, end)

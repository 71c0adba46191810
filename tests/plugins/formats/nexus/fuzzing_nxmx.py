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
from .old_masters import old_master

PATIENCE = 20
"""Seconds of a processor for one mutation: longer is a hang."""

_VALUES: tuple[object, ...] = (
    "", "red", "nan", 0, -1, 1e300, float("nan"), float("inf"), 2**63 - 1, [], [1.0], [1.0, 2.0, 3.0],
    [[1, 2], [3, 4]], True, np.zeros(3, [("a", int), ("b", "S4")]), np.bytes_(b"\xff\xfe"), "..", "/", ".",
    "/entry", [b"a", b"b"], np.zeros((0, 4)), np.full((3, 3), np.nan), 1j, h5py.Empty("f8"),
)  # fmt: skip
_SHAPES = (
    (2**40,),
    (2**62,),
    (10**6, 60000, 60000),
    (2**31, 2**31, 2),
    (0, 0, 0),
    (5, 44, 61),
    (44,),
    (1,) * 8,
)
_NAMES = (
    "pixel_mask", "depends_on", "vector", "offset", "units", "data", "data_000001", "transformation_type",
    "NX_class", "bit_depth_image", "module_offset", "data_size", "data_origin", "incident_wavelength",
    "detectorSpecific", "omega_end", "omega_increment_set", "two_theta", "saturation_value",
)  # fmt: skip


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Change bytes here and there, most of them where HDF5 keeps its own; sometimes cut the end off."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 6))):
        at = int(rng.integers(0, len(out)))
        kind = int(rng.integers(0, 4))
        if kind == 0:
            out[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            out[at : at + 8] = rng.bytes(8)[: len(out) - at]
        elif kind == 2:
            at -= at % 8
            out[at : at + 8] = rng.choice([0, 1, 2**16, 2**31, 2**63 - 1], 1).astype("<i8").tobytes()
        else:
            at -= at % 8
            other = int(rng.integers(0, len(out) - 8)) // 8 * 8
            out[at : at + 8] = out[other : other + 8]
    del out[len(data) :]
    if rng.random() < 0.05:
        del out[int(rng.integers(0, len(out))) :]
    return bytes(out)


def rebuilt(file: h5py.File, rng: np.random.Generator) -> None:
    """Change a few objects or attributes of a file to what they should not be."""
    for _ in range(int(rng.integers(1, 4))):
        names: list[str] = []
        file.visit(names.append)
        if not names:
            return
        name = names[int(rng.integers(len(names)))]
        item = file.get(name)
        if item is None:
            continue
        home, leaf = item.parent, name.rsplit("/", 1)[-1]
        word = _NAMES[int(rng.integers(len(_NAMES)))]
        value = _VALUES[int(rng.integers(len(_VALUES)))]
        other = "/" + names[int(rng.integers(len(names)))]
        kind = int(rng.integers(0, 9))
        if kind == 0:
            del home[leaf]
        elif kind == 1:
            del home[leaf]
            home[leaf] = value
        elif kind == 2 and len(item.attrs):
            del item.attrs[list(item.attrs)[int(rng.integers(len(item.attrs)))]]
        elif kind == 3:
            keys = [word, *item.attrs]
            item.attrs[keys[int(rng.integers(len(keys)))]] = value
        elif kind == 4:
            del home[leaf]
            _vast(home, leaf, rng)
        elif kind == 5:
            del home[leaf]
            home[leaf] = h5py.SoftLink(other)
        elif kind == 6:
            del home[leaf]
            home[leaf] = h5py.ExternalLink(
                rng.choice(["fuzz_master.h5", "nowhere.h5", "example_master.h5", "."]), other
            )
        elif kind == 7 and word not in home:
            home[word] = item if rng.random() < 0.5 else h5py.SoftLink(other)
        elif kind == 8 and word not in home:
            home[word] = value


def _vast(home: h5py.Group, name: str, rng: np.random.Generator) -> None:
    """A dataset of a shape that nobody can hold, or one that is put together of itself."""
    shape = _SHAPES[int(rng.integers(len(_SHAPES)))]
    if rng.random() < 0.3 and len(shape) == 3:
        layout = h5py.VirtualLayout((4, 44, 60), "u4")
        layout[0:4] = h5py.VirtualSource(".", f"{home.name}/{name}", (4, 44, 60), "u4")
        home.create_virtual_dataset(name, layout)
        return
    kind = rng.choice(["u1", "u4", "f8", "S5"])
    home.create_dataset(name, shape, kind, chunks=tuple(min(n, 64) for n in shape) if min(shape) else None)


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

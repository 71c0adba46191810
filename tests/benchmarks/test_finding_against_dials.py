"""Seconds of a processor that a 6 Mpx image takes from file to spots, beside DIALS and fabio, in one run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.steps.simulating import SimulateOptions, simulate
from smalti_ext.byte_offset import decode
from smalti_plugins.formats._cbf import read_cbf_head
from smalti_plugins.formats.pilatus import PilatusCbf

from .jobs import Usage, run

FEW, MANY = 4, 24
SWEEP, PART = 1029, 29
SMALTI = str(Path(sys.executable).with_name("smalti"))
# Linear algebra would start threads of its own and burn processors.
os.environ["OPENBLAS_NUM_THREADS"] = "1"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thaumatin on a PILATUS 6M, 0.35 degrees an image, half a count of background."""
    folder = tmp_path_factory.mktemp("images")
    simulate(SimulateOptions(n_images=MANY, width=0.35, prefix="a"), folder)
    return folder


def fastest(function: Callable[[], Any], rounds: int = 30) -> float:
    """Least seconds of this thread, of several rounds."""
    times = []
    for _ in range(rounds):
        began = time.thread_time()
        function()
        times.append(time.thread_time() - began)
    return min(times)


def test_decoding_beside_fabio(benchmark: Any, images: Path) -> None:
    import fabio

    path = images / "a_00001.cbf"
    head = read_cbf_head(path)
    payload = memoryview(path.read_bytes())[head.payload :]
    out = np.empty((head.size[1], head.size[0]), dtype=np.int32)
    benchmark(decode, payload, out)
    np.testing.assert_array_equal(out, fabio.open(str(path)).data)
    series = PilatusCbf().open([path])
    info = {
        "decode": fastest(lambda: decode(payload, out)),
        "read": fastest(lambda: series.read(0)),
        "fabio.open": fastest(lambda: fabio.open(str(path)).data, 10),
    }
    benchmark.extra_info.update({name: f"{1e3 * value:.2f} ms" for name, value in info.items()})
    assert info["fabio.open"] > 4.0 * info["read"]


def peak(words: list[str], folder: Path) -> float:
    """Most memory of a program, MB: run by a small one, since a child begins with the peak of its parent."""
    small = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=2); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    return float(run([sys.executable, "-c", small, *words], folder).out) * 1024 / 1e6


def per_image(command: Callable[[int], Usage]) -> float:
    """Seconds of a processor for each further image, least of three pairs of runs."""
    pairs = [(command(FEW), command(MANY)) for _ in range(3)]
    return min((many.cpu - few.cpu) / (MANY - FEW) for few, many in pairs)


@pytest.mark.dials
def test_whole_path_beside_dials(benchmark: Any, images: Path, dials: str, tmp_path: Path) -> None:
    for n in (FEW, MANY):
        names = [str(images / f"a_{k:05d}.cbf") for k in range(1, n + 1)]
        run([SMALTI, "import", *names, "-o", f"ours_{n}", "-q"], tmp_path)
        run(["dials.import", *names, f"output.experiments=theirs_{n}.expt"], tmp_path)

    def words(n: int, jobs: int = 1) -> list[str]:
        return [SMALTI, "find-spots", f"ours_{n}.expt", "--jobs", str(jobs), "-o", f"strong_{n}", "-q"]

    def ours(n: int) -> Usage:
        return run(words(n), tmp_path)

    def theirs(n: int) -> Usage:
        their = ["dials.find_spots", f"theirs_{n}.expt", "nproc=1", "output.shoeboxes=False"]
        return run([*their, f"output.reflections=theirs_{n}.refl"], tmp_path)

    benchmark.pedantic(ours, args=(MANY,), rounds=1)
    mine = per_image(ours)
    few, many = theirs(FEW), theirs(MANY)
    yours = (many.cpu - few.cpu) / (MANY - FEW)
    benchmark.extra_info.update(
        {
            "smalti, ms of a processor per image": round(1e3 * mine, 1),
            "dials.find_spots": round(1e3 * yours, 1),
            "ratio": round(yours / mine, 1),
        }
    )
    assert yours > 25.0 * mine
    if quiet():
        assert mine < 0.012


@pytest.fixture(scope="module")
def imported(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models of some images and of all, few.expt and many.expt."""
    folder = tmp_path_factory.mktemp("imported")
    for n, name in ((FEW, "few"), (MANY, "many")):
        names = [str(images / f"a_{k:05d}.cbf") for k in range(1, n + 1)]
        run([SMALTI, "import", *names, "-o", name, "-q"], folder)
    return folder


def find(experiments: str, jobs: int) -> list[str]:
    return [SMALTI, "find-spots", experiments, "--jobs", str(jobs), "-o", "strong", "-q"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_memory_stays_below_300_mb(benchmark: Any, imported: Path, jobs: int) -> None:
    few, many = (peak(find(f"{name}.expt", jobs), imported) for name in ("few", "many"))
    benchmark.pedantic(lambda: None)
    benchmark.extra_info.update({f"MB for {FEW} and {MANY} images": [round(few), round(many)]})
    assert many < 300.0


def quiet() -> bool:
    """Whether nobody else keeps this machine busy, so that clocks tell something."""
    return os.getloadavg()[0] < 1.3 and len(os.sched_getaffinity(0)) >= 2


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many images as the tutorial's sweep has: all.expt, and the first of them, part.expt."""
    folder = tmp_path_factory.mktemp("sweep")
    simulate(SimulateOptions(n_images=SWEEP, width=0.35, prefix="a"), folder)
    run([SMALTI, "import", str(folder / "a_#####.cbf"), "-o", "all", "-q"], folder)
    names = [str(folder / f"a_{k:05d}.cbf") for k in range(1, PART + 1)]
    run([SMALTI, "import", *names, "-o", "part", "-q"], folder)
    return folder


def test_a_full_sweep(benchmark: Any, sweep: Path) -> None:
    """From the page cache: seconds of processors, memory."""
    memory = peak(find("all.expt", 2), sweep)
    used = benchmark.pedantic(lambda: run(find("all.expt", 2), sweep), rounds=1)
    table = (sweep / "strong.refl").stat().st_size / 1e6
    benchmark.extra_info.update(
        {
            "seconds of processors": used.cpu,
            "seconds on the clock": used.wall,
            "MB": round(memory),
            "MB of the table": round(table),
        }
    )
    # Images take no more the more there are; all spots are held until the end.
    assert memory < 300.0 + 3.0 * table
    assert used.cpu < 2 * 15.0


def test_two_threads_are_almost_twice_as_fast(benchmark: Any, sweep: Path) -> None:
    """Seconds of the clock for each further image of a long sweep."""
    if not quiet():
        pytest.skip("the clock tells nothing unless two processors are free")
    walls = []
    for jobs in (1, 2):
        pairs = [[run(find(f"{name}.expt", jobs), sweep).wall for name in ("part", "all")] for _ in range(2)]
        part, whole = np.min(pairs, axis=0)
        walls.append((whole - part) / (SWEEP - PART))
    benchmark.pedantic(lambda: None)
    benchmark.extra_info["ms of the clock per image, 1 and 2 threads"] = [1e3 * wall for wall in walls]
    assert walls[0] > 1.8 * walls[1]

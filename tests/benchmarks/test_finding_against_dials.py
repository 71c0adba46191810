"""Seconds of a processor that a 6 Mpx image takes from file to spots, beside DIALS and fabio, in one run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from smalti.steps.simulating import SimulateOptions, simulate
from smalti_ext.byte_offset import decode
from smalti_plugins.formats._cbf import read_cbf_head
from smalti_plugins.formats.pilatus import PilatusCbf

from .jobs import Usage, run

FEW, MANY = 4, 24
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
    import numpy as np

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
    memory = [peak(words(MANY, jobs), tmp_path) for jobs in (1, 2)]
    few, many = theirs(FEW), theirs(MANY)
    yours = (many.cpu - few.cpu) / (MANY - FEW)
    benchmark.extra_info.update(
        {
            "smalti, ms of a processor per image": round(1e3 * mine, 1),
            "dials.find_spots": round(1e3 * yours, 1),
            "ratio": round(yours / mine, 1),
            "MB with one and two threads": [round(value) for value in memory],
        }
    )
    assert yours > 10.0 * mine
    assert memory[0] < 300.0
    assert memory[1] < 340.0

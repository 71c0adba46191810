"""The jobs of the refinement benchmarks: file pairs made once, and programs run on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from smalti.models import Experiments, ModuleLayout
from smalti.steps.simulating.instrument import flat_detector
from smalti.storage import write_experiments, write_reflections
from smalti.tables import Reflections
from smalti.testing import synthetic

SIXTY = synthetic.layout("PILATUS 6M")
MANY = ModuleLayout("240 panels", (240, 97), (7, 8), (10, 24), 0.172)
"""About the frame of a PILATUS 6M in four times as many panels."""


def problem(n: int, modules: ModuleLayout = SIXTY, outliers: float = 0.03) -> tuple[Experiments, Reflections]:
    """Make the tutorial's job: thaumatin, 400 mm, every panel off by 60 um in plane, 40 um along the normal
    and 0.5 mrad about each axis; with the columns that spot finding and indexing leave.
    """
    rng = np.random.default_rng(1)
    detector = flat_detector(modules, 400.0)
    nominal = synthetic.experiment(detector, synthetic.crystal())
    truth = synthetic.displaced(detector, rng, (0.06, 0.06, 0.04), (0.5e-3, 0.5e-3, 0.5e-3))
    experiments, table = synthetic.observations(
        replace(nominal, detector=truth), nominal, rng, d_min=1.3 if n > 190_000 else 1.75, n=n,
        outliers=outliers,
    )  # fmt: skip
    assert table.n_rows == n
    corner = np.floor(table["xyzobs.px.value"]).astype(np.int32)
    half = np.array([2, 2, 1], dtype=np.int32)
    bbox = np.stack([corner - half, corner + half + 1], axis=2).reshape(n, 6)
    intensity = table["intensity.sum.value"]
    extra = {
        "bbox": bbox.astype(np.int32),
        "imageset_id": np.zeros(n, dtype=np.int32),
        "intensity.sum.variance": intensity,
        "n_signal": np.full(n, 20, dtype=np.int32),
        "rlp": table["s1"],
    }
    return experiments, table.with_columns(extra)


def write_pair(folder: Path, experiments: Experiments, table: Reflections) -> Path:
    """Write start.expt and start.refl; give the folder."""
    write_experiments(folder / "start.expt", experiments)
    write_reflections(folder / "start.refl", table)
    return folder


@dataclass(frozen=True)
class Usage:
    """What a program took: seconds on the clock, of processors, MB."""

    wall: float
    cpu: float
    memory: float
    out: str


def run(words: list[str], folder: Path) -> Usage:
    """Run a program to its end."""
    began = time.perf_counter()
    with subprocess.Popen(
        words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as job:
        assert job.stdout is not None
        out = job.stdout.read()
        _, status, usage = os.wait4(job.pid, 0)
        job.returncode = os.waitstatus_to_exitcode(status)
    assert job.returncode == 0, out[-2000:]
    wall = time.perf_counter() - began
    return Usage(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6, out)


def refine_command(folder: Path, *words: str) -> tuple[Usage, dict]:
    """Run ``smalti refine`` on start.expt and start.refl; give what it took and its JSON."""
    program = str(Path(sys.executable).with_name("smalti"))
    used = run(
        [program, "refine", "start.expt", "start.refl", "-o", "refined", "-q", "--json", *words], folder
    )
    return used, json.loads(used.out)

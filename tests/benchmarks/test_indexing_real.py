"""Indexing of real data as a user runs it, beside ``dials.index`` on the same spots; and what it costs.

    pytest --benchmark-only -s tests/benchmarks/test_indexing_real.py

Seconds are those of processors, of the whole commands; they hold on a machine that does little else.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.indexing import index
from smalti.steps.indexing.centre import plane_axes
from smalti.steps.indexing.mapping import with_pixels
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Reflections

from . import jobs
from .thaumatin_twins import COMPONENTS

SMALTI = [sys.executable, "-c", "from smalti.cli import main; main()"]
COMPILED = [
    "env", "-u", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX=bytecode", "OPENBLAS_NUM_THREADS=1",
]  # fmt: skip
"""As an installed program runs, whose modules are compiled once: by the first run."""

KEPT = (
    "bbox",
    "panel",
    "xyzobs.px.value",
    "xyzobs.px.variance",
    "intensity.sum.value",
    "intensity.sum.variance",
)

IMAGES = {
    "l_cysteine 01": ("l_cysteine/l-cyst_01_*.cbf.gz", (), 0.0),
    "l_cysteine 02": ("l_cysteine/l-cyst_02_*.cbf.gz", (), 0.0),
    "l_cysteine both": ("l_cysteine/*.cbf.gz", (), 0.0),
    "snase": ("snase/*.img.gz", ("--width", "1"), 0.0015),
}
"""Images, what import has to be told, and what fraction fewer than DIALS may be indexed."""

TIMES = {10_000: 3.0, 190_000: 10.0}
"""Spots, and seconds of one processor that the whole command may take."""


def pushed(experiments, radius, degrees):
    """Move the detector across the beam; also by how much, px."""
    item = experiments[0]
    fast, slow = plane_axes(item.detector, item.beam)
    push = radius * np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])
    step = item.detector.panels[0].pixel_size[0] * (push[0] * fast + push[1] * slow)
    return Experiments((replace(item, detector=item.detector.moved({(): (np.eye(3), step)})),)), push


@pytest.mark.data
def test_weak_thaumatin_pushed(benchmark, data):
    """The same cell and the same place of the beam, however far the header is off."""
    folder = data / "tables" / "i04_weak"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    bare = Experiments(tuple(replace(item, crystal=None) for item in experiments))
    zero = np.zeros(table.n_rows, dtype=np.intp)
    table = with_pixels(list(bare), table, zero)
    spots = Reflections({key: table[key] for key in KEPT if key in table})
    spots = spots.with_columns({"id": zero.astype(np.int32), "imageset_id": zero.astype(np.int32)})
    cases = [(0, 0), *((r, a) for r in (6, 12, 20, 30, 36) for a in (0, 90, 180, 270, 33, 213))]

    def all_cases():
        for radius, degrees in cases:
            moved, push = pushed(bare, radius, degrees)
            yield index(moved, spots, *COMPONENTS), push

    for result, push in benchmark.pedantic(lambda: list(all_cases())):
        assert sorted(result.crystal.cell[:3]) == pytest.approx([57.77, 57.80, 150.03], rel=1e-3)
        assert result.shifts[0].pixels + push == pytest.approx([0.11, 0.09], abs=0.2)
        assert sum(result.indexed) == sum(result.total)


@pytest.mark.data
@pytest.mark.dials
@pytest.mark.parametrize("name", IMAGES)
def test_as_many_spots_as_dials(benchmark, data, dials, tmp_path, name):
    pattern, told, fewer = IMAGES[name]
    files = [str(path) for path in sorted(data.glob(pattern))]
    jobs.run([*SMALTI, "import", *files, *told, "-q"], tmp_path)
    jobs.run([*SMALTI, "find-spots", "imported.expt", "-q"], tmp_path)
    words = [*SMALTI, "index", "imported.expt", "strong.refl", "--json"]
    ours = benchmark.pedantic(lambda: jobs.run(words, tmp_path))
    result = json.loads(ours.out[ours.out.index("{") :])["result"]
    theirs = jobs.run([str(Path(dials, "dials.index")), "imported.expt", "strong.refl"], tmp_path)
    # nothing is written by a command that ended in a traceback
    indexed = tmp_path / "indexed.refl"
    found = int((read_reflections(indexed)["id"] >= 0).sum()) if "Saving refined" in theirs.out else 0
    n = sum(result["spots"])
    print(f"\n{name}: {n} spots, smalti {sum(result['indexed'])} {result['cell']}, DIALS {found}")
    assert sum(result["indexed"]) / n >= found / n - fewer


@pytest.mark.parametrize("n", TIMES)
def test_seconds_of_one_processor(benchmark, tmp_path, n):
    experiments, table = jobs.problem(n)
    bare = Experiments(tuple(replace(item, crystal=None) for item in experiments))
    zero = np.zeros(table.n_rows, dtype=np.int32)
    spots = Reflections({key: table[key] for key in KEPT} | {"id": zero - 1, "imageset_id": zero})
    write_experiments(tmp_path / "imported.expt", bare)
    write_reflections(tmp_path / "strong.refl", spots)
    words = [*COMPILED, *SMALTI, "index", "imported.expt", "strong.refl", "-q"]
    runs = []
    benchmark.pedantic(lambda: runs.append(jobs.run(words, tmp_path)), rounds=4)
    found = int((read_reflections(tmp_path / "indexed.refl")["id"] >= 0).sum())
    seconds = ", ".join(f"{item.cpu:.2f}" for item in runs)
    print(f"\n{n} spots, {found} indexed: {seconds} s of CPU, {max(item.memory for item in runs):.0f} MB")
    assert found >= 0.97 * n
    assert min(item.cpu for item in runs) <= TIMES[n]

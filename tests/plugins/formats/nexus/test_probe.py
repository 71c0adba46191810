"""The look at a file from another process: when it is taken, by whom, and where it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smalti.models import Experiments, ImageSet
from smalti.steps.finding import FindOptions
from smalti.steps.finding.runs import runs_of
from smalti.steps.finding.searching import searches_of
from smalti.steps.importing import ImportOptions, import_images, open_series
from smalti_plugins.formats.nexus import _probe
from smalti_plugins.formats.nexus._probe import survives
from smalti_plugins.formats.nexus.reader import Nxmx
from smalti_plugins.spots.dispersion_extended import DispersionExtended

from .nxmx_files import written

READERS = (Nxmx(),)

# A program without a guard, as people write them in notebooks and scripts: started again it would tell.
PROGRAM = """
import sys
from pathlib import Path
from smalti.steps.importing import ImportOptions, import_images
from smalti_plugins.formats.nexus.reader import Nxmx
print("begun", import_images([Path(sys.argv[1])], [Nxmx()], ImportOptions()).n_images)
"""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands by which files are looked at."""
    seen: list[list[str]] = []
    run = subprocess.run

    def counted(command: list[str], **words: Any) -> Any:
        seen.append(command)
        return run(command, **words)

    monkeypatch.setattr(_probe.subprocess, "run", counted)
    return seen


def several(folder: Path, count: int) -> list[Path]:
    """Master files of one series."""
    content = written(folder).read_bytes()
    paths = [folder / f"m_{k:04d}.h5" for k in range(1, count + 1)]
    for path in paths:
        path.write_bytes(content)
    return paths


def test_one_look_for_a_series_and_none_to_open_it_again(tmp_path: Path, looks: list[list[str]]) -> None:
    experiments = import_images(several(tmp_path, 3), READERS, ImportOptions()).experiments
    assert len(looks) == 1
    for item in experiments:
        assert item.imageset is not None
        open_series(item.imageset, READERS, item.scan).read(0)
    assert len(looks) == 1


def test_workers_are_told_who_reads_images_that_do_not_say(tmp_path: Path, looks: list[list[str]]) -> None:
    """As those of dials.import: otherwise every process would look at the file."""
    (item,) = import_images([written(tmp_path)], READERS, ImportOptions()).experiments
    assert item.imageset is not None
    bare = Experiments((replace(item, imageset=replace(item.imageset, params={})),))
    _probe._survives.cache_clear()
    looks.clear()
    ((search,),) = searches_of(runs_of(bare), READERS, DispersionExtended(), FindOptions())
    assert search.images.params == {"reader": "nxmx"} and len(looks) == 1
    assert search.find(0).problem == "" and len(looks) == 1


def test_images_that_are_not_there_yet_stay_as_they_are(tmp_path: Path) -> None:
    (item,) = import_images([written(tmp_path)], READERS, ImportOptions()).experiments
    gone = ImageSet(str(tmp_path / "later_####.h5"))
    bare = Experiments((replace(item, imageset=gone),))
    ((search,),) = searches_of(runs_of(bare), READERS, DispersionExtended(), FindOptions(), 1.0)
    assert search.images == gone


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_programs_without_a_guard_are_not_started_again(tmp_path: Path, how: str) -> None:
    path, script = written(tmp_path), tmp_path / "program.py"
    script.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, str(script) if how == "file" else "-", str(path)],
        input=PROGRAM, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("begun 5\n", "")


def test_where_there_is_no_interpreter_nobody_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: list[list[str]]
) -> None:
    path = written(tmp_path)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert survives(path)
    monkeypatch.delattr(sys, "frozen")
    monkeypatch.setattr(sys, "executable", "")
    assert survives(path) and not looks
    monkeypatch.setattr(sys, "executable", str(tmp_path / "gone"))
    assert survives(path) and len(looks) == 1


def test_it_is_no_process_of_an_mpi_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """h5py built with MPI starts it on import: within a job it would wait for the others for ever."""
    path, script = written(tmp_path), tmp_path / "tells.py"
    script.write_text("import os, sys\nopen(sys.argv[1] + '.env', 'w').write(' '.join(os.environ))\n")
    monkeypatch.setattr(_probe, "__file__", str(script))
    for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"):
        monkeypatch.setenv(name, "1")
    assert survives(path)
    told = Path(f"{path}.env").read_text().split()
    assert "PATH" in told and not {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"} & set(told)
    assert os.environ["PMI_RANK"] == "1"

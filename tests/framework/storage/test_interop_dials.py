"""What smalti writes, DIALS reads: its programs run on our files and find the same."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.storage import (
    make_record,
    read_experiments,
    read_reflections,
    write_experiments,
    write_reflections,
)
from smalti.testing import synthetic

pytestmark = pytest.mark.dials


def run(program: str, *words: str, folder: Path) -> str:
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]
    return done.stdout


def rewritten(data: Path, folder: Path) -> tuple[Experiments, int]:
    """Write a table and its models as smalti does, with a history, and rows in another order."""
    experiments = read_experiments(data / "tables" / "centroid_indexed" / "data.expt")
    table = read_reflections(data / "tables" / "centroid_indexed" / "data.refl")
    table = table.take(np.argsort(table["flags"], kind="stable"))
    record = make_record("index", ["smalti", "index"], {}, {}, [], {}, [])
    write_experiments(folder / "ours.expt", experiments, record)
    write_reflections(folder / "ours.refl", table, record)
    return experiments, table.n_rows


@pytest.mark.data
def test_dials_show_reads_our_files(data: Path, dials: str, tmp_path: Path) -> None:
    experiments, rows = rewritten(data, tmp_path)
    text = run(f"{dials}/dials.show", "ours.expt", "ours.refl", folder=tmp_path)
    assert experiments[0].identifier in text
    assert f"Reflection list contains {rows} reflections" in text


@pytest.mark.data
def test_dials_refine_reads_our_files_and_we_read_its(data: Path, dials: str, tmp_path: Path) -> None:
    """The refined models are those that DIALS makes of its own files, to the last printed digit."""
    rewritten(data, tmp_path)
    theirs = data / "tables" / "centroid_indexed"
    static = "scan_varying=False"
    run(f"{dials}/dials.refine", "ours.expt", "ours.refl", static, "output.log=1.log", folder=tmp_path)
    ours = read_experiments(tmp_path / "refined.expt")[0]
    table = read_reflections(tmp_path / "refined.refl")
    assert table.n_rows == 654 and table.history == ()
    run(
        f"{dials}/dials.refine", str(theirs / "data.expt"), str(theirs / "data.refl"), static,
        "output.log=2.log", folder=tmp_path,
    )  # fmt: skip
    reference = read_experiments(tmp_path / "refined.expt")[0]
    assert ours.crystal is not None and reference.crystal is not None
    np.testing.assert_allclose(ours.crystal.A, reference.crystal.A, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.detector.stacked(), reference.detector.stacked(), rtol=0, atol=1e-6)
    rmsds = [re.findall(r"RMSDs by experiment:.*?\n\| +0 .*?\n", (tmp_path / n).read_text(), re.S)[-1:]
             for n in ("1.log", "2.log")]  # fmt: skip
    assert rmsds[0] == rmsds[1] != []


@pytest.mark.data
def test_dials_reads_a_table_without_rows_and_one_without_identifiers(
    data: Path, dials: str, tmp_path: Path
) -> None:
    experiments, _ = rewritten(data, tmp_path)
    table = read_reflections(tmp_path / "ours.refl")
    bare = table.where(np.zeros(table.n_rows, dtype=bool)).with_columns(identifiers={})
    write_reflections(tmp_path / "bare.refl", bare)
    assert "contains 0 reflections" in run(f"{dials}/dials.show", "bare.refl", folder=tmp_path)
    multi = replace(experiments[0], identifier="")
    write_experiments(tmp_path / "two.expt", Experiments((multi, multi)))
    assert "Experiment 1:" in run(f"{dials}/dials.show", "two.expt", folder=tmp_path)


def test_dials_reads_models_that_smalti_made(dials: str, tmp_path: Path) -> None:
    """Sixty panels below a group that has only the keys smalti knows, and a scan without exposures."""
    item = replace(synthetic.experiment(synthetic.detector("PILATUS 6M")), crystal=synthetic.crystal())
    assert item.scan is not None
    item = replace(item, scan=replace(item.scan, exposure_times=(), epochs=()))
    write_experiments(tmp_path / "made.expt", Experiments((item,)))
    text = run(f"{dials}/dials.show", "made.expt", folder=tmp_path)
    assert text.count("Panel:") == 60
    assert "Unit cell: 57.83" in text

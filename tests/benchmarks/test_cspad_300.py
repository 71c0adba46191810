"""The 300 stills of the CS-PAD beside what DIALS asks of itself, from the command line.

    pytest tests/benchmarks/test_cspad_300.py --benchmark-enable --benchmark-only

The RMSDs are those of DIALS's own test of these files; it keeps 8,019 reflections.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ASKED = {"rmsd_x_mm": 0.0354, "rmsd_y_mm": 0.0406, "rmsd_phi_deg": 0.1031}
KEPT_BY_DIALS = 8019
ALL = ("--set", "refine.crystals_that_do_not_fit=keep", "--set", "refine.free_fraction=0")
AS_DIALS = (*ALL, "--set", "refine.delta_psi_sigma=10")


@pytest.mark.data
@pytest.mark.parametrize(
    ("options", "least"),
    [((), 7500), (ALL, KEPT_BY_DIALS), (AS_DIALS, KEPT_BY_DIALS)],
    ids=["as it comes", "all crystals", "DeltaPsi as in DIALS"],
)
def test_level_2(benchmark, data: Path, tmp_path: Path, options: tuple[str, ...], least: int) -> None:
    folder = data / "tables" / "cspad_300"
    smalti = Path(sys.executable).with_name("smalti")
    command = [smalti, "refine", folder / "data.expt", folder / "data.refl"]
    command += ["--level", "2", *options]
    benchmark.pedantic(subprocess.run, (command,), {"check": True, "cwd": tmp_path}, rounds=1)
    found = json.loads((tmp_path / "refined.json").read_text())
    benchmark.extra_info |= {"n_used": found["n_used"], **{key: found["steps"][-1][key] for key in ASKED}}
    assert found["n_used"] >= least
    for key, most in ASKED.items():
        assert found["steps"][-1][key] < most
    empty = [row for row in found["panels"] if row["n_used"] == 0]
    assert len(empty) >= 11
    assert all(row["shift_um"] < 500.0 for row in empty)

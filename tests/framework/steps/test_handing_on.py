"""The commands that are proposed for other programs work there."""

import shlex
import subprocess
from pathlib import Path

import pytest

from smalti.models import Experiments
from smalti.steps.handing_on import dials_import
from smalti.steps.panelling import convert_panels
from smalti.steps.simulating import SimulateOptions, simulate
from smalti.storage import write_experiments


def test_modules_are_asked_for_and_names_quoted():
    assert dials_import("a.expt", 1) == "dials.import reference_geometry=a.expt IMAGES"
    assert shlex.split(dials_import("my refined.expt", 24)) == [
        "dials.import", "multi_panel=True", "reference_geometry=my refined.expt", "IMAGES",
    ]  # fmt: skip


@pytest.mark.dials
@pytest.mark.parametrize("to", ["modules", "single"])
def test_dials_import_takes_the_reference_geometry(dials, tmp_path, to):
    options = SimulateOptions(layout="PILATUS 300K", n_images=1, d_min=4.0)
    made = simulate(options, tmp_path)
    models = convert_panels(Experiments((made.nominal,)), None, to).experiments
    write_experiments(tmp_path / "refined.expt", models)
    call = dials_import("refined.expt", len(models[0].detector), Path(made.images[0]).name)
    done = subprocess.run(shlex.split(call), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "imported.expt").exists()

"""Predictions are those of DIALS, for models with everything that turns: nothing is along an axis."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Experiment, Experiments, Goniometer
from smalti.steps.predicting import predict_indexed, predict_sweep
from smalti.storage import read_reflections, write_experiments, write_reflections
from smalti.testing import synthetic

pytestmark = pytest.mark.dials

PREDICT = """
import sys
from dials.algorithms.refinement.prediction.managed_predictors import ExperimentsPredictorFactory
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentListFactory
for models, spots, predicted in zip(sys.argv[1::3], sys.argv[2::3], sys.argv[3::3]):
    experiments = ExperimentListFactory.from_json_file(models, check_format=False)
    table = flex.reflection_table.from_file(spots)
    ExperimentsPredictorFactory.from_experiments(experiments)(table)
    table.as_file(predicted)
"""


def turn(axis: tuple[float, float, float], angle: float) -> NDArray[np.float64]:
    vector = np.array(axis)
    return rotation(vector / np.linalg.norm(vector), angle)


def nine(R: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(x) for x in R.ravel())


def displaced_modules(rng: np.random.Generator, distance: float) -> Detector:
    """60 modules, each out of place far more than any real one is."""
    flat = synthetic.detector("PILATUS 6M", distance)
    return synthetic.displaced(flat, rng, (0.3, 0.3, 0.3), (3e-3, 3e-3, 3e-3))


def plain(rng: np.random.Generator) -> Experiment:
    return synthetic.experiment(displaced_modules(rng, 300.0), synthetic.crystal(), n_images=12)


def on_an_arm(rng: np.random.Generator) -> Experiment:
    """The detector on a two-theta arm, the scan axis on a tilted arc, the beam off its axis."""
    modules = displaced_modules(rng, 300.0)
    arm = turn((0.1, 1.0, 0.05), 0.45)
    detector = modules.with_panel_frames(np.einsum("ij,pjk->pik", arm, modules.stacked()))
    axis = np.array([0.98, 0.15, -0.1])
    goniometer = Goniometer(
        tuple(axis / np.linalg.norm(axis)),
        nine(turn((0.3, -0.8, 0.5), 0.9)),
        nine(turn((0.2, 1.0, 0.4), 0.35)),
    )
    direction = np.array([0.01, -0.02, 1.0])
    return replace(
        synthetic.experiment(detector, synthetic.crystal(), n_images=12, start=1.0),
        goniometer=goniometer,
        beam=Beam(direction=tuple(direction / np.linalg.norm(direction)), wavelength=0.9686),
    )


def test_positions_and_angles_on_60_panels(rng, dials: str, tmp_path: Path) -> None:
    made = [plain(rng), on_an_arm(rng)]
    files = [
        [str(tmp_path / f"{k}{end}") for end in (".expt", ".refl", ".out.refl")] for k in range(len(made))
    ]
    for experiment, (models, spots, _) in zip(made, files, strict=True):
        sweep = predict_sweep(experiment, 1.3)
        assert sweep.n_rows > 3000 and len(np.unique(sweep["panel"])) > 40
        table = sweep.with_columns({"xyzobs.mm.value": sweep["xyzcal.mm"]})
        write_experiments(models, Experiments((experiment,)))
        write_reflections(spots, table.without("xyzcal.mm", "xyzcal.px", "s1"))
    python = Path(dials, "dials.refine").read_text().splitlines()[0].removeprefix("#!").split()
    subprocess.run([*python, "-c", PREDICT, *sum(files, [])], check=True, capture_output=True)
    for experiment, (_, _, predicted) in zip(made, files, strict=True):
        theirs = read_reflections(predicted)
        mine = predict_indexed(Experiments((experiment,)), theirs.without("xyzcal.mm", "xyzcal.px", "s1"))
        assert np.abs(mine["xyzcal.px"][:, :2] - theirs["xyzcal.px"][:, :2]).max() < 1e-6
        assert np.abs(mine["xyzcal.mm"][:, :2] - theirs["xyzcal.mm"][:, :2]).max() < 1e-7
        assert np.abs(mine["xyzcal.mm"][:, 2] - theirs["xyzcal.mm"][:, 2]).max() < 1e-7
        assert np.abs(mine["s1"] - theirs["s1"]).max() < 1e-9

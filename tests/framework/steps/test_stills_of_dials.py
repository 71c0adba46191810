"""Stills are predicted as DIALS predicts them: places, DeltaPsi and diffracted beams, on 64 tilted panels."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Flag
from smalti.testing.many_crystals import observed_stills

PREDICT = """
import sys
from dials.algorithms.refinement.prediction.managed_predictors import ExperimentsPredictorFactory
from dials.array_family import flex
from dxtbx.model.experiment_list import ExperimentListFactory
experiments = ExperimentListFactory.from_json_file(sys.argv[1], check_format=False)
table = flex.reflection_table.from_file(sys.argv[2])
ExperimentsPredictorFactory.from_experiments(experiments)(table)
table.as_file(sys.argv[3])
"""


@pytest.mark.data
@pytest.mark.dials
def test_stills_of_a_cspad_are_predicted_as_dials_does(data: Path, dials: str, tmp_path: Path) -> None:
    """Of 40 crystals, with the beam turned and the panels moved, so that nothing is along an axis."""
    folder = data / "tables" / "cspad_300"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    detector, turn = experiments[0].detector, rotation([0.3, 1.0, 0.2], 0.004)
    moved = detector.with_panel_frames(np.einsum("ij,pjk->pik", turn, detector.stacked()))
    direction = tuple(float(x) for x in rotation([1.0, 0.4, 0.0], 0.002) @ experiments[0].beam.direction)
    beam = replace(experiments[0].beam, direction=direction)
    items = tuple(replace(item, detector=moved, beam=beam) for item in experiments[:40])
    some = table.where(table["id"] < 40).without(*table.opaque)
    models, spots, predicted = (tmp_path / name for name in ("a.expt", "a.refl", "b.refl"))
    write_experiments(models, Experiments(items))
    write_reflections(spots, some)
    script = tmp_path / "predict.py"
    script.write_text(PREDICT)
    subprocess.run(["/usr/bin/python3", script, models, spots, predicted], check=True, capture_output=True)
    theirs, ours = read_reflections(predicted), predict_indexed(Experiments(items), some)
    assert ours.n_rows > 1000
    assert ours.flagged(Flag.PREDICTED).all()
    np.testing.assert_allclose(ours["xyzcal.px"], theirs["xyzcal.px"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours["xyzcal.mm"], theirs["xyzcal.mm"], rtol=0, atol=1e-7)
    np.testing.assert_allclose(ours["delpsical.rad"], theirs["delpsical.rad"], rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours["s1"], theirs["s1"], rtol=0, atol=1e-12)


@pytest.mark.data
def test_the_columns_of_a_table_that_dials_refined_are_ours(data: Path) -> None:
    """The table holds what DIALS predicted with the models beside it."""
    folder = data / "tables" / "cspad_300"
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    ours = predict_indexed(experiments, table)
    assert np.abs(ours["delpsical.rad"]).max() < 0.03
    apart = np.abs(ours["xyzcal.px"][:, :2] - table["xyzobs.px.value"][:, :2])
    assert np.median(apart) < 0.5


def test_a_still_without_a_crystal_is_left_unpredicted(stills_of_two: tuple) -> None:
    experiments, table = stills_of_two
    bare = replace(experiments, items=(experiments[0], replace(experiments[1], crystal=None)))
    found = predict_indexed(bare, table)
    np.testing.assert_array_equal(found.flagged(Flag.PREDICTED), table["id"] == 0)
    assert (found["delpsical.rad"][table["id"] == 1] == 0.0).all()


def test_points_that_cannot_diffract_are_left_unpredicted(stills_of_two: tuple) -> None:
    experiments, table = stills_of_two
    h = np.array(table["miller_index"])
    h[::3] *= 100
    found = predict_indexed(experiments, table.with_columns({"miller_index": h}))
    good = np.arange(table.n_rows) % 3 > 0
    np.testing.assert_array_equal(found.flagged(Flag.PREDICTED), good)
    assert np.isfinite(found["xyzcal.mm"]).all()
    assert (found["xyzcal.px"][~good] == 0.0).all()


@pytest.fixture
def stills_of_two():

    options = SimulateOptions(output="indexed", stills=2, layout="PILATUS 300K", distance=130.0, d_min=2.5)
    return observed_stills(nominal(options).detector, options)

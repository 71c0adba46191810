"""Prediction of sweeps and tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed, predict_sweep
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Flag
from smalti.testing.synthetic import crystal, detector, experiment


def test_a_sweep_is_predicted_on_the_ewald_sphere_and_on_the_panels() -> None:
    exp = experiment(detector("PILATUS 2M", 250.0), crystal(), n_images=30)
    table = predict_sweep(exp, 2.5)
    assert table.n_rows > 1000
    np.testing.assert_allclose(np.linalg.norm(table["s1"], axis=1), 1 / 0.9686, rtol=1e-12)
    phi, z = table["xyzcal.mm"][:, 2], table["xyzcal.px"][:, 2]
    assert np.all(np.diff(phi) >= 0) and z.min() >= 0 and z.max() < 30
    assert np.all(table["xyzcal.mm"][:, :2] >= 0)
    assert np.all(table["xyzcal.mm"][:, 0] < 487 * 0.172)


def test_every_turn_of_a_long_sweep_is_predicted() -> None:
    one = experiment(detector("PILATUS 300K", 250.0), crystal(), n_images=36, width=np.radians(10))
    two = experiment(detector("PILATUS 300K", 250.0), crystal(), n_images=72, width=np.radians(10))
    assert predict_sweep(two, 5.0).n_rows == 2 * predict_sweep(one, 5.0).n_rows


@pytest.mark.parametrize("with_entering", [True, False])
def test_a_table_is_predicted_where_the_sweep_was(with_entering: bool) -> None:
    exp = experiment(detector("PILATUS 2M", 250.0), crystal(), n_images=30, start=12.0)
    sweep = predict_sweep(exp, 3.0)
    observed = sweep.with_columns({"xyzobs.mm.value": sweep["xyzcal.mm"] + (0.01, -0.01, 1e-4)})
    stripped = observed.without(
        "s1", "xyzcal.mm", "xyzcal.px", "flags", *(() if with_entering else ("entering",))
    )
    again = predict_indexed(Experiments((exp,)), stripped)
    assert again.flagged(Flag.PREDICTED).all()
    np.testing.assert_allclose(again["xyzcal.mm"], sweep["xyzcal.mm"], atol=1e-9)
    np.testing.assert_allclose(again["s1"], sweep["s1"], atol=1e-12)
    np.testing.assert_array_equal(again["entering"], sweep["entering"])


def test_unindexed_reflections_stay_unpredicted() -> None:
    exp = experiment(detector("PILATUS 2M", 250.0), crystal(), n_images=10)
    sweep = predict_sweep(exp, 3.0)
    h = np.array(sweep["miller_index"])
    h[0] = 0
    table = sweep.with_columns({"miller_index": h, "xyzobs.mm.value": sweep["xyzcal.mm"]})
    predicted = predict_indexed(Experiments((exp,)), table).flagged(Flag.PREDICTED)
    assert not predicted[0] and predicted[1:].all()


def test_nothing_on_the_detector_is_an_error() -> None:
    with pytest.raises(DataError, match="No reflection is predicted"):
        predict_sweep(experiment(detector("PILATUS 100K", 5000.0), crystal(), n_images=1, width=1e-6), 3.0)


@pytest.mark.data
@pytest.mark.parametrize("name", ["centroid_indexed", "four_sweeps_indexed", "i23_24_panels"])
def test_predictions_equal_those_that_dials_wrote(data: Path, name: str) -> None:
    folder = data / "tables" / name
    experiments, table = read_experiments(folder / "data.expt"), read_reflections(folder / "data.refl")
    table = table.where(np.any(table["miller_index"] != 0, axis=1) & np.any(table["xyzcal.mm"] != 0, axis=1))
    assert table.n_rows > 500
    again = predict_indexed(experiments, table.with_columns({"xyzobs.mm.value": table["xyzcal.mm"]}))
    np.testing.assert_allclose(again["xyzcal.px"], table["xyzcal.px"], atol=1e-6)
    np.testing.assert_allclose(again["xyzcal.mm"], table["xyzcal.mm"], atol=1e-7)
    np.testing.assert_array_equal(again["entering"], table["entering"])

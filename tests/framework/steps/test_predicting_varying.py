"""Prediction of crystals that vary over their scans."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.scan_points import between_points
from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed, predict_sweep
from smalti.testing import synthetic

IMAGES = 200


@pytest.fixture(scope="module")
def sweep():
    detector = synthetic.detector("PILATUS 300K", 150.0, modules=False)
    crystal = synthetic.crystal()
    varying = synthetic.drifting(crystal, IMAGES, turn=(3e-3, -2e-3, 4e-3), growth=0.004)
    experiment = synthetic.experiment(detector, varying, n_images=IMAGES)
    return experiment, predict_sweep(experiment, 3.0)


def test_every_reflection_is_on_the_ewald_sphere_when_it_is_predicted(sweep):
    experiment, table = sweep
    phi, s1 = table["xyzcal.mm"][:, 2], table["s1"]
    scan, goniometer = experiment.scan, experiment.goniometer
    points = np.array(experiment.crystal.scan_points).reshape(-1, 3, 3)
    A = between_points(points, scan.array_index(phi) - scan.array_range[0])
    q = np.einsum("nij,nj->ni", A, table["miller_index"])
    c, s = np.cos(phi), np.sin(phi)
    turned = np.column_stack([q[:, 0], c * q[:, 1] - s * q[:, 2], s * q[:, 1] + c * q[:, 2]])
    assert (goniometer.axis == (1.0, 0.0, 0.0)).all()
    np.testing.assert_allclose(s1, experiment.beam.s0 + turned, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(s1, axis=1), 1.0 / experiment.beam.wavelength, rtol=1e-9)
    begin, end = scan.angle_range
    assert phi.min() >= begin and phi.max() < end


def test_it_differs_from_the_crystal_that_stays_by_the_drift(sweep):
    experiment, table = sweep
    still = replace(experiment, crystal=replace(experiment.crystal, scan_points=()))
    plain = predict_sweep(still, 3.0)
    assert abs(plain.n_rows - table.n_rows) < 0.03 * table.n_rows
    keys = [(*h, e) for h, e in zip(table["miller_index"].tolist(), table["entering"], strict=True)]
    other = {
        (*h, e): xyz
        for h, e, xyz in zip(
            plain["miller_index"].tolist(), plain["entering"], plain["xyzcal.px"], strict=True
        )
    }
    pairs = [(z, other[key]) for key, z in zip(keys, table["xyzcal.px"], strict=True) if key in other]
    a, b = np.array([z for z, _ in pairs]), np.array([z for _, z in pairs])
    off = np.linalg.norm(a[:, :2] - b[:, :2], axis=1)
    early, late = a[:, 2] < 20.0, a[:, 2] > 180.0
    assert np.median(off[late]) > 5.0 * np.median(off[early]) > 0.0


def test_predictions_of_a_table_are_those_of_the_sweep(sweep):
    experiment, table = sweep
    seen = table.with_columns({"xyzobs.mm.value": table["xyzcal.mm"]})
    again = predict_indexed(Experiments((experiment,)), seen)
    off = np.abs(again["xyzcal.px"] - table["xyzcal.px"])
    # A table is predicted with the crystal of the image, a sweep with that of the moment.
    assert np.quantile(off, 0.99) < 0.02
    still = replace(experiment, crystal=replace(experiment.crystal, scan_points=()))
    assert (
        np.median(np.abs(predict_indexed(Experiments((still,)), seen)["xyzcal.px"] - table["xyzcal.px"]))
        > 0.1
    )

"""Observed millimetres follow the geometry: a thick sensor on a panel that is displaced and tilted."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.attenuation import attenuation_coefficient
from smalti.geometry.panels import PanelArrays, to_mm
from smalti.models import Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

THICK = 1.0
TURN = 0.03


def thick(detector, thickness=THICK, **changes):
    mu = attenuation_coefficient("Si", 0.9686)
    panels = tuple(
        replace(panel, thickness=thickness, mu=mu, material="Si", parallax=thickness > 0.0, **changes)
        for panel in detector.panels
    )
    return replace(detector, panels=panels)


def problem(thickness=THICK, **changes):
    """A panel 2 mm away from where it is believed to be, tilted by 30 mrad; without noise."""
    rng = np.random.default_rng(5)
    detector = thick(synthetic.detector("PILATUS 300K", 150.0, modules=False), thickness, **changes)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    shift = np.array([2.0, 0.5, -0.5, 0.0, 1e3 * TURN, -1e3 * TURN])
    truth = replace(nominal, detector=Hierarchical().compose(detector, shift))
    experiments, table = synthetic.observations(
        truth, nominal, rng, d_min=2.0, n=3000, noise=(1e-4, 1e-4, 1e-4)
    )
    return truth, experiments, table


def refined(experiments, table, **options):
    return refine(
        experiments,
        table,
        Hierarchical(block_place=100.0, block_angle=1000.0),
        GaussNewton(),
        NoOutliers(),
        RefineOptions(weak_priors=False, halves="off", free_fraction=0.0, **options),
    )


def off_um(truth, found):
    return 1e3 * np.abs(truth.detector.stacked() - found.experiments[0].detector.stacked())[:, :, 2].max()


def test_a_thick_sensor_is_found_where_it_is():
    truth, experiments, table = problem()
    follows, frozen = (refined(experiments, table, parallax=parallax) for parallax in (True, False))
    assert off_um(truth, follows) < 1.0
    assert off_um(truth, frozen) > 5.0
    # A few ten-thousandths of a pixel of noise, against hundredths of what was frozen.
    final = [found.results["experiments"][0]["rmsd_x_px"] for found in (follows, frozen)]
    assert final[0] < 3e-4 and final[1] > 4 * final[0]


def test_millimetres_of_the_table_are_those_of_its_geometry():
    _, experiments, table = problem()
    found = refined(experiments, table)
    out = found.reflections
    arrays = PanelArrays.of(found.experiments[0].detector)
    mm = to_mm(out["xyzobs.px.value"][:, :2], out["panel"].astype(np.intp), arrays)
    used = np.abs(out["xyzcal.mm"]).any(axis=1)
    np.testing.assert_allclose(out["xyzobs.mm.value"][used, :2], mm[used], rtol=0, atol=1e-9)
    assert np.abs(out["xyzobs.mm.value"][:, :2] - table["xyzobs.mm.value"][:, :2]).max() > 0.005
    np.testing.assert_array_equal(out["xyzobs.px.value"], table["xyzobs.px.value"])
    np.testing.assert_array_equal(out["xyzobs.mm.value"][:, 2], table["xyzobs.mm.value"][:, 2])
    # A second refinement begins where the first ended.
    again = refined(found.experiments, out)
    assert max(abs(row["shift"]) for row in again.results["parameters"]) < 1e-3


@pytest.mark.parametrize(
    "changes",
    [{"thickness": 0.0}, {"extra": {"px_mm_strategy": {"type": "Offset"}}}],
    ids=["thin", "offsets"],
)
def test_panels_without_a_correction_keep_their_millimetres(changes):
    _, experiments, table = problem(**changes)
    one, two = (refined(experiments, table, parallax=parallax) for parallax in (True, False))
    np.testing.assert_array_equal(one.reflections["xyzobs.mm.value"], table["xyzobs.mm.value"])
    assert [row["value"] for row in one.results["parameters"]] == [
        row["value"] for row in two.results["parameters"]
    ]


def test_millimetres_that_are_not_those_of_the_pixels_stay():
    """A table whose pixels count from elsewhere is believed in its millimetres."""
    _, experiments, table = problem()
    px = np.array(table["xyzobs.px.value"]) + (40.0, -25.0, 0.0)
    found = refined(experiments, table.with_columns({"xyzobs.px.value": px}))
    np.testing.assert_array_equal(found.reflections["xyzobs.mm.value"], table["xyzobs.mm.value"])


def test_two_detectors_are_told_apart():
    truth, experiments, table = problem()
    other = replace(experiments[0], detector=thick(experiments[0].detector, 0.0), identifier="other")
    both = Experiments((experiments[0], other))
    second = table.with_columns({"id": np.ones(table.n_rows, dtype=np.int32)})
    columns = {name: np.concatenate([table[name], second[name]]) for name in table}
    found = refined(both, type(table)(columns))
    mm, was = found.reflections["xyzobs.mm.value"], np.tile(table["xyzobs.mm.value"], (2, 1))
    thin = found.reflections["id"] == 1
    np.testing.assert_array_equal(mm[thin], was[thin])
    assert np.abs(mm[~thin] - was[~thin]).max() > 0.005

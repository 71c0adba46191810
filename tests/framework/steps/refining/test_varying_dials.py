"""Scan-varying refinement beside dials.refine on the same reflections, and files that both read."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining import RefineOptions, refine
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Flag
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

pytestmark = pytest.mark.dials

IMAGES = 400
CALL = (
    "scan_varying=True", "compose_model_per=image", "outlier.algorithm=null", "close_to_spindle_cutoff=0",
    "output.experiments=theirs.expt", "output.reflections=theirs.refl",
)  # fmt: skip

SAME = RefineOptions(
    scan_varying="all", weak_priors=False, noise="table", free_fraction=0.0, halves="off", parallax=False
)


@pytest.fixture(scope="module")
def refined(tmp_path_factory, dials):
    """The same 3,000 reflections of a drifting crystal refined by both."""
    rng = np.random.default_rng(3)
    detector = synthetic.detector("PILATUS 300K", 150.0, modules=False)
    crystal = synthetic.crystal()
    nominal = synthetic.experiment(detector, crystal, n_images=IMAGES)
    drifting = synthetic.drifting(crystal, IMAGES, turn=(0.9e-3, 1.5e-3, -1.0e-3), growth=0.002)
    experiments, table = synthetic.observations(
        replace(nominal, crystal=drifting), nominal, rng, d_min=2.5, n=3000
    )
    start = Experiments((replace(experiments[0], crystal=crystal),))
    folder = tmp_path_factory.mktemp("varying")
    write_experiments(folder / "start.expt", start)
    write_reflections(folder / "start.refl", table)
    program = Path(dials, "dials.refine")
    subprocess.run([program, "start.expt", "start.refl", *CALL], cwd=folder, check=True, capture_output=True)
    theirs = read_reflections(folder / "theirs.refl")
    same = theirs.where(theirs.flagged(Flag.USED_IN_REFINEMENT))
    mine = refine(start, same, Hierarchical(priors=False), GaussNewton(), NoOutliers(), SAME)
    write_experiments(folder / "mine.expt", mine.experiments)
    return folder, same, mine


def test_the_minimum_is_as_low_as_that_of_dials(refined):
    _, same, mine = refined
    assert mine.results["n_used"] == same.n_rows > 2900
    theirs, own = (
        np.sqrt(np.mean((table["xyzcal.mm"] - same["xyzobs.mm.value"]) ** 2, axis=0))
        for table in (same, mine.reflections)
    )
    np.testing.assert_allclose(own, theirs, rtol=1e-3)
    assert mine.results["steps"][0]["rmsd_x_mm"] > 1.3 * own[0]


def test_cells_along_the_scan_are_those_of_dials(refined):
    folder, _, mine = refined
    expected = cells(read_experiments(folder / "theirs.expt")[0].crystal)
    found = cells(mine.experiments[0].crystal)
    assert len(found) == len(expected) == IMAGES + 1
    esd = mine.results["crystals"][0]["scan"]["cell_esd"][2]
    assert (np.abs(found - expected)[:, [0, 2]] < 0.5 * np.array(esd)[[0, 2]]).all()
    assert np.ptp(found[:, 0]) == pytest.approx(np.ptp(expected[:, 0]), rel=0.02)


def test_predictions_from_the_file_of_dials_are_its_own(refined):
    folder, same, _ = refined
    (theirs,) = read_experiments(folder / "theirs.expt")

    def off(points):
        other = replace(theirs, crystal=replace(theirs.crystal, scan_points=points))
        return np.abs(predict_indexed(Experiments((other,)), same)["xyzcal.px"] - same["xyzcal.px"]).max()

    # DIALS takes every image for what the crystal is at its start, smalti for what it is in its middle:
    # half an image of drift. With points whose means are the starts the two agree.
    points = np.array(theirs.crystal.scan_points)
    shifted = [points[0]]
    for point in points[:-1]:
        shifted.append(2.0 * point - shifted[-1])
    assert off(tuple(map(tuple, shifted))) < 1e-6
    assert off(theirs.crystal.scan_points) < 0.01
    assert off(()) > 0.1


def test_dials_reads_what_varies(refined):
    folder, _, mine = refined
    script = (
        "import json\n"
        "from dxtbx.model.experiment_list import ExperimentListFactory as F\n"
        "crystal = F.from_json_file('mine.expt', check_format=False)[0].crystal\n"
        "points = [0, 200, 400]\n"
        "values = [list(crystal.get_A_at_scan_point(k)) for k in points]\n"
        "print(json.dumps([crystal.num_scan_points] + values))\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script], cwd=folder, check=True, capture_output=True, text=True
    )
    count, *found = json.loads(done.stdout)
    assert count == IMAGES + 1
    points = mine.experiments[0].crystal.scan_points
    np.testing.assert_allclose(found, [points[k] for k in (0, 200, 400)], rtol=1e-12)


def cells(crystal):
    points = np.array(crystal.scan_points).reshape(-1, 3, 3)
    axes = np.linalg.inv(points)
    return np.linalg.norm(axes, axis=2)

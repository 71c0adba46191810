"""With the same reflections, weights and parameters the minimum is that of dials.refine.

DIALS runs its Gauss-Newton engine, which goes to the bottom; its default one stops where the RMSDs change by
less than a part in 10^4, up to 0.2 um along the normals of panels from there.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.geometry.superposition import panel_motions
from smalti.steps.refining import RefineOptions, refine
from smalti.storage import read_experiments, read_reflections, write_experiments, write_reflections
from smalti.tables import Flag
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

pytestmark = pytest.mark.dials

CALL = ("scan_varying=False", "engine=GaussNewton", "outlier.algorithm=null", "close_to_spindle_cutoff=0")
"""What DIALS does that has no counterpart here is switched off."""

SAME = RefineOptions(
    close_to_spindle=0.0, weak_priors=False, noise="table", free_fraction=0.0, halves="off", parallax=False
)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """Ten displaced modules and 5,000 of their reflections, in files."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.08, 0.08, 0.04)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.2, n=5000)
    folder = tmp_path_factory.mktemp("minimum")
    write_experiments(folder / "start.expt", experiments)
    write_reflections(folder / "start.refl", table)
    return folder, experiments


@pytest.mark.parametrize("level", [0, 1])
def test_of_displaced_modules(problem, dials, level):
    folder, start = problem
    outputs = [
        f"output.{kind}=theirs_{level}.{end}"
        for kind, end in (("experiments", "expt"), ("reflections", "refl"))
    ]
    words = ["start.expt", "start.refl", *CALL, f"hierarchy_level={level}", *outputs]
    done = subprocess.run(
        [Path(dials, "dials.refine"), *words], cwd=folder, check=True, capture_output=True, text=True
    )
    theirs = read_reflections(folder / f"theirs_{level}.refl")
    same = theirs.where(theirs.flagged(Flag.USED_IN_REFINEMENT))
    parameters = Hierarchical(level=level, priors=False)
    mine = refine(start, same, parameters, GaussNewton(), NoOutliers(), SAME)
    assert mine.results["n_used"] == same.n_rows > 4900
    residuals = [table["xyzcal.mm"] - same["xyzobs.mm.value"] for table in (same, mine.reflections)]
    theirs_rmsd, my_rmsd = (np.sqrt(np.mean(r**2, axis=0)) for r in residuals)
    np.testing.assert_allclose(my_rmsd, theirs_rmsd, rtol=1e-4)
    found, expected = mine.experiments[0], read_experiments(folder / f"theirs_{level}.expt")[0]
    size = np.array([panel.size_mm for panel in expected.detector.panels])
    moved = panel_motions(expected.detector.stacked(), found.detector.stacked(), size)
    assert moved.corners.max() < 1e-4  # mm
    np.testing.assert_allclose(found.crystal.cell, expected.crystal.cell, rtol=1e-6)
    esd, unit = printed_esds(done.stdout)
    if level == 1:  # the block does not fit, and how sure a model that does not fit is, is a matter of taste
        assert (np.abs(mine.results["crystals"][0]["cell_esd"][:3] - esd) < unit).all()


def printed_esds(text):
    """ESDs of a, b and c as DIALS prints them, 57.8347(15), and the worth of a unit of the last place."""
    line = next(line for line in text.splitlines() if "Unit cell:" in line)
    found = re.findall(r"\d+\.(\d+)\((\d+)\)", line)
    unit = np.array([10.0 ** -len(decimals) for decimals, _ in found])
    return unit * [int(digits) for _, digits in found], unit

"""Refining with the neighbours' indices: which are tried, of what, and what is said where nothing tells."""

import numpy as np
import pytest

from smalti.solution import Ended
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.telling.verdict import verdict
from smalti.steps.simulating.instrument import nominal
from smalti.steps.simulating.options import SimulateOptions
from smalti.testing import synthetic
from smalti.testing.many_crystals import observed_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


def solve(experiments, table):
    return refine(experiments, table, Hierarchical(), GaussNewton(), NoOutliers(), RefineOptions())


def judged(results, **changes):
    return verdict(dict(results) | changes, Ended.STEP_TOO_SMALL, ())


@pytest.fixture(scope="module")
def centred():
    """A body-centred crystal turned by 15 degrees, and what is made of it."""
    crystal = synthetic.crystal((60.0, 70.0, 80.0, 90.0, 90.0, 90.0), " I 2 2")
    truth = synthetic.experiment(synthetic.detector("PILATUS 300K", 100.0), crystal, n_images=43)
    experiments, table = synthetic.observations(truth, truth, np.random.default_rng(4), d_min=2.0)
    body = table["miller_index"].sum(axis=1) % 2 == 0
    table = table.where(body)
    table = table.take(np.arange(0, table.n_rows, table.n_rows // 1000))
    return experiments, table, solve(experiments, table)


def test_only_vectors_of_the_lattice_are_tried(centred):
    experiments, table, right = centred
    found = right.results["other_indices"]
    assert sum(found["offset"]) % 2 == 0
    assert found["misfit"] > 5.0 * found["misfit_as_given"]
    # The median of chi-squared of three is 2.37.
    assert found["misfit_as_given"] == pytest.approx(2.37, rel=0.1)
    moved = table.with_columns(
        {"miller_index": (table["miller_index"] + np.array([1, 0, 1])).astype("int32")}
    )
    wrong = solve(experiments, moved).results
    assert wrong["other_indices"]["offset"] == (-1, 0, -1)
    assert "With (-1 0 -1) added to all indices the reflections fit better" in wrong["verdict"]["text"]


def test_where_others_fit_as_well_the_beam_centre_is_not_told(centred):
    _, _, right = centred
    other = {**right.results["other_indices"], "offset": (0, 1, 1), "misfit": 2.5}
    found = judged(right.results, other_indices=other)
    assert not found["trustworthy"]
    assert "With (0 1 1) added to all indices the reflections fit as well" in found["text"]
    far = [{**row, "rmsd_x_px": 9.0} for row in right.results["experiments"]]
    assert "fit as well" not in judged(right.results, other_indices=other, experiments=far)["text"]


def test_stills_are_not_asked():
    options = SimulateOptions(
        output="indexed", layout="PILATUS 300K", distance=100.0, stills=1, spots_per_still=120
    )
    experiments, table = observed_stills(nominal(options).detector, options)
    assert solve(experiments, table).results["other_indices"] is None

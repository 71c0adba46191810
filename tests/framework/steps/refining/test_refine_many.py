"""A whole refinement says the same whether crystals are eliminated or not, with a single one as well."""

import json

import numpy as np
import pytest

from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.refine import refine
from smalti.storage import read_covariances, write_covariances
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.tukey import Tukey


@pytest.fixture(scope="module")
def both(block_problem):
    """The same refinement with everything together and with the crystal eliminated."""
    _, experiments, table = block_problem
    exact = GaussNewton(rmsd_tolerance=0.0, step_tolerance=1e-8)
    return [
        refine(
            experiments, table, Hierarchical(), exact, Tukey(),
            RefineOptions(n_threads=1, eliminate_crystals=way, halves="reflections"),
        )
        for way in ("never", "always")
    ]  # fmt: skip


def test_models_and_certainty_are_the_same(both):
    joint, apart = (item.results for item in both)
    assert joint["n_used"] == apart["n_used"] and joint["n_parameters"] == apart["n_parameters"]
    for a, b in zip(joint["parameters"], apart["parameters"], strict=True):
        assert a["name"] == b["name"]
        assert b["shift"] == pytest.approx(a["shift"], abs=1e-4 * a["esd"])
        assert b["esd"] == pytest.approx(a["esd"], rel=1e-5)
        assert b["prior_share"] == pytest.approx(a["prior_share"], abs=1e-6)
    for name in ("cell_esd", "volume_esd", "cell"):
        np.testing.assert_allclose(apart["crystals"][0][name], joint["crystals"][0][name], rtol=1e-5)
    assert apart["halves"]["n"] == joint["halves"]["n"] and apart["weak_modes"]
    # Of shared parameters alone it is fewer degrees of freedom; where the detector is, is the same.
    assert apart["halves"]["degrees_of_freedom"] < joint["halves"]["degrees_of_freedom"]
    for name in ("whole_difference_um", "whole_esd_um"):
        np.testing.assert_allclose(apart["halves"][name], joint["halves"][name], rtol=1e-3, atol=1e-3)
    assert apart["effective_parameters"] == pytest.approx(joint["effective_parameters"], rel=1e-6)
    assert apart["verdict"]["trustworthy"] == joint["verdict"]["trustworthy"]
    json.dumps(apart, allow_nan=False)
    assert "Crystal" in both[1].text()


def test_the_covariance_file_holds_blocks(both, tmp_path):
    joint, apart = both
    path = tmp_path / "many.covariance.h5"
    write_covariances(path, apart.covariances)
    saved = read_covariances(path)
    assert saved.crystals is not None and joint.covariances.crystals is None
    everything = {*saved.names, *(name for row in saved.crystals.names for name in row if name)}
    assert everything == set(joint.covariances.names)
    assert not any(name.startswith("Crystal") for name in saved.names)
    places = [joint.covariances.names.index(name) for name in saved.names]
    expected = joint.covariances.covariance[np.ix_(places, places)]
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(saved.covariance - expected) < 1e-5 * scale).all()
    own = [joint.covariances.names.index(name) for name in saved.crystals.names[0]]
    block = joint.covariances.covariance[np.ix_(own, own)]
    scale = np.sqrt(np.outer(np.diag(block), np.diag(block)))
    assert (np.abs(saved.crystals.covariance[0] - block) < 1e-5 * scale).all()
    np.testing.assert_allclose(
        saved.cell_covariance, joint.covariances.cell_covariance, rtol=1e-4, atol=1e-12
    )

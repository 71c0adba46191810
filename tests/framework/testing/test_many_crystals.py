"""Detectors from stills of many crystals, and from stills and sweeps together, against the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.superposition import panel_motions
from smalti.models import Detector, Experiments
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.instrument import nominal
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti.testing.many_crystals import observed_stills, recover_stills
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

TILES = Hierarchical(level=1)
REFINING = RefineOptions(halves="off", free_fraction=0.0)
OPTIONS = SimulateOptions(
    output="indexed",
    stills=40,
    layout="PILATUS 300K",
    distance=130.0,
    wavelength=1.0,
    unit_cell=(79.0, 79.0, 38.0, 90.0, 90.0, 90.0),
    space_group="P 43 21 2",
    mosaicity=0.06,
    cell_spread=0.001,
    outliers=0.0,
)


def widths(detector: Detector) -> np.ndarray:
    """Tolerances of the tiles; the whole stands where it is said to stand."""
    sigmas = TILES.prior(detector).precision ** -0.5
    whole = np.array([not item.name.startswith("Group") for item in TILES.parameters(detector)])
    return np.where(whole, 0.0, sigmas)


def esds(refined) -> np.ndarray:
    """Of the panels beyond the whole: along fast, slow, normal (mm) and about them (rad), (P, 6)."""
    return np.sqrt(np.einsum("pii->pi", refined.panel_covariance[0]))


@pytest.mark.parametrize("stills", [20, 40])  # both ways of solving: all together, and crystals eliminated
def test_tiles_come_out_of_stills_with_their_esds(stills: int) -> None:
    base = nominal(OPTIONS)
    options = replace(OPTIONS, stills=stills)
    found = recover_stills(base, options, widths(base.detector), TILES, GaussNewton(), NoOutliers(), REFINING)
    assert found.refined.results["n_used"] > 30 * stills
    assert 0.5 < np.sqrt(np.mean(found.pulls**2)) < 1.6
    assert np.abs(found.pulls).max() < 5.0
    after, size = found.refined.experiments[0].detector, [panel.size_mm for panel in found.truth.panels]
    left = panel_motions(after.stacked(), found.truth.stacked(), size)
    drawn = panel_motions(base.detector.stacked(), found.truth.stacked(), size)
    motions = np.concatenate([left.shift, left.turn], axis=1)
    assert np.sqrt(np.mean((motions / esds(found.refined)) ** 2)) < 1.7
    assert np.hypot(*left.shift[:, :2].T).mean() < 0.1 * np.hypot(*drawn.shift[:, :2].T).mean()


def test_stills_and_a_sweep_know_more_than_either() -> None:
    base = nominal(OPTIONS)
    rng = np.random.default_rng(8)
    truth = TILES.compose(base.detector, widths(base.detector) * rng.normal(size=len(widths(base.detector))))
    stills, table = observed_stills(truth, OPTIONS)
    stills = replace(stills, items=tuple(replace(item, detector=base.detector) for item in stills))
    start = synthetic.experiment(base.detector, synthetic.crystal(), wavelength=1.0, n_images=120)
    start = replace(start, identifier="sweep")
    swept, spots = synthetic.observations(replace(start, detector=truth), start, rng, d_min=2.0, n=1500)
    names = {k: item.identifier for k, item in enumerate((*stills, *swept))}
    number = np.full(spots.n_rows, len(stills), dtype=np.int32)
    common = [name for name in table if name in spots]
    both = Reflections.concatenate(
        [part.without(*(set(part) - set(common))) for part in (table, spots.with_columns({"id": number}))]
    ).with_columns(identifiers=names)

    def solved(experiments: Experiments, reflections: Reflections):
        return refine(experiments, reflections, TILES, GaussNewton(), NoOutliers(), REFINING)

    together = solved(Experiments((*stills, *swept)), both)
    alone = [solved(stills, table), solved(swept, spots)]
    assert together.results["n_used"] > 0.95 * sum(item.results["n_used"] for item in alone)
    for item in alone:
        assert (esds(together)[:, :3] < 1.02 * esds(item)[:, :3]).all()
    # With a sweep the rotation about the beam is told.
    names_of = {row["name"] for row in together.results["parameters"]}
    assert "Detector1Tau1" in names_of
    shifts = {row["name"]: row for row in together.results["parameters"]}
    assert shifts["Detector1Tau1"]["esd"] < 1.0
    after = together.experiments[0].detector
    assert after is together.experiments[-1].detector
    away = np.linalg.norm(after.stacked()[:, :2, 2] - truth.stacked()[:, :2, 2], axis=1)
    assert away.max() < 0.02

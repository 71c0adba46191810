import numpy as np
import pytest

from smalti.geometry.derivatives import Spots
from smalti.steps.refining import RefineOptions
from smalti.steps.refining.problem.observations import Observations, Traits
from smalti.steps.refining.weighing.judging import judge, strata


def observations(counts, rng, turns=1.0):
    """Panels with these numbers of reflections, spread over a rotation."""
    panel = np.repeat(np.arange(len(counts)), counts)
    n = len(panel)
    spots = Spots(
        np.ones((n, 3)),
        np.ones(n, dtype=bool),
        rng.uniform(0.0, 2.0 * np.pi * turns, n),
        np.zeros(n, dtype=np.intp),
        panel,
    )
    no = np.zeros(n, dtype=bool)
    traits = Traits(np.ones((n, 3)), np.full(n, np.nan), np.ones(n), np.zeros(n), no, no, np.full(n, 0.2))
    return Observations.of(np.arange(n), spots, np.zeros((n, 3)), np.ones((n, 3)), traits)


def test_panels_are_apart_and_blocks_are_large_enough(rng):
    data = observations([1000, 150, 7, 0, 60], rng)
    groups = strata(data, RefineOptions(phi_block=18.0, minimum_stratum=40))
    for group in np.unique(groups):
        mine = groups == group
        assert len(set(data.spots.panel[mine])) == 1
        whole = (data.spots.panel == data.spots.panel[mine][0]).sum()
        assert mine.sum() >= min(40, whole)
    assert len(set(groups[data.spots.panel == 0])) > 10
    assert len(set(groups[data.spots.panel == 2])) == 1
    assert set(groups) == set(range(groups.max() + 1))


def test_blocks_are_ranges_of_the_angle(rng):
    data = observations([2000], rng)
    groups = strata(data, RefineOptions())
    order = np.argsort(data.spots.angle)
    assert (np.diff(groups[order]) >= 0).all()


class Harsh:
    """Rejects every reflection of panel-like stratum 0 and all large residuals."""

    name = "harsh"

    def weights(self, residuals, sigmas, groups):
        assert np.isfinite(residuals).all()
        return ((np.abs(residuals) < 3.0 * sigmas).all(axis=1) & (groups > 0)).astype(float)


def test_a_panel_never_loses_all_its_reflections(rng):
    data = observations([5, 500], rng)
    residuals = rng.normal(size=(data.n, 3))
    residuals[10] = 50.0
    residuals[20] = np.nan
    weights = judge(data, residuals, np.ones((data.n, 3)), data.spots.panel, Harsh())
    assert (weights[:5] == 1.0).all()
    assert weights[10] == 0.0 and weights[20] == 0.0
    assert weights[5:].sum() == pytest.approx(((np.abs(residuals[5:]) < 3.0).all(axis=1)).sum())

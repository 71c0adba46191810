"""Lattices in which an axis is wrong: never saved."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.lattice import multiple
from smalti.geometry.reciprocal import B_from_cell
from smalti.solution import Candidate
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.indexing.assigning import assign
from smalti.steps.indexing.diagnosing import strewn_about
from smalti.steps.indexing.sharpness import Sharpness, sharpness_of
from smalti.testing import synthetic
from smalti_plugins.indexers.wedge_fft import WedgeFFT

from .made_up import COMPONENTS, SMALL_CELL, sweep
from .test_more_lattices import together

LEAST = IndexOptions().least_sharpness


def misfits(rng, wrong, spread=0.0):
    """Distances of points from a lattice that has nothing to do with them in some directions."""
    A = B_from_cell((50.0, 60.0, 70.0, 90.0, 95.0, 90.0))
    h = rng.integers(-12, 13, size=(6000, 3)).astype(float)
    h[:, :wrong] += rng.uniform(-0.5, 0.5, size=(6000, wrong))
    return assign(A, h @ A.T + rng.normal(scale=spread, size=h.shape), 0.3).misfit


@pytest.mark.parametrize(("wrong", "part"), [(1, 0.5), (2, 0.25), (3, 0.125)])
def test_what_is_strewn_is_half_as_near_in_each_wrong_direction(rng, wrong, part):
    found = sharpness_of(misfits(rng, wrong))
    assert found.part == pytest.approx(part, abs=0.03)
    assert found.by_chance(LEAST)


@pytest.mark.parametrize("spread", [1e-4, 5e-4, 1e-3])
def test_a_right_lattice_is_sharp_even_where_the_geometry_is_not(rng, spread):
    found = sharpness_of(misfits(rng, 0, spread))
    assert found.part > 0.75
    assert not found.by_chance(LEAST)


def test_few_spots_have_to_be_sharper():
    assert Sharpness(0.7, 10).by_chance(LEAST)
    assert not Sharpness(0.7, 100).by_chance(LEAST)
    assert not Sharpness(0.9, 10).by_chance(LEAST)
    assert not Sharpness(0.1, 1000).by_chance(0.0)
    assert sharpness_of(np.zeros(0)) == Sharpness(0.0, 0)


class Wrong:
    """Proposes the crystal's lattice with its longest axis too short, by no simple ratio."""

    name = "wrong"

    def __init__(self, crystal):
        basis = np.array(crystal.real_space)
        self.A = np.linalg.inv(basis * np.array([1.0, 1.0, 0.6181])[:, None])

    def candidates(self, cloud, max_cell, known_cell=None):
        return [Candidate(self.A, 1.0)]


def test_a_lattice_with_a_wrong_axis_is_refused_with_what_was_seen_of_it(rng):
    experiments, spots, truth = sweep(rng, n=900, images=150)
    with pytest.raises(DataError) as caught:
        index(experiments, spots, Wrong(truth), *COMPONENTS, IndexOptions(search_beam=False))
    assert "strewn about these as if an axis were wrong (RMSDs up to" in caught.value.why
    assert "--auto" in caught.value.fix
    told = IndexOptions(search_beam=False, least_sharpness=0.0)
    result = index(experiments, spots, Wrong(truth), *COMPONENTS, told)
    assert any("RMSD" in warning for warning in result.warnings)


def test_candidates_that_fit_by_chance_come_after_the_others_and_are_told(rng):
    experiments, spots, truth = sweep(rng, n=900, images=150)

    class Both(Wrong):
        def candidates(self, cloud, max_cell, known_cell=None):
            right = Candidate(np.linalg.inv(np.array(truth.real_space)), 0.5)
            return [Candidate(self.A, 1.0), right]

    result = index(experiments, spots, Both(truth), *COMPONENTS, IndexOptions(search_beam=False, cycles=1))
    assert [trial.by_chance for trial in result.trials] == [False, True]
    assert [row["by_chance"] for row in result.summary()["candidates"]] == [False, True]
    assert "strewn: spots about its points" in result.text()


def test_two_crystals_with_a_long_axis_are_not_mixed_into_one_lattice():
    rng = np.random.default_rng([1, 77])
    cell = (58.0, 58.0, 150.0, 90.0, 90.0, 90.0)
    pair = [synthetic.crystal(cell, " P 1", tuple(rng.uniform(-1.5, 1.5, 3))) for _ in range(2)]
    experiments, spots, _ = together(rng, pair, (900, 900))
    options = IndexOptions(search_beam=False, cycles=1, max_cell=200.0)
    found = np.array(index(experiments, spots, WedgeFFT(), *COMPONENTS, options).crystal.real_space)
    assert 1 in [multiple(found, np.array(crystal.real_space), 0.02) for crystal in pair]


def test_the_error_needs_no_refinement():
    error = strewn_about((*SMALL_CELL,), 0.5, 0.4, ())
    assert "RMSD" not in error.why
    assert "50 % of them near its points" in error.why

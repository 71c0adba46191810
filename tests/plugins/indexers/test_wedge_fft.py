"""The wedge-wise Fourier indexer on lattices with known truth; no cell is told."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

from smalti.geometry.lattice import multiple
from smalti.geometry.rotation import rotation
from smalti.geometry.transform import Wedges
from smalti.solution import PointCloud
from smalti_plugins.indexers._bases import lattices
from smalti_plugins.indexers.wedge_fft import WedgeFFT, difference_histogram

from .clouds import cloud, orientation_matrix

THAUMATIN = (57.8, 57.8, 150.0, 90.0, 90.0, 90.0)
TRICLINIC = (31.2, 42.5, 55.1, 83.0, 97.0, 104.0)


def agrees(candidate, A, tolerance=0.03):
    return multiple(np.linalg.inv(candidate.A), np.linalg.inv(A), tolerance) == 1


@pytest.mark.parametrize(
    ("cell", "max_cell", "options"),
    [
        (THAUMATIN, 195.0, {"d_min": 4.0, "n": 3000}),
        (TRICLINIC, 80.0, {"n": 1500}),
        ((90.83, 90.83, 90.83, 109.4712, 109.4712, 109.4712), 150.0, {"d_min": 5.0, "n": 2000}),
        ((40.0, 45.0, 220.0, 90.0, 90.0, 90.0), 290.0, {"d_min": 4.0, "n": 3000}),
        ((5.42, 8.13, 12.02, 90.0, 90.0, 90.0), 25.0, {"d_min": 0.8}),
    ],
)
def test_the_first_candidate_is_the_primitive_lattice(cell, max_cell, options, rng):
    A = orientation_matrix(cell)
    found = WedgeFFT().candidates(cloud(A, rng, **options), max_cell)
    assert agrees(found[0], A)


@pytest.mark.parametrize("offset", [0.004, 0.012])
def test_a_wrong_beam_centre_does_not_double_the_cell(offset, rng):
    A = orientation_matrix(THAUMATIN)
    points = cloud(A, rng, d_min=4.0, n=4000, span=180.0, offset=offset)
    v = np.linalg.inv(A)[0]
    whole = abs(np.mean(np.exp(2j * np.pi * (points.points @ v))))
    assert whole < 0.98 if offset < 0.01 else whole < 0.8, "the plain transform does suffer"
    assert agrees(WedgeFFT().candidates(points, 195.0)[0], A)


def test_half_of_the_spots_may_be_spurious(rng):
    A = orientation_matrix(THAUMATIN)
    points = cloud(A, rng, d_min=4.0, n=3000, spurious=0.5)
    assert agrees(WedgeFFT().candidates(points, 195.0)[0], A)


def test_centring_is_found_as_a_smaller_primitive_lattice(rng):
    A = orientation_matrix((60.0, 60.0, 80.0, 90.0, 90.0, 90.0))
    points = cloud(A, rng, d_min=3.5, n=2000, rule=lambda h: h.sum(axis=1) % 2 == 0)
    best = WedgeFFT().candidates(points, 130.0)[0]
    assert multiple(np.linalg.inv(A), np.linalg.inv(best.A), 0.03) == 2


def test_too_few_or_aimless_points_give_nothing_or_nonsense_but_no_error(rng):
    empty = PointCloud(np.zeros((0, 3)), np.zeros(0), np.zeros(0, dtype=np.intp), np.array([1.0, 0, 0]))
    assert WedgeFFT().candidates(empty, 100.0) == []
    noise = rng.uniform(-0.2, 0.2, size=(300, 3))
    cloud_of_noise = PointCloud(
        noise, rng.uniform(0, 1.5, 300), np.zeros(300, dtype=np.intp), np.array([1.0, 0, 0])
    )
    for candidate in WedgeFFT().candidates(cloud_of_noise, 100.0):
        h = noise @ np.linalg.inv(candidate.A).T
        assert np.mean(np.linalg.norm(h - np.rint(h), axis=1) < 0.3) < 0.35


def test_histogram_holds_every_difference_once_and_its_transform_those_of_both_signs(rng):
    points = rng.uniform(-0.1, 0.1, size=(40, 3))
    wedges = Wedges.of(points, np.repeat([0, 1], 20))
    R, n = 0.25, 64
    once, both = np.zeros((n, n, n)), np.zeros((n, n, n))
    for k in range(2):
        p = wedges.points[20 * k : 20 * k + 20]
        for i, j in combinations(range(20), 2):
            d = p[j] - p[i]
            if d @ d < R * R:
                place = np.rint(d * n / (2 * R)).astype(int)
                once[tuple(place % n)] += np.exp(-2 * (d @ d) / R**2)
                for sign in (1, -1):
                    both[tuple(sign * place % n)] += np.exp(-2 * (d @ d) / R**2)
    found = difference_histogram(wedges, R, n)
    assert found == pytest.approx(once, rel=1e-5)
    assert 2.0 * np.fft.rfftn(found).real == pytest.approx(np.fft.rfftn(both), abs=1e-3)


def test_a_basis_that_leaves_vectors_at_halves_loses():
    basis = np.diag([40.0, 50.0, 60.0])
    h = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [2, 0, 0], [2, 1, 0]])
    found = lattices(h @ basis, np.ones(len(h)), 5)
    assert multiple(np.linalg.inv(found[0].A), basis) == 1
    assert found[0].score == pytest.approx(1.0)
    assert all(item.score < 1.0 for item in found[1:])


def test_each_of_two_crystals_gets_its_basis_however_long_its_third_axis(rng):
    first = np.diag([58.0, 58.0, 150.0])
    second = first @ rotation(rng.normal(size=3), 1.1).T
    steps = np.array([h for h in product((-2, -1, 0, 1, 2), repeat=3) if h > (0, 0, 0)])
    steps = steps[np.argsort(np.linalg.norm(steps @ first, axis=1), kind="stable")[:28]]
    vectors = np.concatenate([steps @ first, steps @ second])
    found = lattices(vectors + rng.normal(scale=0.1, size=vectors.shape), np.full(56, 0.22), 6)
    bases = [np.linalg.inv(item.A) for item in found]
    for truth in (first, second):
        # no vector of the other crystal takes part in the basis
        good = [k for k, basis in enumerate(bases) if multiple(basis, truth, 0.01) == 1]
        assert good and good[0] < 4

"""The coherent transform: what a wrong beam centre does to it, and that wedges are not so impressed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import j0

from smalti.geometry.lattice import multiple
from smalti.steps.indexing.centre import plane_axes
from smalti.steps.indexing.mapping import map_spots
from smalti.testing import synthetic
from smalti_plugins.indexers.fft1d import FFT1D
from smalti_plugins.indexers.fft3d import FFT3D, point_histogram
from smalti_plugins.indexers.wedge_fft import WedgeFFT

MAX_CELL = 195.0


def thaumatin(push, orientation=(0.0, 1.5, 0.1)):
    """A full sweep of the tutorial's crystal, a and b across the spindle, with the beam off by px."""
    rng = np.random.default_rng(1)
    truth = synthetic.experiment(
        synthetic.detector(), synthetic.crystal(synthetic.THAUMATIN, orientation=orientation)
    )
    _, table = synthetic.observations(truth, truth, rng, d_min=3.0, n=9000)
    fast, slow = plane_axes(truth.detector, truth.beam)
    moved = truth.detector.moved({(): (np.eye(3), 0.172 * (push[0] * fast + push[1] * slow))})
    item = replace(truth, detector=moved, crystal=None)
    mapped = map_spots([item], table, np.zeros(table.n_rows, dtype=np.intp))
    return mapped.cloud([item], np.arange(table.n_rows)), np.array(truth.crystal.real_space)


def coherent(points, v):
    return float(np.cos(2 * np.pi * (points @ v)).mean())


@pytest.mark.parametrize("pixels", [5, 8, 12])
def test_peaks_are_attenuated_as_bessel_says(pixels):
    cloud, axes = thaumatin((0, pixels))
    for v in (*axes[:2], *(2 * axes[:2])):
        x = 2 * np.pi * np.linalg.norm(v[1:]) * 0.172 * pixels / (0.9686 * 400.0)
        # the shift shrinks with the angle of diffraction, which the formula leaves out
        assert coherent(cloud.points, v) == pytest.approx(j0(x), abs=0.09)


def test_along_the_spindle_an_offset_attenuates_nothing():
    cloud, axes = thaumatin((15, 0))
    whole = abs(np.exp(2j * np.pi * (cloud.points @ axes[0])).mean())
    assert whole > 0.95


def test_the_strongest_peaks_double_the_cell_where_the_beam_is_wrong():
    """The doubled cell of the tutorial, on purpose; indexers that add powers of wedges find the right one."""
    cloud, axes = thaumatin((0, 15))
    a, twice = abs(coherent(cloud.points, axes[0])), abs(coherent(cloud.points, 2 * axes[0]))
    assert twice > 2 * a
    wrong = FFT3D(basis="strongest").candidates(cloud, MAX_CELL)[0]
    factor = abs(np.linalg.det(np.linalg.inv(wrong.A)) / np.linalg.det(axes))
    assert factor == pytest.approx(2.0, rel=0.05)
    for indexer in (WedgeFFT(), FFT1D()):
        assert multiple(np.linalg.inv(indexer.candidates(cloud, MAX_CELL)[0].A), axes, 0.04) == 1


def test_with_the_right_beam_the_strongest_peaks_are_the_cell():
    cloud, axes = thaumatin((0, 0))
    assert multiple(np.linalg.inv(FFT3D(basis="strongest").candidates(cloud, MAX_CELL)[0].A), axes, 0.04) == 1


def test_histogram_holds_every_point_and_its_opposite(rng):
    points = rng.uniform(-0.1, 0.1, size=(50, 3))
    R, n = 0.4, 32
    expected = np.zeros((n, n, n))
    for point in (*points, *-points):
        place = np.rint(np.abs(point) * n / (2 * R)) * np.sign(point)
        expected[tuple(place.astype(int) % n)] += np.exp(-2 * (point @ point) / R**2)
    assert point_histogram(points, R, n) == pytest.approx(expected, rel=1e-5)

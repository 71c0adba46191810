"""What indexers that are not told the cell have to find: all lattices, few spots, junk, narrow sweeps."""

from __future__ import annotations

import numpy as np
import pytest

from smalti.geometry.lattice import multiple
from smalti_plugins.indexers.fft1d import FFT1D
from smalti_plugins.indexers.fft3d import FFT3D
from smalti_plugins.indexers.wedge_fft import WedgeFFT

from .clouds import cloud, orientation_matrix

THAUMATIN = (57.8, 57.8, 150.0, 90.0, 90.0, 90.0)
TRICLINIC = (31.2, 42.5, 55.1, 83.0, 97.0, 104.0)

CASES = {
    "triclinic": (TRICLINIC, 80.0, {"n": 1500}),
    "monoclinic": ((20.0, 30.0, 41.0, 90.0, 100.0, 90.0), 60.0, {"n": 1500}),
    "orthorhombic": ((40.0, 52.0, 63.0, 90.0, 90.0, 90.0), 100.0, {"n": 1500}),
    "tetragonal": (THAUMATIN, 195.0, {"d_min": 4.0, "n": 3000}),
    "hexagonal": ((60.0, 60.0, 90.0, 90.0, 90.0, 120.0), 130.0, {"n": 2000}),
    "cubic": ((70.0, 70.0, 70.0, 90.0, 90.0, 90.0), 100.0, {"n": 2000}),
    "body-centred": ((90.83, 90.83, 90.83, 109.4712, 109.4712, 109.4712), 150.0, {"d_min": 5.0, "n": 2000}),
    "small": ((5.42, 8.13, 12.02, 90.0, 90.0, 90.0), 25.0, {"d_min": 0.8}),
    "300 spots": (THAUMATIN, 195.0, {"d_min": 4.0, "n": 300}),
    "20 degrees": (THAUMATIN, 195.0, {"d_min": 4.0, "span": 20.0}),
    "half spurious": (TRICLINIC, 80.0, {"n": 1500, "spurious": 0.5}),
}


def agrees(candidate, A, tolerance=0.04):
    return multiple(np.linalg.inv(candidate.A), np.linalg.inv(A), tolerance) == 1


TRIED = [
    *((indexer, case) for indexer in (FFT3D(), FFT1D()) for case in CASES),
    # the other cases have tests of their own
    *((WedgeFFT(), case) for case in ("hexagonal", "monoclinic", "300 spots", "20 degrees", "half spurious")),
]


@pytest.mark.parametrize(("indexer", "case"), TRIED, ids=lambda item: getattr(item, "name", item))
def test_the_lattice_comes_first(indexer, case, rng):
    cell, max_cell, options = CASES[case]
    A = orientation_matrix(cell)
    points = cloud(A, rng, **options)
    found = indexer.candidates(points, max_cell)
    assert agrees(found[0], A)
    if case == "300 spots":
        again = indexer.candidates(points, max_cell)
        assert all(np.array_equal(a.A, b.A) for a, b in zip(found, again, strict=True))


@pytest.mark.parametrize("indexer", [WedgeFFT(), FFT1D()], ids=lambda indexer: indexer.name)
def test_one_axis_may_be_26_times_another(indexer, rng):
    A = orientation_matrix((10.0, 12.0, 260.0, 90.0, 90.0, 90.0))
    assert agrees(indexer.candidates(cloud(A, rng, d_min=1.5, n=3000), 340.0)[0], A)


@pytest.mark.parametrize("offset", [0.004, 0.012])
def test_transforms_along_directions_do_not_feel_the_beam_centre_either(offset, rng):
    A = orientation_matrix(THAUMATIN)
    points = cloud(A, rng, d_min=4.0, n=4000, span=180.0, offset=offset)
    assert agrees(FFT1D().candidates(points, 195.0)[0], A)

"""Small refinement problems with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.testing import synthetic


@pytest.fixture(scope="session")
def displaced_problem():
    """Truth, nominal experiments and 9,000 reflections on 10 displaced modules of a Pilatus 1M."""
    rng = np.random.default_rng(11)
    detector = synthetic.detector("PILATUS 1M", 160.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.08, 0.08, 0.04)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.2, n=9000)
    return truth, experiments, table


@pytest.fixture(scope="session")
def block_problem():
    """Truth, nominal experiments and 3,000 reflections of a single panel that is out as a whole."""
    rng = np.random.default_rng(12)
    detector = synthetic.detector("PILATUS 300K", 150.0, modules=False)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.5, 0.5, 0.5), (2e-3, 2e-3, 2e-3)))
    experiments, table = synthetic.observations(truth, nominal, rng, d_min=2.2, n=3000)
    return truth, experiments, table


@pytest.fixture
def errors_um():
    """Function of two detectors: in-plane and normal errors (um) of panel centres after superposition."""

    def compare(a, b):
        from smalti.geometry.superposition import panel_motions

        moved = panel_motions(a.stacked(), b.stacked(), np.array([p.size_mm for p in a.panels]))
        return np.hypot(*moved.shift[:, :2].T) * 1e3, np.abs(moved.shift[:, 2]) * 1e3

    return compare

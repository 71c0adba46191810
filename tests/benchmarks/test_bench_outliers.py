"""How long judging and reporting take at the size of the tutorial's data."""

from __future__ import annotations

import numpy as np
import pytest

from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant
from smalti_plugins.outliers.tukey import Tukey


@pytest.mark.parametrize("rejector", [Tukey(), MinimumCovarianceDeterminant()], ids=lambda r: r.name)
@pytest.mark.parametrize("n_strata", [60, 1200])
def test_weights(benchmark, rejector, n_strata, rng):
    residuals = rng.normal(size=(186_000, 3))
    strata = rng.integers(0, n_strata, 186_000)
    kept = benchmark(rejector.weights, residuals, np.ones_like(residuals), strata)
    assert kept.mean() > 0.95

"""Fixtures shared by the tests of the report."""

from __future__ import annotations

import numpy as np
import pytest
from tests.framework.steps.reporting.displaced import flagged, stages

from smalti.steps.reporting import make_report


@pytest.fixture(scope="package")
def compared():
    before, (experiments, table) = stages(empty=(17,), outliers=0.03)
    difference = np.abs(table["xyzcal.mm"] - table["xyzobs.mm.value"])
    table = flagged(table, (difference > [0.1, 0.1, 0.01]).any(axis=1))
    return before, (experiments, table), make_report(experiments, table, before=before, title="a < b & c")

"""Numbers that overflow where models have nothing to do with the data end in words."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.steps.refining.problem.remembering import Remembering
from smalti.steps.refining.solving.projecting import started
from smalti.testing.contracts.minimisers import curved


@dataclass(frozen=True)
class Overflowing:
    """A problem whose derivatives overflow beyond a place."""

    source: object
    beyond: float

    def normal_equations(self, p):
        now = self.source.normal_equations(p)
        return replace(now, matrix=np.full_like(now.matrix, np.inf)) if p[0] > self.beyond else now


START = np.array([40.0, 0.6, 5.0])


def test_where_derivatives_overflow_a_step_is_refused():
    remembering = Remembering(Overflowing(curved(), 50.0))
    assert np.isfinite(remembering.normal_equations(START).objective)
    assert remembering.normal_equations(START + (20.0, 0.0, 0.0)).objective == np.inf


def test_a_start_that_overflows_is_told_in_words():
    started(Remembering(Overflowing(curved(), 50.0)), START)
    with pytest.raises(DataError, match="ran away from its data"):
        started(Remembering(Overflowing(curved(), 30.0)), START)

"""A source that remembers its last linearisation."""

import numpy as np

from smalti.steps.refining.problem.remembering import Remembering
from smalti.testing.contracts.minimisers import curved


def test_the_same_point_is_linearised_once_and_another_again(monkeypatch):
    source, asked = curved(), []
    plain = type(source).normal_equations
    monkeypatch.setattr(
        type(source), "normal_equations", lambda self, p: (asked.append(p.copy()), plain(self, p))[1]
    )
    remembering = Remembering(source)
    p = np.array([40.0, 0.6, 5.0])
    first = remembering.normal_equations(p)
    assert remembering.normal_equations(p.copy()) is first and len(asked) == 1
    p[0] += 1.0  # the caller may change its array
    other = remembering.normal_equations(p)
    assert len(asked) == 2 and other.objective == source.objective(p) != first.objective
    assert remembering.normal_equations(first.parameters).objective == first.objective
    assert remembering.n_parameters == 3 and remembering.objective(p) == source.objective(p)
    np.testing.assert_array_equal(remembering.residuals(p), source.residuals(p))
    assert (remembering.jacobian(p) != source.jacobian(p)).nnz == 0

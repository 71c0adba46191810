"""The law of noise is found again, from reflections and from sums over classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.derivatives import Spots
from smalti.steps.refining.problem.observations import Observations, Traits
from smalti.steps.streaming.law import Classes, Law, law_of_classes, law_of_group, law_of_many

TRUE = Law(200.0, (0.01, 0.02), (0.02, 0.01), (4.0, 0.05, 0.1))


def simulated(n: int = 40_000) -> tuple[Observations, np.ndarray]:
    rng = np.random.default_rng(11)
    spots = Spots(np.ones((n, 3)), np.ones(n, bool), np.zeros(n), np.zeros(n, np.intp), np.zeros(n, np.intp))
    traits = Traits(
        np.where(np.arange(n)[:, None] < n // 2, [0.11, 0.11, 0.001], [0.11, 0.11, 0.005]),
        200.0 * np.exp(rng.normal(size=n)),
        rng.uniform(0.1, 1.0, n),
        np.zeros(n),
        np.zeros(n, bool),
        np.arange(n) < n // 2,
        np.full(n, 0.2),
    )
    data = Observations(
        np.arange(n), spots, np.zeros((n, 3)), np.full((n, 3), 1e-4), traits, np.array([0, n], dtype=np.int64)
    )
    return data, rng.normal(size=(n, 3)) * np.sqrt(TRUE.variance(data))


def close(law: Law, part: float) -> None:
    for found, true in zip(law.coefficients, TRUE.coefficients, strict=True):
        np.testing.assert_allclose(found, true, rtol=part)


def test_of_reflections_with_outliers_among_them() -> None:
    data, deviations = simulated()
    deviations[::50] *= 30.0
    close(law_of_group(deviations, data, 200.0), 0.2)


def test_of_sums_over_classes() -> None:
    data, deviations = simulated()
    used = np.ones(data.n, dtype=bool)
    half = np.arange(data.n) % 2 == 0
    classes = Classes.of(deviations, data, half, 200.0).plus(Classes.of(deviations, data, ~half, 200.0))
    whole = Classes.of(deviations, data, used, 200.0)
    np.testing.assert_allclose(classes.sums, whole.sums, rtol=1e-9, atol=1e-9)
    start = Law(200.0, (0.05, 0.0), (0.05, 0.0), (10.0, 0.2, 0.0))
    close(law_of_classes(classes, start, 1.0), 0.1)


def test_parameters_that_took_their_part_are_allowed_for() -> None:
    data, deviations = simulated()
    classes = Classes.of(0.9 * deviations, data, np.ones(data.n, bool), 200.0)
    close(law_of_classes(classes, TRUE, 0.81), 0.1)


def test_the_median_of_many_ignores_a_bad_one() -> None:
    bad = replace(TRUE, x=(9.0, 9.0))
    assert law_of_many([TRUE, bad, TRUE]) == TRUE
    assert TRUE.differs(bad) == pytest.approx(1.0 - 0.03 / 18.0)
    assert TRUE.differs(TRUE) == 0.0


def test_no_variance_is_nothing() -> None:
    data, _ = simulated(100)
    assert (Law(200.0, (0.0, 0.0), (0.0, 0.0), (0.0, 0.0, 0.0)).variance(data) > 0.0).all()

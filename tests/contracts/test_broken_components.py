"""The contracts notice components that break them: a check that passes everything is no check."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from smalti.discovery import discover
from smalti.options import option
from smalti.solution import Match
from smalti.testing.contracts import check


def problems(role, cls):
    return {verdict.check: verdict.problem for verdict in check(role, cls) if verdict.problem}


def good(role, name):
    return discover().make(role, name)


@dataclass(frozen=True)
class EverywhereFinder:
    name: ClassVar[str] = "everywhere"

    def find(self, counts, mask):
        return np.arange(counts.size, dtype=np.intp)


@dataclass(frozen=True)
class BackwardsFinder:
    name: ClassVar[str] = "backwards"

    def find(self, counts, mask):
        return good("spot_finder", "dispersion").find(counts, mask)[::-1]


@dataclass(frozen=True)
class NeverFinder:
    name: ClassVar[str] = "never"

    def find(self, counts, mask):
        return np.zeros(0, dtype=np.intp)


def test_a_finder_that_ignores_the_mask():
    found = problems("spot_finder", EverywhereFinder)
    assert "flat frame" in found["finds nothing where there is nothing"]
    assert "outside the mask" in found["keeps inside the mask"]


def test_a_finder_out_of_order():
    assert "not ascending" in problems("spot_finder", BackwardsFinder)["finds obvious spots"]


def test_a_finder_that_finds_nothing():
    found = problems("spot_finder", NeverFinder)
    assert "was missed" in found["finds obvious spots"]
    assert "finds nothing where there is nothing" not in found


@dataclass(frozen=True)
class LazyMinimiser:
    """Stays at its start and says that it converged."""

    name: ClassVar[str] = "lazy"

    def minimise(self, source, start):
        done = good("minimiser", "gauss_newton").minimise(source, start)
        return replace(
            done, parameters=start, objective=source.objective(start), steps=done.steps[:1], covariance=None
        )


@dataclass(frozen=True)
class MeddlingMinimiser:
    name: ClassVar[str] = "meddling"

    def minimise(self, source, start):
        solution = good("minimiser", "gauss_newton").minimise(source, start.copy())
        start += 1.0
        return solution


def test_a_minimiser_that_does_not_minimise():
    found = problems("minimiser", LazyMinimiser)
    assert "standard deviations away" in found["reaches the minimum of a straight problem"]


def test_a_minimiser_that_changes_its_input():
    found = problems("minimiser", MeddlingMinimiser)
    assert "changes the start" in found["reaches the minimum of a straight problem"]


@dataclass(frozen=True)
class ScaledParameterisation:
    """Says that everything moves twice as far as it does."""

    name: ClassVar[str] = "scaled"

    def parameters(self, detector):
        return good("detector_parameterisation", "hierarchical").parameters(detector)

    def compose(self, detector, p):
        return good("detector_parameterisation", "hierarchical").compose(detector, p)

    def derivatives(self, detector, p):
        given = good("detector_parameterisation", "hierarchical").derivatives(detector, p)
        return replace(given, values=2 * given.values)

    def prior(self, detector):
        return good("detector_parameterisation", "hierarchical").prior(detector)

    def gauge(self, detector):
        return good("detector_parameterisation", "hierarchical").gauge(detector)


def test_wrong_derivatives():
    found = problems("detector_parameterisation", ScaledParameterisation)
    assert set(found) == {"differentiates rightly"}


@dataclass(frozen=True)
class GenerousRejector:
    name: ClassVar[str] = "generous"
    limit: float = 3.0

    def weights(self, residuals, sigmas, strata):
        return np.full(len(residuals), 2.0)


def test_weights_out_of_range_and_an_option_without_meaning():
    found = problems("outlier_rejector", GenerousRejector)
    assert "outside [0, 1]" in found["keeps clean data"]
    assert found["explains its options"] == "options without a meaning: limit"


@dataclass(frozen=True)
class GreedyReader:
    name: ClassVar[str] = "greedy"

    def match(self, path, head):
        return Match.INSTRUMENT

    def open(self, paths):
        raise ValueError("cannot")


def test_a_reader_that_claims_everything_and_raises_what_it_likes():
    found = problems("reader", GreedyReader)
    assert "which is no image" in found["declines what is no image"]
    assert "ValueError: cannot" in found["refuses what it cannot read in words"]


@dataclass(frozen=True)
class LocalRejector:
    name: ClassVar[str] = "local"
    spread: object = option(1.0, "Anything.")

    def weights(self, residuals, sigmas, strata):
        return np.ones(len(residuals))

    def __reduce__(self):
        raise TypeError("a lock cannot be pickled")


def test_a_component_that_cannot_go_to_a_worker():
    found = problems("outlier_rejector", LocalRejector)
    assert "cannot be pickled" in found["survives the way to a worker"]
    assert "keep their weight" in found["drops gross outliers"]

"""The contracts notice components that break them: a check that passes everything is no check."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from smalti.discovery import discover
from smalti.options import option
from smalti.solution import Match
from smalti.testing.contracts import check, parameterisations
from smalti.testing.contracts.breach import BrokenContractError


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
    assert "the derivative of panel 0 by Dist is wrong by 1" in found["differentiates rightly"]


def wrapped(check_name="", **broken):
    """What one check says of the hierarchical parameterisation, level 1, with some answers replaced."""

    @dataclass(frozen=True)
    class Wrapped:
        name: ClassVar[str] = "wrapped"

        def _inner(self):
            return replace(good("detector_parameterisation", "hierarchical"), level=1)

        def parameters(self, detector):
            answer = self._inner().parameters(detector)
            return broken.get("parameters", lambda x: x)(answer)

        def compose(self, detector, p):
            return broken.get("compose", lambda x: x)(self._inner().compose(detector, p))

        def derivatives(self, detector, p):
            return broken.get("derivatives", lambda x: x)(self._inner().derivatives(detector, p))

        def prior(self, detector):
            return broken.get("prior", lambda x: x)(self._inner().prior(detector))

        def gauge(self, detector):
            return broken.get("gauge", lambda x: x)(self._inner().gauge(detector))

        def alternatives(self, detector):
            return broken.get("alternatives", lambda x: x)(self._inner().alternatives(detector))

    for one in parameterisations.CHECKS:
        if one.__name__ == check_name:
            with pytest.raises(BrokenContractError) as caught:
                one(Wrapped())
            return str(caught.value)
    raise KeyError(check_name)


@pytest.mark.parametrize(
    ("broken", "check_name", "problem"),
    [
        (
            {"parameters": lambda items: tuple(replace(item, panels=(0,)) for item in items)},
            "moves the panels it says",
            "Dist says that it moves panels [0]",
        ),
        ({"gauge": lambda g: g[:0]}, "names what nobody sees", "the gauge names 0"),
        ({"gauge": lambda g: g + 0.1}, "names what nobody sees", "of the gauge moves a panel"),
        (
            {"prior": lambda prior: replace(prior, precision=np.inf * prior.precision)},
            "gives prior and gauge their shapes",
            "not finite",
        ),
        (
            {"prior": lambda prior: replace(prior, groups=("a",))},
            "gives prior and gauge their shapes",
            "1 groups",
        ),
        ({"alternatives": lambda _: {}}, "offers alternatives that work", "no alternatives"),
        ({"alternatives": lambda _: {"odd": 7}}, "offers alternatives that work", "'odd' is no"),
        (
            {"alternatives": lambda items: dict(reversed(items.items()))},
            "offers alternatives that work",
            "not the simplest",
        ),
    ],
)
def test_answers_of_parameterisations_that_break_the_contract(broken, check_name, problem):
    assert problem in wrapped(check_name.replace(" ", "_"), **broken)


def test_a_parameterisation_with_a_memory():
    calls = []

    def moved_further_every_time(detector):
        calls.append(1)
        return detector.moved({(): (np.eye(3), np.array([0.0, 0.0, 1e-6 * len(calls)]))})

    found = wrapped("keeps_no_state", compose=moved_further_every_time)
    assert "composing twice gives two detectors" in found


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

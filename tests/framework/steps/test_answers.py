"""A component whose answer keeps no contract is named; nothing is refined against its answer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from smalti.errors import PluginError
from smalti.solution import Candidate, Ended, Solution
from smalti.steps.answers import candidates_of, solution_of, weights_of


@dataclass(frozen=True)
class Answering:
    """A component of any role that gives one answer."""

    answer: Any
    name = "answering"

    def weights(self, *_):
        return self.answer

    minimise = candidates = weights


def solution(parameters):
    return Solution(np.array(parameters), 1.0, (), next(iter(Ended)))


ASKING = {
    "weights": lambda answer: weights_of(
        Answering(answer), np.zeros((2, 3)), np.ones((2, 3)), np.zeros(2, int)
    ),
    "solution": lambda answer: solution_of(Answering(answer), None, np.zeros(2)),
    "candidates": lambda answer: candidates_of(Answering(answer), None, 100.0, None),
}


@pytest.mark.parametrize(
    ("role", "answer"),
    [
        ("weights", np.array([0.0, 0.5])),
        ("weights", np.array([True, False])),
        ("solution", solution([1.0, 2.0])),
        ("candidates", (Candidate(np.eye(3), 1.0),)),
        ("candidates", []),
    ],
)
def test_good_answers_pass(role, answer):
    np.testing.assert_equal(ASKING[role](answer), answer)


@pytest.mark.parametrize(
    ("role", "answer", "given"),
    [
        ("weights", None, "None"),
        ("weights", np.ones(3), r"shape \(3,\)"),
        ("weights", np.array([0.5, np.nan]), "not finite"),
        ("weights", np.array([0.0, 1.5]), "from 0 to 1.5"),
        ("weights", np.array([-0.1, 1.0]), "from -0.1"),
        ("weights", ["good", "bad"], "a list"),
        ("solution", None, "None"),
        ("solution", np.zeros(2), "float64"),
        ("solution", solution([1.0]), r"shape \(1,\)"),
        ("solution", solution([1.0, np.inf]), "not finite"),
        ("candidates", None, "None"),
        ("candidates", [np.eye(3)], "among them"),
        ("candidates", [Candidate(np.eye(2), 1.0)], r"shape \(2, 2\)"),
        ("candidates", [Candidate(np.zeros((3, 3)), 1.0)], "no volume"),
    ],
)
def test_bad_answers_are_named(role, answer, given):
    with pytest.raises(PluginError, match=rf"'answering' did not give[\s\S]*{given}"):
        ASKING[role](answer)

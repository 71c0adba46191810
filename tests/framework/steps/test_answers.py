"""A component whose answer keeps no contract is named; nothing is refined against its answer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from smalti.errors import PluginError
from smalti.solution import Candidate, Ended, PanelDerivatives, Parameter, Prior, Solution
from smalti.steps.answers import (
    candidates_of,
    derivatives_of,
    displaced_by,
    parameters_of,
    prior_of,
    solution_of,
    weights_of,
)
from smalti.testing import synthetic


@dataclass(frozen=True)
class Answering:
    """A component of any role that gives one answer."""

    answer: Any
    name = "answering"

    def weights(self, *_):
        return self.answer

    minimise = candidates = parameters = compose = derivatives = prior = weights


def solution(parameters, **changes):
    return replace(Solution(np.array(parameters), 1.0, (), next(iter(Ended))), **changes)


DETECTOR = synthetic.detector("PILATUS 300K")


def sheared():
    frames = DETECTOR.stacked()
    frames[1, :, 0] *= 1.01
    return DETECTOR.with_panel_frames(frames)


def slopes(columns, values=None):
    columns = np.array(columns)
    return PanelDerivatives(columns, np.zeros((*columns.shape, 3, 3)) if values is None else values)


ASKING = {
    "parameters": lambda answer: parameters_of(Answering(answer), DETECTOR),
    "compose": lambda answer: displaced_by(Answering(answer), DETECTOR, np.zeros(2)),
    "derivatives": lambda answer: derivatives_of(Answering(answer), DETECTOR, np.zeros(2)),
    "prior": lambda answer: prior_of(Answering(answer), DETECTOR, 2),
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
        ("parameters", (Parameter("Dist", "mm", (0, 2)), Parameter("Tau1", "mrad", (1,)))),
        ("parameters", ()),
        ("compose", DETECTOR),
        ("derivatives", slopes([[0, -1], [1, 0], [-1, -1]])),
        ("prior", Prior(np.zeros(2), np.array([0.0, 4.0]))),
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
        ("solution", solution([1.0, 1e200]), r"beyond 1e\+100"),
        ("solution", solution([1.0, 2.0], objective=np.nan), "not finite"),
        ("solution", solution([1.0, 2.0], objective=None), "None"),
        ("solution", solution([1.0, 2.0], steps=None), "None"),
        ("solution", solution([1.0, 2.0], steps=(1,)), "a tuple"),
        ("solution", solution([1.0, 2.0], ended="fine"), "a str"),
        ("candidates", None, "None"),
        ("candidates", [np.eye(3)], "among them"),
        ("candidates", [Candidate(np.eye(2), 1.0)], r"shape \(2, 2\)"),
        ("candidates", [Candidate(np.zeros((3, 3)), 1.0)], "no volume"),
        ("parameters", None, "None"),
        ("parameters", ["Dist"], "a str among them"),
        ("parameters", [Parameter("Dist", "mm"), Parameter("Dist", "mm")], "'Dist' more than once"),
        ("parameters", [Parameter("", "mm")], "without a name"),
        ("parameters", [Parameter("Dist", "mm", (3,))], "'Dist' of panel 3"),
        ("compose", None, "None"),
        ("compose", synthetic.detector("PILATUS 300K", modules=False), "one of 1"),
        ("compose", DETECTOR.with_panel_frames(np.nan * DETECTOR.stacked()), "not finite"),
        ("compose", sheared(), "orthonormal"),
        ("derivatives", np.zeros((3, 2, 3, 3)), "float64"),
        ("derivatives", slopes([[0], [1]]), r"int64 of shape \(2, 1\)"),
        ("derivatives", slopes([[0.0], [1.0], [0.0]]), "float64"),
        ("derivatives", slopes([[0], [1], [2]]), "columns from 0 to 2"),
        ("derivatives", slopes([[0], [1], [0]], np.zeros((3, 1, 3))), r"shape \(3, 1, 3\)"),
        ("derivatives", slopes([[0], [1], [0]], np.full((3, 1, 3, 3), np.nan)), "not finite"),
        ("prior", None, "None"),
        ("prior", Prior(np.zeros(3), np.ones(3)), r"shape \(3,\)"),
        ("prior", Prior(np.zeros(2), np.array([1.0, np.inf])), "not finite"),
        ("prior", Prior(np.zeros(2), np.array([1.0, -1.0])), "-1"),
    ],
)
def test_bad_answers_are_named(role, answer, given):
    with pytest.raises(PluginError, match=rf"'answering' did not give[\s\S]*{given}"):
        ASKING[role](answer)


def test_numbers_in_lists_are_taken_as_arrays():
    taken = solution_of(Answering(replace(solution([0.0]), parameters=[1, 2])), None, np.zeros(2))
    assert taken.parameters.dtype == np.float64
    found = derivatives_of(
        Answering(slopes([[0], [1], [0]], np.zeros((3, 1, 3, 3)).tolist())), DETECTOR, np.zeros(2)
    )
    assert found.values.shape == (3, 1, 3, 3)


def test_a_rejector_cannot_change_what_it_judges():
    class Writing:
        name = "writing"

        def weights(self, residuals, sigmas, strata):
            residuals[:] = 0.0
            return np.ones(len(residuals))

    residuals = np.ones((2, 3))
    with pytest.raises(ValueError, match="read-only"):
        weights_of(Writing(), residuals, np.ones((2, 3)), np.zeros(2, int))
    assert residuals.all() and residuals.flags.writeable


def test_a_minimiser_cannot_move_the_start():
    class Moving:
        name = "moving"

        def minimise(self, source, start):
            start += 1.0
            return solution([1.0, 1.0])

    start = np.zeros(2)
    solution_of(Moving(), None, start)
    assert not start.any()

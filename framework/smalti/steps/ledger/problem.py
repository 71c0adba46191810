"""What all runs of a ledger have in common: the detector as it came, and how it may move."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from smalti.errors import DataError
from smalti.models import Detector, Experiment
from smalti.steps.streaming.common import Common
from smalti.text import plural
from smalti.units import UM

__all__ = ["Problem", "problem_of", "refuse_another"]

_SAME = 1e-6
_MEANING = ("fix_detector", "fix_beam", "fix", "equal_shifts", "distance", "distance_sigma", "weak_priors")
"""Options that say what the shared parameters are and what holds them."""


@dataclass(frozen=True)
class Problem:
    """The shared parameters, and what they mean.

    Attributes
    ----------
    common : Common
        Of the run that began the ledger; its example stands for all.
    parameterisation : str
        Name of the component.
    """

    common: Common
    parameterisation: str

    @property
    def detector(self) -> Detector:
        """The detector as it came."""
        return self.common.detector

    @property
    def example(self) -> Experiment:
        """An experiment that has it."""
        return self.common.example

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the shared parameters."""
        return tuple(parameter.name for parameter in self.common.parameters)

    @property
    def options(self) -> dict[str, Any]:
        """Options that give the parameters their meaning."""
        everything = asdict(self.common.options)
        own = asdict(self.common.parameterisation)  # type: ignore[call-overload]
        return {name: everything[name] for name in _MEANING} | {f"detector.{k}": v for k, v in own.items()}


def problem_of(common: Common) -> Problem:
    """Give the problem of a stream."""
    return Problem(common, common.parameterisation.name)


def refuse_another(problem: Problem, other: Problem, where: str) -> None:
    """See that sums about one problem are about the other, too.

    Raises
    ------
    DataError
        Says what differs: the detector, its parameterisation, an option or the parameters.
    """
    what = _difference(problem, other)
    if what:
        raise DataError(
            f"{where} is not about the same problem.",
            what,
            "Sums can only be added if they are about the same parameters of the same detector: refine from "
            "the same detector, with the same level and the same options.",
        )


def _difference(problem: Problem, other: Problem) -> str:
    if len(problem.detector) != len(other.detector):
        return f"The detectors have {len(problem.detector)} and {plural(len(other.detector), 'panel')}."
    away = np.abs(problem.detector.stacked() - other.detector.stacked()).max(axis=(1, 2))
    if away.max(initial=0.0) > _SAME:
        worst = int(np.argmax(away))
        return f"The detectors as they came differ, by {away[worst] / UM:.3g} um at panel {worst}."
    if problem.parameterisation != other.parameterisation:
        return f"One detector moves as '{problem.parameterisation}', the other as '{other.parameterisation}'."
    theirs = other.options
    for name, value in problem.options.items():
        if value != theirs.get(name):
            return f"{name} is {value} in one and {theirs.get(name)} in the other."
    if problem.names != other.names:
        strange = sorted(set(problem.names) ^ set(other.names))
        return f"The parameters differ: {', '.join(strange[:3])}."
    beams = [item.common.example.beam.s0 if item.common.one_beam else None for item in (problem, other)]
    if (beams[0] is None) != (beams[1] is None):
        return "One has a beam that is refined, the other has not."
    if beams[0] is not None and beams[1] is not None and np.abs(beams[0] - beams[1]).max() > _SAME:
        return "The beams as they came differ."
    return ""

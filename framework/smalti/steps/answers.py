"""Ask a plugin's component and check its answer, so that a broken one is named and not believed.

What a component lets out as an exception is put into words by the command line; here are the answers
that keep no contract and would be refined against, or end in an error far from their cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smalti.errors import PluginError
from smalti.models import Detector
from smalti.roles import DetectorParameterisation, Indexer, Minimiser, NormalSource, OutlierRejector
from smalti.solution import (
    Candidate,
    Ended,
    PanelDerivatives,
    Parameter,
    PointCloud,
    Prior,
    Solution,
    Step,
)
from smalti.text import plural

__all__ = [
    "broken",
    "candidates_of",
    "derivatives_of",
    "displaced_by",
    "kind_of",
    "parameters_of",
    "prior_of",
    "read_only",
    "solution_of",
    "weights_of",
]

Array = NDArray[np.float64]
T = TypeVar("T", bound=np.generic)

_SHEAR = 1e-6
"""Departure from orthonormal axes that is no rounding."""

_HUGE = 1e100
"""No length, angle or precision is larger; squares of larger numbers and their sums overflow."""


def weights_of(rejector: OutlierRejector, residuals: Array, sigmas: Array, strata: NDArray[np.intp]) -> Array:
    """Ask an outlier rejector for weights, (N,), and see that each is from 0 to 1.

    It sees what it judges and cannot change it: the residuals are refined against afterwards.

    Raises
    ------
    PluginError
    """
    answer = rejector.weights(read_only(residuals), read_only(sigmas), read_only(strata))
    wanted = f"{len(residuals)} weights from 0 to 1"
    weights = _numbers(f"The outlier rejector '{rejector.name}'", answer, (len(residuals),), wanted)
    if weights.size and not (weights.min() >= 0.0 and weights.max() <= 1.0):
        raise broken(
            f"The outlier rejector '{rejector.name}'",
            wanted,
            f"weights from {weights.min():g} to {weights.max():g}",
        )
    return weights


def solution_of(minimiser: Minimiser, source: NormalSource, start: Array) -> Solution:
    """Ask a minimiser for a solution, and see that it has parameters, an objective, steps and an end.

    Raises
    ------
    PluginError
    """
    solution = minimiser.minimise(source, start.copy())
    name, wanted = f"The minimiser '{minimiser.name}'", f"a Solution of {start.size} parameters"
    if not isinstance(solution, Solution):
        raise broken(name, wanted, kind_of(solution))
    parameters = _numbers(name, solution.parameters, start.shape, f"{wanted}: parameters")
    objective = float(_numbers(name, solution.objective, (), f"{wanted}: objective"))
    if not isinstance(solution.ended, Ended):
        raise broken(name, f"{wanted}: ended, one of smalti.solution.Ended", kind_of(solution.ended))
    steps = solution.steps
    if not isinstance(steps, Sequence) or not all(isinstance(step, Step) for step in steps):
        raise broken(name, f"{wanted}: steps, a tuple of smalti.solution.Step", kind_of(steps))
    return replace(solution, parameters=parameters, objective=objective, steps=tuple(steps))


def candidates_of(
    indexer: Indexer, cloud: PointCloud, max_cell: float, cell: tuple[float, ...] | None
) -> Sequence[Candidate]:
    """Ask an indexer for lattices, and see that each has a reciprocal basis.

    Raises
    ------
    PluginError
    """
    candidates = indexer.candidates(cloud, max_cell, cell)
    name, wanted = f"The indexer '{indexer.name}'", "a list of Candidates, each with a (3, 3) basis"
    if not isinstance(candidates, Sequence):
        raise broken(name, wanted, kind_of(candidates))
    for candidate in candidates:
        if not isinstance(candidate, Candidate):
            raise broken(name, wanted, f"{kind_of(candidate)} among them")
        if np.linalg.det(_numbers(name, candidate.A, (3, 3), wanted)) == 0.0:
            raise broken(name, wanted, "a basis of no volume")
    return candidates


def parameters_of(parameterisation: DetectorParameterisation, detector: Detector) -> tuple[Parameter, ...]:
    """Ask a parameterisation for its parameters, and see that each has a name of its own and real panels.

    Raises
    ------
    PluginError
    """
    answer = parameterisation.parameters(detector)
    name, wanted = _parameterisation(parameterisation), "a list of Parameters, each with its own name"
    if not isinstance(answer, Sequence):
        raise broken(name, wanted, kind_of(answer))
    names: set[str] = set()
    for parameter in answer:
        if not isinstance(parameter, Parameter):
            raise broken(name, wanted, f"{kind_of(parameter)} among them")
        if not parameter.name or parameter.name in names:
            raise broken(
                name, wanted, f"'{parameter.name}' more than once" if parameter.name else "one without a name"
            )
        names.add(parameter.name)
        beyond = [panel for panel in parameter.panels if not 0 <= panel < len(detector)]
        if beyond:
            number = plural(len(detector), "panel")
            raise broken(name, f"parameters of {number}", f"'{parameter.name}' of panel {beyond[0]}")
    return tuple(answer)


def displaced_by(parameterisation: DetectorParameterisation, detector: Detector, p: Array) -> Detector:
    """Ask a parameterisation for the detector at p (n,), and see that its panels are all there and rigid.

    Raises
    ------
    PluginError
    """
    answer = parameterisation.compose(detector, p)
    name, wanted = _parameterisation(parameterisation), f"a Detector of {plural(len(detector), 'panel')}"
    if not isinstance(answer, Detector):
        raise broken(name, wanted, kind_of(answer))
    if len(answer) != len(detector):
        raise broken(name, wanted, f"one of {len(answer)}")
    d = answer.stacked()
    if not np.isfinite(d).all():
        raise broken(name, wanted, "frames that are not finite")
    axes = d[:, :, :2]
    if np.abs(np.einsum("pij,pik->pjk", axes, axes) - np.eye(2)).max() > _SHEAR:
        raise broken(name, wanted, "fast and slow axes that are no longer orthonormal")
    return answer


def derivatives_of(
    parameterisation: DetectorParameterisation, detector: Detector, p: Array
) -> PanelDerivatives:
    """Ask a parameterisation for derivatives at p (n,), and see that they fit panels and parameters.

    Raises
    ------
    PluginError
    """
    answer = parameterisation.derivatives(detector, p)
    name, count = _parameterisation(parameterisation), len(detector)
    if not isinstance(answer, PanelDerivatives):
        raise broken(name, "PanelDerivatives", kind_of(answer))
    columns = np.asarray(answer.columns)
    if columns.ndim != 2 or len(columns) != count or columns.dtype.kind not in "iu":
        raise broken(name, f"derivatives with columns ({count}, k), whole numbers", kind_of(answer.columns))
    if columns.size and not (columns.min() >= -1 and columns.max() < len(p)):
        given = f"columns from {columns.min()} to {columns.max()}"
        raise broken(name, f"columns that are numbers of {len(p)} parameters, or -1", given)
    shape = (*columns.shape, 3, 3)
    values = _numbers(name, answer.values, shape, f"derivatives with values of shape {shape}")
    return PanelDerivatives(columns, values)


def prior_of(parameterisation: DetectorParameterisation, detector: Detector, n: int) -> Prior:
    """Ask a parameterisation for the prior of its n parameters.

    Raises
    ------
    PluginError
    """
    answer = parameterisation.prior(detector)
    name, wanted = _parameterisation(parameterisation), f"a Prior of {plural(n, 'parameter')}"
    if not isinstance(answer, Prior):
        raise broken(name, wanted, kind_of(answer))
    mean = _numbers(name, answer.mean, (n,), f"{wanted}: mean")
    precision = _numbers(name, answer.precision, (n,), f"{wanted}: precision")
    if len(answer.groups) not in (0, n) or not all(isinstance(name, str) for name in answer.groups):
        raise broken(name, f"{wanted}: groups of all or none", f"{len(answer.groups)}")
    if precision.size and precision.min() < 0.0:
        raise broken(name, f"{wanted}: precisions of 0 or more", f"{precision.min():g}")
    return replace(answer, mean=mean, precision=precision)


def _parameterisation(parameterisation: DetectorParameterisation) -> str:
    return f"The detector parameterisation '{parameterisation.name}'"


def _numbers(name: str, answer: object, shape: tuple[int, ...], wanted: str) -> Array:
    """Take finite numbers of a shape."""
    array = np.asarray(answer)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise broken(name, wanted, kind_of(answer))
    if not np.isfinite(array).all():
        raise broken(name, wanted, "numbers that are not finite")
    if array.size and max(abs(float(array.min())), abs(float(array.max()))) > _HUGE:
        raise broken(name, wanted, f"numbers beyond {_HUGE:g}")
    return array.astype(np.float64, copy=False)


def read_only(array: NDArray[T]) -> NDArray[T]:
    """Give a view that whoever gets it cannot write through."""
    view = array.view()
    view.flags.writeable = False
    return view


def kind_of(answer: object) -> str:
    """Say what an answer is, for a message."""
    if isinstance(answer, np.ndarray):
        return f"{answer.dtype} of shape {answer.shape}"
    return "nothing (None)" if answer is None else f"a {type(answer).__name__}"


def broken(name: str, wanted: str, given: str) -> PluginError:
    """Make the error of a component (with its role) that gave something else than its role wants."""
    return PluginError(
        f"{name} did not give what it should.",
        f"Wanted: {wanted}; it gave {given}.",
        "Choose another, and tell its author; smalti plugins --check shows what is wrong with it.",
    )

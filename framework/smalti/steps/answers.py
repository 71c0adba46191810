"""Ask a plugin's component and check its answer, so that a broken one is named and not believed.

What a component lets out as an exception is put into words by the command line; here are the answers
that keep no contract and would be refined against, or end in an error far from their cause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import PluginError
from smalti.models import Detector
from smalti.roles import DetectorParameterisation, Indexer, Minimiser, NormalSource, OutlierRejector
from smalti.solution import Candidate, PanelDerivatives, Parameter, PointCloud, Prior, Solution
from smalti.text import plural

__all__ = [
    "candidates_of",
    "derivatives_of",
    "displaced_by",
    "parameters_of",
    "prior_of",
    "solution_of",
    "weights_of",
]

Array = NDArray[np.float64]

_SHEAR = 1e-6
"""Departure from orthonormal axes that is no rounding."""


def weights_of(rejector: OutlierRejector, residuals: Array, sigmas: Array, strata: NDArray[np.intp]) -> Array:
    """Ask an outlier rejector for weights, (N,), and see that each is from 0 to 1.

    Raises
    ------
    PluginError
    """
    answer = rejector.weights(residuals, sigmas, strata)
    wanted = f"{len(residuals)} weights from 0 to 1"
    weights = _numbers(f"The outlier rejector '{rejector.name}'", answer, (len(residuals),), wanted)
    if weights.size and not (weights.min() >= 0.0 and weights.max() <= 1.0):
        raise _broken(
            f"The outlier rejector '{rejector.name}'",
            wanted,
            f"weights from {weights.min():g} to {weights.max():g}",
        )
    return weights


def solution_of(minimiser: Minimiser, source: NormalSource, start: Array) -> Solution:
    """Ask a minimiser for a solution, and see that it has parameters.

    Raises
    ------
    PluginError
    """
    solution = minimiser.minimise(source, start)
    name, wanted = f"The minimiser '{minimiser.name}'", f"a Solution of {start.size} parameters"
    if not isinstance(solution, Solution):
        raise _broken(name, wanted, _kind(solution))
    _numbers(name, solution.parameters, start.shape, wanted)
    return solution


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
        raise _broken(name, wanted, _kind(candidates))
    for candidate in candidates:
        if not isinstance(candidate, Candidate):
            raise _broken(name, wanted, f"{_kind(candidate)} among them")
        if np.linalg.det(_numbers(name, candidate.A, (3, 3), wanted)) == 0.0:
            raise _broken(name, wanted, "a basis of no volume")
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
        raise _broken(name, wanted, _kind(answer))
    names: set[str] = set()
    for parameter in answer:
        if not isinstance(parameter, Parameter):
            raise _broken(name, wanted, f"{_kind(parameter)} among them")
        if not parameter.name or parameter.name in names:
            raise _broken(
                name, wanted, f"'{parameter.name}' more than once" if parameter.name else "one without a name"
            )
        names.add(parameter.name)
        beyond = [panel for panel in parameter.panels if not 0 <= panel < len(detector)]
        if beyond:
            number = plural(len(detector), "panel")
            raise _broken(name, f"parameters of {number}", f"'{parameter.name}' of panel {beyond[0]}")
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
        raise _broken(name, wanted, _kind(answer))
    if len(answer) != len(detector):
        raise _broken(name, wanted, f"one of {len(answer)}")
    d = answer.stacked()
    if not np.isfinite(d).all():
        raise _broken(name, wanted, "frames that are not finite")
    axes = d[:, :, :2]
    if np.abs(np.einsum("pij,pik->pjk", axes, axes) - np.eye(2)).max() > _SHEAR:
        raise _broken(name, wanted, "fast and slow axes that are no longer orthonormal")
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
        raise _broken(name, "PanelDerivatives", _kind(answer))
    columns = np.asarray(answer.columns)
    if columns.ndim != 2 or len(columns) != count or columns.dtype.kind not in "iu":
        raise _broken(name, f"derivatives with columns ({count}, k), whole numbers", _kind(answer.columns))
    if columns.size and not (columns.min() >= -1 and columns.max() < len(p)):
        given = f"columns from {columns.min()} to {columns.max()}"
        raise _broken(name, f"columns that are numbers of {len(p)} parameters, or -1", given)
    shape = (*columns.shape, 3, 3)
    _numbers(name, answer.values, shape, f"derivatives with values of shape {shape}")
    return answer


def prior_of(parameterisation: DetectorParameterisation, detector: Detector, n: int) -> Prior:
    """Ask a parameterisation for the prior of its n parameters.

    Raises
    ------
    PluginError
    """
    answer = parameterisation.prior(detector)
    name, wanted = _parameterisation(parameterisation), f"a Prior of {plural(n, 'parameter')}"
    if not isinstance(answer, Prior):
        raise _broken(name, wanted, _kind(answer))
    mean = _numbers(name, answer.mean, (n,), f"{wanted}: mean")
    precision = _numbers(name, answer.precision, (n,), f"{wanted}: precision")
    if len(answer.groups) not in (0, n) or not all(isinstance(name, str) for name in answer.groups):
        raise _broken(name, f"{wanted}: groups of all or none", f"{len(answer.groups)}")
    if precision.size and precision.min() < 0.0:
        raise _broken(name, f"{wanted}: precisions of 0 or more", f"{precision.min():g}")
    return replace(answer, mean=mean, precision=precision)


def _parameterisation(parameterisation: DetectorParameterisation) -> str:
    return f"The detector parameterisation '{parameterisation.name}'"


def _numbers(name: str, answer: object, shape: tuple[int, ...], wanted: str) -> Array:
    """Take finite numbers of a shape."""
    array = np.asarray(answer)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise _broken(name, wanted, _kind(answer))
    if not np.isfinite(array).all():
        raise _broken(name, wanted, "numbers that are not finite")
    return array.astype(np.float64, copy=False)


def _kind(answer: object) -> str:
    if isinstance(answer, np.ndarray):
        return f"{answer.dtype} of shape {answer.shape}"
    return "nothing (None)" if answer is None else f"a {type(answer).__name__}"


def _broken(name: str, wanted: str, given: str) -> PluginError:
    return PluginError(
        f"{name} did not give what it should.",
        f"Wanted: {wanted}; it gave {given}.",
        "Choose another, and tell its author; smalti plugins --check shows what is wrong with it.",
    )

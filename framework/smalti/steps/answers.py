"""Ask a plugin's component and check its answer, so that a broken one is named and not believed.

What a component lets out as an exception is put into words by the command line; here are the answers
that keep no contract and would be refined against, or end in an error far from their cause.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.errors import PluginError
from smalti.roles import Indexer, Minimiser, NormalSource, OutlierRejector
from smalti.solution import Candidate, PointCloud, Solution

__all__ = ["candidates_of", "solution_of", "weights_of"]

Array = NDArray[np.float64]


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

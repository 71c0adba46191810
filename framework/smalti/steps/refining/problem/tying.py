"""Which parameters are free, which of them move by one common amount, and crystals of one cell."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from smalti.errors import DataError, UsageError
from smalti.geometry.crystal_parameters import B_from_metric, symbol
from smalti.models import Crystal, Experiments
from smalti.options import suggest
from smalti.solution import Parameter
from smalti.steps.refining.options import RefineOptions, is_fixed
from smalti.steps.refining.problem.blocks import SYMMETRY_LIMIT, still_true

__all__ = ["columns_of", "with_one_cell", "with_own_crystals"]


def columns_of(
    parameters: Sequence[Parameter],
    options: RefineOptions,
    held: Collection[str] = (),
    ties: Sequence[Sequence[int]] = (),
) -> NDArray[np.intp]:
    """Give each of all parameters its place among those of the minimiser, -1 where it is held.

    Parameters that share a place share an increment: what each adds to its own start is the same.

    Parameters
    ----------
    held : collection of str
        Names of parameters that are held whatever the options free.
    ties : sequence of sequences of int
        Places of parameters that are one, whatever the options tie.

    Raises
    ------
    UsageError
        A fix list or a tie is not understood.
    """
    names = [parameter.name for parameter in parameters]
    free = np.array([name not in held and _is_free(name, options) for name in names], dtype=bool)
    groups = [[k for k in tied if free[k]] for tied in (*ties, *_ties(parameters, options))]
    pairs = np.array([(members[0], k) for members in groups for k in members], dtype=np.intp).reshape(-1, 2)
    shape = (len(parameters), len(parameters))
    graph = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=shape)
    leader = connected_components(graph, directed=False)[1][free]
    # Counted in the order of the first member of each: a tie does not reorder the others.
    _, first, places = np.unique(leader, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    columns = np.full(len(parameters), -1, dtype=np.intp)
    columns[free] = rank[places]
    return columns


def with_own_crystals(experiments: Experiments) -> Experiments:
    """Give every experiment a crystal of its own, equal to the one that it has."""
    items = tuple(e if e.crystal is None else replace(e, crystal=replace(e.crystal)) for e in experiments)
    return replace(experiments, items=items)


def with_one_cell(crystals: Sequence[Crystal]) -> tuple[Crystal, ...]:
    """Give the crystals with the mean of their cells, each in its own orientation.

    Raises
    ------
    DataError
        Their cells or space groups are too different to be one.
    """
    metrics = np.array([crystal.B.T @ crystal.B for crystal in crystals])
    mean = metrics.mean(axis=0)
    size = np.sqrt(np.diag(mean))
    away = np.abs(metrics - mean) / np.outer(size, size)
    groups = sorted({symbol(crystal.space_group) for crystal in crystals})
    if len(groups) > 1 or (away > SYMMETRY_LIMIT).any():
        cells = "; ".join(", ".join(f"{x:.2f}" for x in crystal.cell) for crystal in crystals)
        raise DataError(
            "These crystals cannot have one cell.",
            f"They are {', '.join(groups)} with the cells {cells}.",
            "Index the sweeps together, or refine with crystals=own.",
        )
    B = B_from_metric(mean)
    return tuple(
        Crystal.from_A(crystal.U @ B, crystal.space_group, still_true(crystal.extra)) for crystal in crystals
    )


def _is_free(name: str, options: RefineOptions) -> bool:
    return not is_fixed(name, options) and (options.refine_setting or not name.startswith("Goniometer"))


def _ties(parameters: Sequence[Parameter], options: RefineOptions) -> list[list[int]]:
    found = [_matching(pattern, parameters) for pattern in options.equal_shifts]
    if options.crystals == "one_cell":
        kinds = {name[name.index("g_param") :] for p in parameters if "g_param" in (name := p.name)}
        found += [[k for k, p in enumerate(parameters) if p.name.endswith(kind)] for kind in sorted(kinds)]
    return found


def _matching(pattern: str, parameters: Sequence[Parameter]) -> list[int]:
    """Find the parameters that a tie names: ``Detector*Dist`` or ``Crystal1Phi1+Crystal2Phi1``."""
    words = pattern.split("+")
    found = [k for k, p in enumerate(parameters) if any(fnmatchcase(p.name, word) for word in words)]
    names = [parameters[k].name for k in found]
    if len(found) < 2:
        what = f"matches only {names[0]}" if names else "matches no parameter"
        raise UsageError(
            f"equal_shifts: '{pattern}' {what}.",
            "A tie needs two parameters or more; * stands for anything: Detector*Dist.",
            suggest(pattern.replace("*", ""), [p.name for p in parameters], "smalti show lists the tree."),
        )
    units = {parameters[k].unit for k in found}
    if len(units) > 1:
        raise UsageError(
            f"equal_shifts: '{pattern}' ties parameters in {' and '.join(sorted(units))}.",
            f"Only parameters of one unit can move by the same amount; it matches {', '.join(names[:6])}.",
            "Name the parameter as well: Detector*Dist, Detector*Shift1, ...",
        )
    return found

"""The step itself: refine under the symmetry of each lattice that is near, and recommend one."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError, UsageError
from smalti.geometry.change_of_basis import as_rational
from smalti.geometry.lattice import primitive
from smalti.geometry.lattice_symmetry import Setting, bravais_lattices
from smalti.models import Experiments
from smalti.options import suggest
from smalti.progress import Progress, silent
from smalti.steps.indexing.cycles import Refinery
from smalti.steps.indexing.mapping import with_pixels
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.refine import Fitted, fit_only
from smalti.steps.reindexing import change_axes
from smalti.steps.symmetry.options import SymmetryOptions
from smalti.steps.symmetry.result import GROUPS, Choice, Symmetry
from smalti.tables import Flag, Reflections

__all__ = ["find_symmetry", "rmsds"]

Array = NDArray[np.float64]


def find_symmetry(
    experiments: Experiments,
    reflections: Reflections,
    refinery: Refinery,
    options: SymmetryOptions | None = None,
    progress: Progress = silent,
) -> Symmetry:
    """Refine a crystal under the symmetry of each lattice it is close to, and recommend one.

    All refinements start from the same models and the same reflections. They are compared over the
    reflections that the triclinic one used: a lattice that is too symmetric could otherwise have what
    contradicts it rejected as outliers.

    Raises
    ------
    UsageError
        A lattice was asked for that is not among those near.
    DataError
        No crystal, or the triclinic refinement fails.
    """
    options = options or SymmetryOptions()
    crystal = next((item.crystal for item in experiments if item.crystal is not None), None)
    if crystal is None:
        raise DataError("There is no crystal.", "The experiments hold none.", "Index them: smalti index.")
    reflections.require("id", "miller_index")
    sweep = np.maximum(reflections["id"], 0).astype(np.intp)
    reflections = with_pixels(experiments.items, reflections, sweep)
    axes = np.array(crystal.real_space)
    basis = primitive(axes, gemmi.symops_from_hall(crystal.space_group.strip()).find_centering())
    near = {item.bravais: item for item in bravais_lattices(basis, options.lattice_tolerance)}
    order = [name for name in GROUPS if name in near]
    if options.lattice and options.lattice not in order:
        raise UsageError(
            f"The lattice is not close to {options.lattice}.",
            f"Within {options.lattice_tolerance:g} deg it is: {', '.join(order)}.",
            suggest(options.lattice, order),
        )
    choices: list[Choice] = []
    used: NDArray[np.bool_] | None = None
    for number, name in enumerate(order):
        progress("refining under symmetries", number, len(order))
        choice = _tried(experiments, reflections, near[name], axes, basis, refinery, options)
        if name == "aP" and choice.refined is None:
            raise DataError("The triclinic lattice could not be refined.", choice.problem, "Index again.")
        if choice.refined is not None:
            used = choice.refined.reflections.flagged(Flag.USED_IN_REFINEMENT) if used is None else used
            rmsd = rmsds(choice.refined, used)
            first = choices[0].rmsd if choices else rmsd
            assert first is not None
            ratio = max(a / max(b, 1e-9) for a, b in zip(rmsd, first, strict=True))
            choice = Choice(choice.setting, choice.reindexed, choice.refined, rmsd, ratio)
        choices.append(choice)
    good = [
        item.setting.bravais for item in choices if item.ratio is not None and item.ratio <= options.worse
    ]
    return Symmetry(tuple(choices), good[-1], options.lattice or good[-1], options.worse)


def _tried(
    experiments: Experiments,
    reflections: Reflections,
    setting: Setting,
    axes: Array,
    basis: Array,
    refinery: Refinery,
    options: SymmetryOptions,
) -> Choice:
    """Change the axes and refine; the problem, in words, where that fails."""
    M = as_rational(setting.change @ basis @ np.linalg.inv(axes))
    assert M is not None
    group = gemmi.SpaceGroup(GROUPS[setting.bravais])
    moved = change_axes(experiments, reflections, M, (group.hall, group.xhm()))
    assert moved.reflections is not None
    try:
        refined = fit_only(
            moved.experiments,
            moved.reflections.without(*moved.reflections.opaque),
            refinery.parameterisation,
            refinery.minimiser,
            refinery.rejector,
            RefineOptions(
                use_all=False,
                reflections_per_degree=options.reflections_per_degree,
                rounds=2,
                free_fraction=0.0,
                halves="off",
            ),
        )
    except DataError as error:
        return Choice(setting, moved, None, None, None, f"{error.what} {error.why}".strip())
    return Choice(setting, moved, refined, None, None)


def rmsds(refined: Fitted, rows: NDArray[np.bool_]) -> tuple[float, float, float]:
    """RMSD in x (px), y (px) and z (images) of some rows (N,) of the table."""
    table = refined.reflections
    away = table["xyzcal.px"][rows] - table["xyzobs.px.value"][rows]
    x, y, z = np.sqrt(np.mean(away**2, axis=0)).tolist()
    return x, y, z

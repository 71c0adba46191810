"""The step itself: other axes for the crystals of an experiment list, and the indices that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError, UsageError
from smalti.geometry.change_of_basis import (
    as_operator,
    as_rational,
    parse_operator,
    transformed_group,
    transformed_indices,
)
from smalti.geometry.lattice import niggli, primitive
from smalti.models import Crystal, Experiments, matrix, vector
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.reindexing.options import ReindexOptions
from smalti.tables import Flag, Reflections

__all__ = ["Reindexed", "change_axes", "reindex"]

Array = NDArray[np.float64]

STALE = ("B_covariance", "recalculated_")
"""Beginnings of the names of what a file holds of a crystal in its old axes only."""

_STALE_COLUMNS = ("miller_index_asu",)


@dataclass(frozen=True)
class Reindexed:
    """Models and reflections on their new axes.

    Attributes
    ----------
    experiments : Experiments
    reflections : Reflections or None
    operator : (3, 3)
        h' = operator h.
    space_group : str
        Name for people.
    before : tuple of float
        Cell of the first crystal as it was.
    lost : int
        Reflections whose indices are not whole on the new axes: no longer indexed.
    warnings : tuple of str
    """

    experiments: Experiments
    reflections: Reflections | None
    operator: Array
    space_group: str
    before: tuple[float, ...]
    lost: int
    warnings: tuple[str, ...] = ()

    @property
    def crystal(self) -> Crystal:
        """The first crystal."""
        return next(item.crystal for item in self.experiments if item.crystal is not None)

    def summary(self) -> dict[str, Any]:
        """Give the ``result`` of the command."""
        return {
            "operator": as_operator(self.operator),
            "matrix": self.operator.tolist(),
            "space_group": self.space_group,
            "cell_before": list(self.before),
            "cell": list(self.crystal.cell),
            "not_on_new_lattice": self.lost,
        }

    def text(self) -> str:
        """The same for people."""
        before, after = (", ".join(f"{v:.3f}" for v in cell) for cell in (self.before, self.crystal.cell))
        lines = [
            f"New indices: {as_operator(self.operator)}",
            f"Cell before: {before}",
            f"Cell now:    {after}",
            f"Space group: {self.space_group}",
        ]
        return "\n".join(lines)


def reindex(experiments: Experiments, reflections: Reflections | None, options: ReindexOptions) -> Reindexed:
    """Give all crystals other axes, by an operator or to the setting of a space group.

    Nothing moves: A' h' = A h for every reflection, so that predictions stay what they are. The cell is not
    made to obey the space group; refinement does that.

    Raises
    ------
    UsageError
        Neither or both of operator and space group, or one that makes no sense.
    DataError
        No crystal, or its lattice does not fit the space group.
    """
    crystal = _first(experiments)
    if bool(options.operator.strip()) == bool(options.space_group.strip()):
        raise UsageError(
            "Reindexing takes an operator or a space group.",
            "Both were given." if options.operator.strip() else "Neither was given.",
            "Example: --operator k,h,-l, or --space-group C2.",
        )
    if options.operator.strip():
        M = parse_operator(options.operator)
        named = transformed_group(crystal.space_group, M)
        group, warnings = (named, ()) if named is not None else (("P 1", "P 1"), (_without_group(crystal),))
    else:
        M, group = _to_setting(crystal, options)
        warnings = ()
    return change_axes(experiments, reflections, M, group, warnings)


def change_axes(
    experiments: Experiments,
    reflections: Reflections | None,
    M: Array,
    group: tuple[str, str],
    warnings: tuple[str, ...] = (),
) -> Reindexed:
    """Change the axes of all crystals by h' = M h, and give them a space group (Hall symbol, name)."""
    hall, name = " " + group[0], group[1]
    moved: dict[int, Crystal] = {}
    items = []
    for item in experiments:
        crystal = item.crystal
        if crystal is not None and id(crystal) not in moved:
            moved[id(crystal)] = _changed(crystal, M, hall)
        items.append(item if crystal is None else replace(item, crystal=moved[id(crystal)]))
    table, lost = (None, 0) if reflections is None else _changed_table(reflections, M)
    if lost:
        warnings += (
            f"{lost:,} reflections have no whole indices on the new axes and are not indexed any more: "
            "the new cell is smaller than the crystal's.",
        )
    return Reindexed(
        replace(experiments, items=tuple(items)), table, M, name, _first(experiments).cell, lost, warnings
    )


def _first(experiments: Experiments) -> Crystal:
    crystal = next((item.crystal for item in experiments if item.crystal is not None), None)
    if crystal is None:
        raise DataError(
            "There is no crystal to give other axes.",
            "The experiments hold none.",
            "Index them first: smalti index.",
        )
    return crystal


def _without_group(crystal: Crystal) -> str:
    return (
        f"The symmetry{crystal.space_group} has no name on these axes; the space group is set to P 1. "
        "Give --space-group to a second run to set another."
    )


def _to_setting(crystal: Crystal, options: ReindexOptions) -> tuple[Array, tuple[str, str]]:
    """The change of basis that leads to the axes of a space group."""
    known = KnownLattice.parse(options.space_group, options.unit_cell)
    axes = np.array(crystal.real_space)
    now = gemmi.symops_from_hall(crystal.space_group.strip()).find_centering()
    basis = primitive(axes, now)
    if known.system == "triclinic" and known.cell is None:
        new = niggli(basis)[0]
    else:
        setting = known.fitting(basis, options.lattice_tolerance, options.cell_tolerance)
        if setting is None:
            raise DataError(
                f"The lattice does not fit {known.name}" + (" and the cell given." if known.cell else "."),
                f"No axes of it come within {options.lattice_tolerance:g} deg.",
                "See with `smalti symmetry` which lattices it is close to.",
            )
        new = setting.change @ basis
    M = as_rational(new @ np.linalg.inv(axes))
    assert M is not None and known.space_group is not None
    return M, (known.space_group.hall, known.space_group.xhm())


def _changed(crystal: Crystal, M: Array, hall: str) -> Crystal:
    a, b, c = M @ np.array(crystal.real_space)
    inverse = np.linalg.inv(M)
    points = tuple(matrix(np.reshape(point, (3, 3)) @ inverse) for point in crystal.scan_points)
    extra: Mapping[str, Any] = {k: v for k, v in crystal.extra.items() if not k.startswith(STALE)}
    return Crystal((vector(a), vector(b), vector(c)), hall, points, extra)


def _changed_table(table: Reflections, M: Array) -> tuple[Reflections, int]:
    """New indices; rows that have none any more lose their experiment and what refinement knew of them."""
    table.require("miller_index", "id")
    old = table["miller_index"]
    h, whole = transformed_indices(old, M)
    lost = ~whole & np.any(old != 0, axis=1)
    gone = ~np.uint64(int(Flag.INDEXED | Flag.USED_IN_REFINEMENT | Flag.CENTROID_OUTLIER))
    changes = {"miller_index": h, "id": np.where(lost, -1, table["id"]).astype(np.int32)}
    if "flags" in table:
        changes["flags"] = np.where(lost, table["flags"] & gone, table["flags"])
    drop = [name for name in _STALE_COLUMNS if name in table or name in table.opaque]
    return table.without(*drop).with_columns(changes), int(lost.sum())

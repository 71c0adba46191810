"""A group of crystals as a problem: its files read, its reflections selected, its parameters laid out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiment, Experiments
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.partition import Partition, partition_of
from smalti.steps.refining.problem.restraints import restraints_of
from smalti.steps.refining.problem.selection import Selection, observed_and_indexed, select
from smalti.steps.refining.problem.source import RotationSource
from smalti.steps.refining.weighing.judging import strata
from smalti.steps.streaming.common import SHARED, Common
from smalti.steps.streaming.survey import Group, parts_of
from smalti.tables import Reflections

__all__ = ["Gathered", "gather", "read_group"]

Array = NDArray[np.float64]

_COLUMNS = (
    "id", "miller_index", "panel", "flags", "bbox", "intensity.sum.value",
    "xyzobs.mm.value", "xyzobs.mm.variance", "xyzobs.px.value",
)  # fmt: skip
"""What a refinement looks at."""

_FEW = 3
"""A crystal with fewer spots than this tells nothing."""


@dataclass(frozen=True)
class Gathered:
    """A group, ready to be refined.

    Attributes
    ----------
    experiments : tuple of Experiment
        Those that are used.
    numbers : (E,) intp
        Which of the experiments of the group they are.
    selection : Selection
    layout : Layout
    partition : Partition
    source : RotationSource
        With the weights of the table.
    strata : (N,) intp
        Which reflections are judged together.
    left_out : dict
        Reason to number of crystals or reflections.
    """

    experiments: tuple[Experiment, ...]
    numbers: NDArray[np.intp]
    selection: Selection
    layout: Layout
    partition: Partition
    source: RotationSource
    strata: NDArray[np.intp]
    left_out: dict[str, int]

    @property
    def data(self) -> Observations:
        """The reflections that are used."""
        return self.selection.observations

    def observed_at(self, frames: Array) -> RotationSource:
        """Give the source with observed millimetres of panels at d matrices (P, 3, 3)."""
        if self.selection.parallax is None:
            return self.source
        observations = self.selection.parallax.observed(self.data, frames)
        return replace(self.source, observations=observations)


def read_group(group: Group, columns: Sequence[str] | None = _COLUMNS) -> tuple[Experiments, Reflections]:
    """Read a group; its reflections count its experiments from 0."""
    models, table = parts_of(group.pair)
    rows = table.rows(group.first, group.last, columns)
    number = rows["id"] - group.start
    inside = (number >= 0) & (number < group.stop - group.start)
    names = {
        k: table.identifiers[k + group.start]
        for k in range(group.stop - group.start)
        if k + group.start in table.identifiers
    }
    rows = rows.with_columns({"id": number}, identifiers=names)
    return models.part(group.start, group.stop), rows if inside.all() else rows.where(inside)


def gather(common: Common, group: Group) -> Gathered | dict[str, int]:
    """Read a group and lay it out; where nothing of it can be used, the reasons.

    Raises
    ------
    DataError, InputError
        The files are damaged or do not belong together.
    """
    experiments, table = read_group(group)
    place = f"'{group.pair.experiments}', experiments {group.start} to {group.stop - 1},"
    items = common.adopted(experiments, place)
    numbers, layout, left_out = _usable(common, items, table)
    if layout is None:
        return left_out
    table = _renumbered(table, numbers, len(items))
    chosen = tuple(items[k] for k in numbers.tolist())
    selection = select(table, layout, common.options)
    for reason, count in selection.left_out.items():
        left_out[reason] = left_out.get(reason, 0) + count
    data = selection.observations
    source = RotationSource(
        layout, data, 1.0 / data.variance, layout.prior, 1, restraints_of(layout, common.options)
    )
    partition = partition_of(layout, always_shared=SHARED, eliminate=True)
    return Gathered(
        chosen, numbers, selection, layout, partition, source, strata(data, common.options), left_out
    )


def _usable(
    common: Common, items: Sequence[Experiment], table: Reflections
) -> tuple[NDArray[np.intp], Layout | None, dict[str, int]]:
    """Give the numbers of the experiments that can be refined, their layout, and why not the others."""
    indexed = observed_and_indexed(table)
    spots = np.bincount(table["id"][indexed], minlength=len(items))
    tests = {
        "experiments without a crystal": np.array([item.crystal is not None for item in items]),
        "experiments with hardly any spots": spots >= _FEW,
    }
    keep, left_out = np.ones(len(items), dtype=bool), {}
    for reason, good in tests.items():
        if (keep & ~good).any():
            left_out[reason] = int((keep & ~good).sum())
        keep &= good
    if not keep.any():
        return np.zeros(0, dtype=np.intp), None, left_out
    try:
        numbers = np.flatnonzero(keep)
        return numbers, common.layout_of([items[k] for k in numbers.tolist()]), left_out
    except DataError:
        fitting = np.array(
            [k and _can_be_laid_out(common, item) for k, item in zip(keep, items, strict=True)]
        )
        left_out["experiments whose cell does not fit its space group"] = int((keep & ~fitting).sum())
    numbers = np.flatnonzero(fitting)
    layout = common.layout_of([items[k] for k in numbers.tolist()]) if len(numbers) else None
    return numbers, layout, left_out


def _can_be_laid_out(common: Common, experiment: Experiment) -> bool:
    try:
        common.layout_of([experiment])
    except DataError:
        return False
    return True


def _renumbered(table: Reflections, numbers: NDArray[np.intp], count: int) -> Reflections:
    """Give the reflections of some experiments, which are counted anew."""
    if len(numbers) == count:
        return table
    place = np.full(count, -1, dtype=np.int32)
    place[numbers] = np.arange(len(numbers))
    number = place[table["id"]]
    names = {int(place[k]): name for k, name in table.identifiers.items() if place[k] >= 0}
    return table.with_columns({"id": number}, identifiers=names).where(number >= 0)

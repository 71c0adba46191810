"""Refined models and reflections, written group by group: never more than a few crystals are in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment, Experiments
from smalti.progress import Progress, silent
from smalti.steps.pools import Pool
from smalti.steps.predicting import predict_indexed
from smalti.steps.refining.problem.parallax import with_parallax
from smalti.steps.refining.problem.selection import observed_and_indexed
from smalti.steps.streaming.gathering import read_group
from smalti.steps.streaming.joining import Joined
from smalti.steps.streaming.reducing import Order, Worked, work_out
from smalti.steps.streaming.survey import Group, Survey
from smalti.storage.experiments import CODECS
from smalti.storage.json_files import finite
from smalti.storage.row_files import RowFile
from smalti.tables import Flag, Reflections

__all__ = ["Task", "refined_group", "write_refined"]

_FLAGS = (Flag.USED_IN_REFINEMENT, Flag.CENTROID_OUTLIER, Flag.EXCLUDED_FOR_REFINEMENT)


@dataclass(frozen=True)
class Task:
    """A group, and where its experiments and rows begin in what is written."""

    group: Group
    experiment: int
    row: int


def write_refined(
    order: Order,
    surveys: Sequence[Survey],
    experiments: Path,
    reflections: Path | None,
    folder: Path,
    pool: Pool,
    history: tuple[Mapping[str, Any], ...],
    progress: Progress = silent,
) -> None:
    """Write the refined experiments, and the reflections where they are wanted.

    Parameters
    ----------
    order : Order
        Its ``at`` is the refined detector.
    experiments, reflections : Path
        Temporary files that become the results once all is written.
    folder : Path
        For parts of the experiment list.
    history : tuple
        Records for both files.
    """
    tasks = list(_tasks(surveys))
    rows = None
    if reflections is not None:
        example = next((task for task in tasks if task.group.size), tasks[0])
        names = set.intersection(*(set(item.columns) for item in surveys))
        _, table = refined_group(order, example.group)
        total = tasks[-1].row + tasks[-1].group.size
        rows = RowFile.create(reflections, table, [n for n in table if n in names | _NEW], total)
    joined = Joined(folder, order.common.refined(order.at))
    work = partial(_write_group, order, rows)
    for done, (task, models) in enumerate(zip(tasks, pool.ordered(work, tasks), strict=True), 1):
        joined.add(task.group, models)
        progress("writing", done, len(tasks))
    joined.finish(experiments, history)
    if rows is not None:
        rows.finish(joined.identifiers, history)


_NEW = {"s1", "xyzcal.mm", "xyzcal.px", "entering", "flags", "delpsical.rad"}
"""Columns that a refinement adds where a table does not have them."""


def _tasks(surveys: Sequence[Survey]) -> Iterator[Task]:
    experiment = row = 0
    for survey in surveys:
        for group in survey.groups():
            yield Task(group, experiment, row)
            experiment, row = experiment + group.stop - group.start, row + group.size


def refined_group(order: Order, group: Group) -> tuple[tuple[Experiment, ...], Reflections]:
    """Refine the crystals of a group at the common detector of the order, and predict their reflections.

    What could not be used keeps its models as they came, but for the detector.
    """
    given, table = read_group(group, None)
    detector = order.common.refined(order.at)
    items = [replace(item, detector=detector) for item in given]
    worked = work_out(order, group)
    flags = np.array(table["flags"]) if "flags" in table else np.zeros(table.n_rows, dtype=np.uint64)
    for flag in _FLAGS:
        flags &= ~np.uint64(int(flag))
    left_out = observed_and_indexed(table)
    if isinstance(worked, Worked):
        refined = worked.gathered.layout.compose(worked.reduction.p)
        for number, item in zip(worked.gathered.numbers.tolist(), refined, strict=True):
            items[number] = replace(item, detector=detector)
        table, rows = _observed(order, worked, table)
        judged = worked.judged > 0.0
        left_out[rows] = False
        flags[rows[judged]] |= np.uint64(int(Flag.USED_IN_REFINEMENT))
        flags[rows[~judged]] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    flags[left_out] |= np.uint64(int(Flag.EXCLUDED_FOR_REFINEMENT))
    whole = Experiments(tuple(items))
    return whole.items, predict_indexed(whole, table.with_columns({"flags": flags}))


def _observed(order: Order, worked: Worked, table: Reflections) -> tuple[Reflections, NDArray[np.intp]]:
    """Give the table with millimetres of the refined geometry, and the rows that were refined against."""
    gathered = worked.gathered
    mine = np.isin(table["id"], gathered.numbers)
    places = np.flatnonzero(mine)
    rows = places[gathered.data.rows]
    data = replace(gathered.data, rows=rows)
    frames = order.common.frames(order.at)
    return with_parallax(table, gathered.selection.parallax, data, frames), rows


def _write_group(order: Order, rows: RowFile | None, task: Task) -> dict[str, list[str]]:
    """Write the rows of a group, and give its models as lines of JSON."""
    items, table = refined_group(order, task.group)
    if rows is not None and table.n_rows:
        rows.write(task.row, table.with_columns({"id": table["id"] + np.int32(task.experiment)}))
    lines: dict[str, list[str]] = {"experiment": [json.dumps(finite(_plain(item))) for item in items]}
    for kind, codec in CODECS.items():
        if kind != "detector":
            models = (getattr(item, kind) for item in items)
            lines[kind] = [
                "" if model is None else json.dumps(finite(codec.write(model))) for model in models
            ]
    return lines


def _plain(experiment: Experiment) -> dict[str, Any]:
    return {"__id__": "Experiment", "identifier": experiment.identifier, **experiment.extra}

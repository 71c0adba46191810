"""Take a joint data set apart again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from smalti.models import Experiments
from smalti.steps.combining.options import SplitOptions
from smalti.tables import Reflections

__all__ = ["Part", "split"]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the data sets.

    Attributes
    ----------
    experiments : Experiments
    reflections : Reflections or None
    numbers : tuple of int
        Which experiments of the joint data set these are.
    """

    experiments: Experiments
    reflections: Reflections | None
    numbers: tuple[int, ...]


def split(
    experiments: Experiments, reflections: Reflections | None, options: SplitOptions | None = None
) -> tuple[Part, ...]:
    """Split experiments and their reflections, in order of first appearance.

    Reflections of no experiment (``id`` -1, spots that were not indexed) go with the first part whose
    image set they name, or are left out where the table does not say.
    """
    options = options or SplitOptions()
    groups: dict[Hashable, list[int]] = {}
    for number, item in enumerate(experiments):
        model = None if options.by == "experiment" else getattr(item, options.by)
        groups.setdefault(number if model is None else id(model), []).append(number)
    imagesets = [id(model) for model in experiments.unique("imageset")]
    parts, taken = [], np.zeros(0 if reflections is None else reflections.n_rows, dtype=bool)
    for numbers in groups.values():
        items = tuple(experiments[number] for number in numbers)
        mine = None
        if reflections is not None:
            images = [imagesets.index(id(e.imageset)) for e in items if e.imageset is not None]
            rows = _rows_of(reflections, numbers, images) & ~taken
            taken |= rows
            mine = _renumbered(reflections.where(rows), numbers, sorted(set(images)))
        parts.append(Part(replace(experiments, items=items), mine, tuple(numbers)))
    return tuple(parts)


def _rows_of(table: Reflections, numbers: list[int], images: list[int]) -> np.ndarray:
    rows = np.isin(table["id"], numbers)
    if "imageset_id" in table:
        rows |= (table["id"] < 0) & np.isin(table["imageset_id"], images)
    return np.asarray(rows)


def _renumbered(table: Reflections, numbers: list[int], images: list[int]) -> Reflections:
    changed = {"id": _places(table["id"], numbers)}
    if "imageset_id" in table:
        changed["imageset_id"] = _places(table["imageset_id"], images)
    identifiers = {k: table.identifiers[n] for k, n in enumerate(numbers) if n in table.identifiers}
    return table.with_columns(changed, identifiers=identifiers)


def _places(values: np.ndarray, kept: list[int]) -> np.ndarray:
    place = {number: k for k, number in enumerate(kept)}
    return np.array([place.get(int(v), -1) for v in np.unique(values)], dtype=values.dtype)[
        np.unique(values, return_inverse=True)[1]
    ]

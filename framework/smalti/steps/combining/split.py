"""Take a joint data set apart again."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment, Experiments
from smalti.steps.combining.options import SplitOptions
from smalti.tables import Reflections

__all__ = ["Part", "split"]

Index = NDArray[Any]

_WAVELENGTH = 1e-5
"""Angstrom; headers give wavelengths to about that."""


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
        groups.setdefault(_key(item, number, options.by), []).append(number)
    place = {id(model): k for k, model in enumerate(experiments.unique("imageset"))}
    images = [
        sorted({place[id(e.imageset)] for e in (experiments[k] for k in numbers) if e.imageset is not None})
        for numbers in groups.values()
    ]
    rows = None if reflections is None else _rows_of_each(reflections, list(groups.values()), images)
    parts = []
    for k, numbers in enumerate(groups.values()):
        items = tuple(experiments[number] for number in numbers)
        mine = None
        if reflections is not None and rows is not None:
            mine = _renumbered(reflections.take(rows[k]), numbers, images[k])
        parts.append(Part(replace(experiments, items=items), mine, tuple(numbers)))
    return tuple(parts)


def _key(item: Experiment, number: int, by: str) -> Hashable:
    """Tell experiments apart that go into different parts."""
    if by == "experiment":
        return number
    if by == "wavelength":
        return round(item.beam.wavelength / _WAVELENGTH)
    model = getattr(item, by)
    return ("none", number) if model is None else id(model)


def _rows_of_each(table: Reflections, groups: list[list[int]], images: list[list[int]]) -> list[Index]:
    """Rows of each part, in order; sorted once, for a thousand parts are a thousand passes otherwise."""
    part = _part_of(table["id"], groups)
    if "imageset_id" in table:
        # An image set that several parts have goes with the first.
        part = np.where(table["id"] < 0, _part_of(table["imageset_id"], images), part)
    order = np.argsort(part, kind="stable")
    bounds = np.searchsorted(part[order], np.arange(len(groups) + 1))
    return [order[first:last] for first, last in pairwise(bounds)]


def _part_of(values: Index, groups: list[list[int]]) -> Index:
    """Number of the first group that holds each value; -1 where none does."""
    part = np.full(max((max(group, default=-1) for group in groups), default=-1) + 2, -1, dtype=np.intp)
    for k, group in reversed(list(enumerate(groups))):
        part[group] = k
    last = len(part) - 1  # stays -1: of no group
    inside = (values >= 0) & (values < last)
    return part[np.where(inside, values, last).astype(np.intp)]


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

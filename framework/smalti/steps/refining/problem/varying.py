"""From crystals that stay as they are to crystals that vary over their scans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.smoother import Smoother
from smalti.models import Crystal, Experiments
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.blocks import CrystalBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["PER_SAMPLE", "Paths", "one_crystal_a_scan", "paths_of", "steadied", "vary"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PER_SAMPLE = 30
"""Reflections for each sample of a crystal; with fewer it gets fewer samples, or stays."""


@dataclass(frozen=True)
class Paths:
    """How the crystals of a layout vary.

    Attributes
    ----------
    smoothers : dict
        Number of a crystal's block to its samples; a crystal that is not in it stays.
    few : tuple of int
        Numbers of crystals (from 1) that stay, or have fewer samples than asked for, for want of
        reflections.
    """

    smoothers: dict[int, Smoother]
    few: tuple[int, ...] = ()


def one_crystal_a_scan(experiments: Experiments) -> Experiments:
    """Give each scan crystals of its own: what one scan does to a crystal the next does not repeat.

    Experiments that share both crystal and scan go on sharing.
    """
    own: dict[tuple[int, int], Crystal | None] = {}
    items = []
    for item in experiments:
        key = id(item.crystal), id(item.scan)
        first = not any(crystal == key[0] for crystal, _ in own)
        if key not in own:
            own[key] = item.crystal if first or item.crystal is None else replace(item.crystal)
        items.append(replace(item, crystal=own[key]))
    return replace(experiments, items=tuple(items))


def paths_of(layout: Layout, working: Mask, experiment: NDArray[np.intp], spacing: float) -> Paths:
    """Divide the scans of all crystals into intervals.

    Parameters
    ----------
    layout : Layout
        Of crystals that stay.
    working : (N,) bool
        The reflections that are fitted.
    experiment : (N,)
        Of each reflection.
    spacing : float
        Least width of an interval, rad.
    """
    smoothers, few = {}, []
    counts = np.bincount(experiment[working], minlength=len(layout.uses))
    for number, block in enumerate(layout.blocks):
        users = [e for e, use in enumerate(layout.uses) if use.get("crystal") == number]
        if not isinstance(block, CrystalBlock) or layout.stills[users].all():
            continue
        scans = {id(layout.experiments[e].scan): layout.experiments[e].scan for e in users}
        (scan,) = scans.values()
        assert scan is not None
        asked = Smoother.of(*scan.angle_range, spacing)
        most = int(counts[users].sum()) // PER_SAMPLE
        intervals = min(asked.n_intervals, most - 1 if most < 5 else most - 2, scan.n_images)
        if intervals < asked.n_intervals:
            few.append(block.number)
        if intervals >= 1:
            smoothers[number] = replace(asked, n_intervals=intervals)
    return Paths(smoothers, tuple(few))


def vary(layout: Layout, p: Array, paths: Paths, options: RefineOptions) -> tuple[Layout, Array]:
    """Give the layout with samples for what varies, and the point in it that is the one at p (n,).

    What is held stays held, and what is tied to other parameters stays as it is and tied.
    """
    tied = np.bincount(layout.column[layout.column >= 0], minlength=layout.n) > 1
    own = (layout.column >= 0) & ~tied[layout.column]
    blocks, columns, full = list(layout.blocks), [], []
    fresh = layout.n
    for number, (block, offset, part) in enumerate(
        zip(layout.blocks, layout.offsets, layout.split(p), strict=True)
    ):
        mine = layout.column[offset : offset + len(part)]
        if isinstance(block, CrystalBlock) and number in paths.smoothers:
            use = next(e for e, use in enumerate(layout.uses) if use["crystal"] == number)
            scan = layout.experiments[use].scan
            assert scan is not None
            varies = _wanted(len(part), options) & own[offset : offset + len(part)]
            if varies.any():
                varying = VaryingCrystalBlock(block, paths.smoothers[number], scan, tuple(varies.tolist()))
                blocks[number] = varying
                mine, part = mine[varying.source].copy(), varying.steady(part)
                sampled = varies[varying.source]
                mine[sampled] = fresh + np.arange(sampled.sum())
                fresh += int(sampled.sum())
        columns.append(mine)
        full.append(part)
    column, values = _renumbered(np.concatenate(columns)), np.concatenate(full)
    offsets = tuple(int(x) for x in np.cumsum([0, *map(len, full)])[:-1])
    new = replace(layout, blocks=tuple(blocks), offsets=offsets, n_full=len(column), column=column)
    return new, values[new.free]


def steadied(layout: Layout, p: Array) -> tuple[Layout, Array, Array]:
    """Take what varies for what all its samples do together.

    Returns
    -------
    layout : Layout
        The same without variation.
    p : (k,)
        Its point nearest to p (n,): means over the scans.
    together : (n, k)
        What makes the parameters of the given layout of those without variation.
    """
    blocks, columns, full = list(layout.blocks), [], []
    places: list[NDArray[np.intp]] = []  # of each parameter without variation, its samples in the full vector
    for number, (block, offset, part) in enumerate(
        zip(layout.blocks, layout.offsets, layout.split(p), strict=True)
    ):
        mine = layout.column[offset : offset + len(part)]
        if isinstance(block, VaryingCrystalBlock):
            blocks[number] = block.static
            columns.append(mine[block.places[0]])
            full.append(block.averages @ part)
            places += list(offset + block.places.T)
        else:
            columns.append(mine)
            full.append(part)
            places += list(offset + np.arange(len(part))[:, None])
    column, values = _renumbered(np.concatenate(columns)), np.concatenate(full)
    offsets = tuple(int(x) for x in np.cumsum([0, *map(len, full)])[:-1])
    new = replace(layout, blocks=tuple(blocks), offsets=offsets, n_full=len(column), column=column)
    together = np.zeros((layout.n, new.n))
    for k, samples in zip(column, places, strict=True):
        if k >= 0:
            together[layout.column[samples], k] = 1.0
    return new, values[new.free], together


def _wanted(size: int, options: RefineOptions) -> Mask:
    """Which parameters of a crystal the options let vary, (size,)."""
    turns = np.arange(size) < 3
    chosen = {"off": turns & False, "orientation": turns, "cell": ~turns, "all": turns | True}
    return np.asarray(chosen[options.scan_varying])


def _renumbered(column: NDArray[np.intp]) -> NDArray[np.intp]:
    """Count the places of parameters anew, in the order of their first members."""
    free = column >= 0
    _, firsts, places = np.unique(column[free], return_index=True, return_inverse=True)
    rank = np.empty(len(firsts), dtype=np.intp)
    rank[np.argsort(firsts)] = np.arange(len(firsts))
    out = np.full(len(column), -1, dtype=np.intp)
    out[free] = rank[places]
    return out

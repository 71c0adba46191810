"""The second stage of a refinement: crystals that vary, from the models that were found without."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.blocks import CrystalBlock
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import Selection
from smalti.steps.refining.problem.varying import PER_SAMPLE, Paths, paths_of, vary
from smalti.steps.refining.solving.choosing import Candidate, choose
from smalti.steps.refining.solving.rounds import Fit
from smalti.text import plural, ranges

__all__ = ["Varied", "foreseen", "let_vary"]

_LEAST_SPACING = 9.0
"""Degrees: the shortest intervals that are tried."""


@dataclass(frozen=True)
class Varied:
    """What came of letting crystals vary.

    Attributes
    ----------
    layout : Layout
    fit : Fit
        With the rounds of the first stage before its own.
    choice : Mapping or None
        Why so many intervals, where the reflections were asked.
    notes : tuple of str
        What to tell the user.
    """

    layout: Layout
    fit: Fit
    choice: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def let_vary(steady: Candidate, fit_of: Callable[..., Fit], options: RefineOptions) -> Varied:
    """Refine again with crystals that vary over their scans, as the options say.

    Parameters
    ----------
    steady : Candidate
        What was found with crystals that stay.
    fit_of : callable
        Refines a layout, from a point given as ``begin``.
    """
    if options.scan_varying == "off":
        return Varied(steady.layout, steady.fit, None, _made_static(steady.layout))
    if options.scan_interval > 0.0:
        paths = _paths(steady, np.radians(options.scan_interval))
        found = _candidate("", steady, paths, fit_of, options)
        notes = (*_made_static(found.layout), *_few(paths), *_nothing_varies(found.layout, options))
        return Varied(found.layout, _joined(steady, found), None, notes)
    tried = [replace(steady, name="no variation")]
    for spacing in _spacings(steady.layout):
        paths = _paths(steady, np.radians(spacing))
        found = _candidate(f"samples every {spacing:.3g} deg", steady, paths, fit_of, options)
        if found.layout.n > tried[-1].layout.n:
            tried.append(found)
    best, choice = choose(tried)
    return Varied(best.layout, _joined(steady, best), choice, _made_static(best.layout))


def foreseen(layout: Layout, selection: Selection, options: RefineOptions) -> Layout:
    """Give the layout that crystals would have if no reflection were an outlier, with the most samples."""
    if options.scan_varying == "off":
        return layout
    spacing = options.scan_interval or _spacings(layout)[-1]
    experiment = selection.observations.spots.experiment
    paths = paths_of(layout, ~selection.held_out, experiment, np.radians(spacing))
    return vary(layout, np.zeros(layout.n), paths, options)[0]


def _paths(steady: Candidate, spacing: float) -> Paths:
    fit = steady.fit
    return paths_of(steady.layout, fit.working, fit.source.observations.spots.experiment, spacing)


def _candidate(
    name: str, steady: Candidate, paths: Paths, fit_of: Callable[..., Fit], options: RefineOptions
) -> Candidate:
    began = time.perf_counter()
    layout, begin = vary(steady.layout, steady.fit.p, paths, options)
    fit = fit_of(layout, begin=begin) if layout.sample_offset else steady.fit
    effective = fit.rounds[-1].effective
    return Candidate(name, layout, fit, effective, time.perf_counter() - began)


def _joined(steady: Candidate, varied: Candidate) -> Fit:
    """The fit of the second stage with the rounds of the first before it."""
    if varied.fit is steady.fit:
        return steady.fit
    return replace(varied.fit, rounds=(*steady.fit.rounds, *varied.fit.rounds))


def _spacings(layout: Layout) -> list[float]:
    """Intervals to try (degrees), longest first: halves of the longest scan, halves of these, ..."""
    used = {use["crystal"] for use in layout.uses if isinstance(layout.blocks[use["crystal"]], CrystalBlock)}
    lengths = [
        abs(float(np.degrees(np.ptp(item.scan.angle_range))))
        for item, use in zip(layout.experiments, layout.uses, strict=True)
        if use["crystal"] in used and item.scan is not None
    ]
    longest = max(lengths, default=0.0)
    counts = 2.0 ** np.arange(12)
    return [float(longest / count) for count in counts if count == 1 or longest / count >= _LEAST_SPACING]


def _made_static(layout: Layout) -> tuple[str, ...]:
    """Say that crystals which vary over the scan in the file were refined as static ones."""
    crystals = {use["crystal"]: e.crystal for e, use in zip(layout.experiments, layout.uses, strict=True)}
    static = [k for k, block in enumerate(layout.blocks) if isinstance(block, CrystalBlock)]
    varying = sum(bool(crystal.scan_points) for k in static if (crystal := crystals[k]) is not None)
    if not varying:
        return ()
    return (
        f"{plural(varying, 'crystal')} in the file with an A for every image: refined without variation.",
    )


def _few(paths: Paths) -> tuple[str, ...]:
    if not paths.few:
        return ()
    who = "Crystal" if len(paths.few) == 1 else "Crystals"
    return (
        f"{who} {ranges(paths.few)}: fewer samples over the scan than asked for, or none, since each needs "
        f"{PER_SAMPLE} reflections.",
    )


def _nothing_varies(layout: Layout, options: RefineOptions) -> tuple[str, ...]:
    if layout.sample_offset:
        return ()
    return (f"scan_varying={options.scan_varying}: nothing varies, what could is held, tied or starved.",)

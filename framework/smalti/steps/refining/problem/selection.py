"""Which reflections a refinement uses, and what is wrong with those it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.derivatives import RotationState, Spots, crossings, predict
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.checking import check, repeated
from smalti.steps.refining.problem.free import held_out
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.models import STILL_UNIT, Exposures, PanelSizes
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.parallax import Parallax
from smalti.steps.refining.problem.traits import traits
from smalti.tables import Flag, Reflections
from smalti.text import plural

__all__ = ["Selection", "observed_and_indexed", "select"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Selection:
    """The reflections that are used, and how many were left out for which reason.

    Attributes
    ----------
    observations : Observations
    held_out : (N,) bool
        The free set: judged like the others, never fitted.
    entering : (rows of the table,) bool
        Which crossing of the Ewald sphere each indexed reflection was matched to.
    left_out : Mapping
        Reason in words to number of reflections.
    parallax : Parallax or None
        What makes observed millimetres follow the geometry, where they do.
    left_out_experiments : Mapping
        Number of an experiment that takes no part to the reason in words.
    """

    observations: Observations
    held_out: Mask
    entering: Mask
    left_out: Mapping[str, int]
    parallax: Parallax | None = None
    left_out_experiments: Mapping[int, str] = field(default_factory=dict)

    def without(self, experiments: Mapping[int, str]) -> Selection:
        """Leave out whole experiments, for reasons; no reflection of theirs is used."""
        if not experiments:
            return self
        data = self.observations
        keep = np.flatnonzero(~np.isin(data.spots.experiment, list(experiments)))
        told = dict(self.left_out)
        for reason in experiments.values():
            told.setdefault(reason, 0)
        for number, reason in experiments.items():
            told[reason] += int((data.spots.experiment == number).sum())
        return replace(
            self,
            observations=data.take(keep),
            held_out=self.held_out[keep],
            left_out=told,
            parallax=self.parallax and self.parallax.take(keep, data.n),
            left_out_experiments={**self.left_out_experiments, **experiments},
        )


def select(table: Reflections, layout: Layout, options: RefineOptions) -> Selection:
    """Choose reflections by the models as they came (p = 0).

    Raises
    ------
    DataError
        The table does not fit the experiments, holds values that are no measurement, or leaves fewer
        reflections than ``minimum_reflections``.
    """
    experiments = layout.experiments
    table.require("id", "miller_index", "panel", "xyzobs.mm.value", "xyzobs.mm.variance")
    indexed = observed_and_indexed(table)
    check(experiments, table, indexed)
    state = layout.state(np.zeros(layout.n))
    exposures, sizes = Exposures.of(experiments), PanelSizes.of(experiments)
    rows = np.flatnonzero(indexed)
    spots = _spots(table, state, exposures, sizes, rows)
    tests, zeta, theta = _tests(table, state, exposures, sizes, spots, rows, options)
    keep, left_out = np.ones(len(rows), dtype=bool), {}
    for reason, good in tests.items():
        if (keep & ~good).any():
            left_out[reason] = int((keep & ~good).sum())
        keep &= good
    if not options.use_all:
        drawn = _drawn(spots.experiment, keep, exposures, options)
        left_out["not drawn"] = int((keep & ~drawn).sum())
        keep &= drawn
    if keep.sum() < options.minimum_reflections:
        raise _too_few(int(keep.sum()), table.n_rows, len(rows), left_out, options)
    kept, used = rows[keep], spots.take(keep)
    observations = Observations.of(
        kept,
        used,
        *_observed(table, kept, exposures.still[used.experiment]),
        traits(table.take(kept), experiments, exposures, sizes, zeta[keep], theta[keep]),
    )
    parallax = Parallax.of(table, observations, layout) if options.parallax else None
    free = _held_out(table, state, observations, options)
    entering = np.zeros(table.n_rows, dtype=bool)
    entering[rows] = spots.entering
    return Selection(observations, free, entering, left_out, parallax)


def _observed(table: Reflections, rows: Index, still: Mask) -> tuple[Array, Array]:
    """Observed centroids and their variances, (N, 3) each; DeltaPsi of stills is observed as 0."""
    value, variance = table["xyzobs.mm.value"][rows], table["xyzobs.mm.variance"][rows]
    value[still, 2], variance[still, 2] = 0.0, STILL_UNIT**2
    return value, variance


def _tests(
    table: Reflections,
    state: RotationState,
    exposures: Exposures,
    sizes: PanelSizes,
    spots: Spots,
    rows: Index,
    options: RefineOptions,
) -> tuple[dict[str, Mask], Array, Array]:
    """Tell by reason which of the indexed rows (N,) may be used, (N,) each; zeta and theta (rad) of all."""
    xyz, s1 = predict(state, spots)
    volume, zeta = _spindle_volume(state, spots.experiment, s1)
    number, angle = spots.experiment, spots.angle
    margin = np.minimum(angle - exposures.begin[number], exposures.end[number] - angle)
    overloaded = table.flagged(Flag.OVERLOADED)[rows] if "flags" in table else np.zeros(len(rows), dtype=bool)
    edge = np.radians(options.scan_margin)
    indexed = np.zeros(table.n_rows, dtype=bool)
    indexed[rows] = True
    tests = {
        "in the table already": ~repeated(table, indexed)[rows],
        "overloaded": ~overloaded,
        "outside the scan": margin >= -1e-9,
        "not predicted": np.isfinite(xyz).all(axis=1),
        "cut by an edge of the panel": whole_on_panel(table, rows, spots.panel, sizes) | options.edge_spots,
        "close to the spindle": (zeta >= options.spindle_cut) & (volume >= options.close_to_spindle),
        "close to an end of the scan": (margin >= edge) | (edge == 0.0),
    }
    length = np.linalg.norm(s1 - state.s0[number], axis=1) / np.linalg.norm(state.s0[number], axis=1)
    return tests, zeta, np.arcsin(np.clip(0.5 * length, 0.0, 1.0))


def _held_out(table: Reflections, state: RotationState, data: Observations, options: RefineOptions) -> Mask:
    d_star = np.linalg.norm(np.einsum("nij,nj->ni", state.FA[data.spots.experiment], data.spots.h), axis=1)
    return held_out(data, d_star, table["free"][data.rows] if "free" in table else None, options)


def whole_on_panel(table: Reflections, rows: Index, panel: Index, sizes: PanelSizes) -> Mask:
    """Tell which spots touch no edge of their panel, (N,); all where the table has no boxes.

    Of a spot at an edge a part is missing, and what is left has its middle up to half a pixel inwards. All
    around a panel this looks as if the panel were further away, as spots at the edges tell it best.

    Parameters
    ----------
    rows : (N,)
        Which rows of the table.
    panel : (N,)
        Panel of each, counted over all detectors.
    """
    if "bbox" not in table:
        return np.ones(len(rows), dtype=bool)
    box, edge = table["bbox"][rows], sizes.image_size[panel]
    return np.asarray((box[:, [0, 2]] > 0).all(axis=1) & (box[:, [1, 3]] < edge).all(axis=1))


def observed_and_indexed(table: Reflections) -> Mask:
    """Tell which rows are spots that were found and have an index, (N,).

    Integrated tables hold rows that were only predicted, with made-up positions; where any row is
    flagged as indexed, the others are not used.
    """
    indexed = (table["id"] >= 0) & (table["miller_index"] != 0).any(axis=1)
    if "flags" in table and (indexed & table.flagged(Flag.INDEXED)).any():
        indexed = indexed & table.flagged(Flag.INDEXED)
    return np.asarray(indexed)


def _spots(
    table: Reflections, state: RotationState, exposures: Exposures, sizes: PanelSizes, rows: Index
) -> Spots:
    """What predicts the indexed rows, (N,)."""
    number = table["id"][rows].astype(np.intp)
    angle = np.where(exposures.still[number], 0.0, table["xyzobs.mm.value"][rows, 2])
    panel = sizes.row(number, table["panel"][rows])
    h = table["miller_index"][rows].astype(float)
    spots = Spots(h, np.zeros(len(rows), dtype=bool), angle, number, panel)
    return replace(spots, entering=_nearer_crossing(state, spots))


def _nearer_crossing(state: RotationState, spots: Spots) -> Mask:
    """Tell which reflections enter the Ewald sphere: of its two crossings the one nearer in angle.

    The column ``entering`` is not asked: files of other programs do not all have it, nor mean the same.
    Stills do neither.
    """
    out = np.zeros(len(spots.h), dtype=bool)
    turning = np.flatnonzero(~state.stills[spots.experiment])
    some = spots.take(turning)
    away = [
        np.abs(crossings(state, replace(some, entering=np.full(len(turning), kind)))[0] - some.angle)
        for kind in (True, False)
    ]
    out[turning] = away[0] <= away[1]
    return out


def _spindle_volume(state: RotationState, number: Index, s1: Array) -> tuple[Array, Array]:
    """|(s1 x s0).e|: small where a reflection moves along the Ewald sphere and its angle means little.

    DIALS's form of the criterion, in 1/Angstrom^2: it depends on the wavelength. Second zeta, which is
    the same over |s1 x s0|: a pure number. Of stills, in which nothing moves, infinity and 1.
    """
    axes = np.einsum("eij,ej->ei", state.S, state.axis)
    across = np.cross(s1, state.s0[number])
    volume = np.abs(np.einsum("ni,ni->n", across, axes[number]))
    zeta = volume / np.maximum(np.linalg.norm(across, axis=1), 1e-12)
    still = state.stills[number]
    return np.where(still, np.inf, volume), np.where(still, 1.0, zeta)


def _drawn(number: Index, keep: Mask, exposures: Exposures, options: RefineOptions) -> Mask:
    """Draw a random part of the reflections (N,) of each sweep, so many per degree; of stills all."""
    rng = np.random.default_rng(options.seed)
    drawn = exposures.still[number]
    for k in np.flatnonzero(~exposures.still):
        rows = np.flatnonzero(keep & (number == k))
        begin, end = np.degrees([exposures.begin[k], exposures.end[k]])
        wanted = max(int(options.reflections_per_degree * abs(end - begin)), 1000)
        drawn[rows if wanted >= rows.size else rng.choice(rows, wanted, replace=False)] = True
    return drawn


def _too_few(
    used: int, rows: int, indexed: int, left_out: Mapping[str, int], options: RefineOptions
) -> DataError:
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return DataError(
        f"Only {plural(used, 'reflection')} can be used; a refinement needs {options.minimum_reflections}.",
        f"Of {rows:,} in the table {indexed:,} are indexed" + (f"; left out: {reasons}." if reasons else "."),
        _cure(indexed, left_out),
    )


def _cure(indexed: int, left_out: Mapping[str, int]) -> str:
    """Tell what to do, by what took most."""
    if indexed == 0:
        return "Index the spots first: smalti index."
    most = max(left_out, key=lambda reason: left_out[reason], default="")
    if left_out.get(most, 0) < 0.5 * indexed:
        most = ""
    return {
        "outside the scan": "Check that models and table belong together: spots and scan do not fit.",
        "not predicted": "Check that models and table belong together: indices and crystal do not fit.",
        "close to the spindle": "Lower spindle_cut and close_to_spindle.",
        "close to an end of the scan": "Lower scan_margin.",
        "cut by an edge of the panel": "Allow them with edge_spots.",
    }.get(most, "Find more spots or use more images.")

"""Which reflections a refinement uses, and what is wrong with those it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.derivatives import Spots, predict
from smalti.geometry.prediction import diffraction_angles, nearest_turn
from smalti.models import Experiment, Experiments
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.checking import check, repeated
from smalti.steps.refining.problem.free import held_out
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.parallax import Parallax
from smalti.steps.refining.problem.traits import traits
from smalti.tables import Flag, Reflections
from smalti.text import plural

__all__ = ["Selection", "observed_and_indexed", "select"]

Array = NDArray[np.float64]
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
    """

    observations: Observations
    held_out: Mask
    entering: Mask
    left_out: Mapping[str, int]
    parallax: Parallax | None = None


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
    margin, entering = _by_experiment(experiments, table, indexed)
    spots = _spots(table, layout, entering)
    tests, zeta = _tests(table, layout, _rows(spots, indexed), indexed, margin, options)
    keep, left_out = indexed.copy(), {}
    for reason, good in tests.items():
        if (keep & ~good).any():
            left_out[reason] = int((keep & ~good).sum())
        keep &= good
    if not options.use_all:
        drawn = _drawn(table, keep, experiments, options)
        left_out["not drawn"] = int((keep & ~drawn).sum())
        keep &= drawn
    if keep.sum() < options.minimum_reflections:
        raise _too_few(int(keep.sum()), table.n_rows, int(indexed.sum()), left_out, options)
    rows = np.flatnonzero(keep)
    observations = Observations.of(
        rows,
        _rows(spots, keep),
        table["xyzobs.mm.value"][rows],
        table["xyzobs.mm.variance"][rows],
        traits(table.take(rows), experiments, zeta[rows]),
    )
    parallax = Parallax.of(table, observations, layout) if options.parallax else None
    free = _held_out(table, layout, observations, options)
    return Selection(observations, free, entering, left_out, parallax)


def _tests(
    table: Reflections, layout: Layout, spots: Spots, indexed: Mask, margin: Array, options: RefineOptions
) -> tuple[dict[str, Mask], Array]:
    """Tell by reason which rows may be used, (rows,) each, and zeta of all; spots are the indexed ones."""
    xyz, s1 = predict(layout.state(np.zeros(layout.n)), spots)
    possible, volume, zeta = np.zeros(table.n_rows, dtype=bool), *np.zeros((2, table.n_rows))
    possible[indexed] = np.isfinite(xyz).all(axis=1)
    volume[indexed], zeta[indexed] = _spindle_volume(layout.experiments, table["id"][indexed], s1)
    overloaded = table.flagged(Flag.OVERLOADED) if "flags" in table else np.zeros(table.n_rows, dtype=bool)
    edge = np.radians(options.scan_margin)
    tests = {
        "in the table already": ~repeated(table, indexed),
        "overloaded": ~overloaded,
        "outside the scan": margin >= -1e-9,
        "not predicted": possible,
        "cut by an edge of the panel": whole_on_panel(table, layout.experiments) | options.edge_spots,
        "close to the spindle": (zeta >= options.spindle_cut) & (volume >= options.close_to_spindle),
        "close to an end of the scan": (margin >= edge) | (edge == 0.0),
    }
    return tests, zeta


def _held_out(table: Reflections, layout: Layout, data: Observations, options: RefineOptions) -> Mask:
    by_experiment = layout.state(np.zeros(layout.n)).FA[data.spots.experiment]
    d_star = np.linalg.norm(np.einsum("nij,nj->ni", by_experiment, data.spots.h), axis=1)
    return held_out(data, d_star, table["free"][data.rows] if "free" in table else None, options)


def whole_on_panel(table: Reflections, experiments: Experiments) -> Mask:
    """Tell which spots touch no edge of their panel, (N,); all where the table has no boxes.

    Of a spot at an edge a part is missing, and what is left has its middle up to half a pixel inwards. All
    around a panel this looks as if the panel were further away, as spots at the edges tell it best.
    """
    whole = np.ones(table.n_rows, dtype=bool)
    if "bbox" not in table:
        return whole
    for number, experiment in enumerate(experiments):
        rows = np.flatnonzero(table["id"] == number)
        size = np.array([panel.image_size for panel in experiment.detector.panels])
        box, edge = table["bbox"][rows], size[table["panel"][rows].astype(np.intp)]
        whole[rows] = (box[:, [0, 2]] > 0).all(axis=1) & (box[:, [1, 3]] < edge).all(axis=1)
    return whole


def observed_and_indexed(table: Reflections) -> Mask:
    """Tell which rows are spots that were found and have an index, (N,).

    Integrated tables hold rows that were only predicted, with made-up positions; where any row is
    flagged as indexed, the others are not used.
    """
    indexed = (table["id"] >= 0) & (table["miller_index"] != 0).any(axis=1)
    if "flags" in table and (indexed & table.flagged(Flag.INDEXED)).any():
        indexed = indexed & table.flagged(Flag.INDEXED)
    return np.asarray(indexed)


def _nearer_crossing(experiment: Experiment, table: Reflections, rows: NDArray[np.intp]) -> Mask:
    """Tell which reflections enter the Ewald sphere: of its two crossings the one nearer in angle.

    The column ``entering`` is not asked: files of other programs do not all have it, nor mean the same.
    """
    assert experiment.crystal is not None and experiment.goniometer is not None
    goniometer = experiment.goniometer
    q = table["miller_index"][rows] @ (goniometer.F @ experiment.crystal.A).T
    angles, _ = diffraction_angles(q, goniometer.axis, goniometer.S.T @ experiment.beam.s0)
    observed = table["xyzobs.mm.value"][rows, 2]
    away = np.abs(nearest_turn(angles, observed[:, None]) - observed[:, None])
    return np.asarray(away[:, 0] <= away[:, 1])


def _by_experiment(experiments: Experiments, table: Reflections, indexed: Mask) -> tuple[Array, Mask]:
    """How far reflections are inside their scan (rad, negative outside), and which crossing they are."""
    margin, entering = np.full(table.n_rows, -np.inf), np.zeros(table.n_rows, dtype=bool)
    for number, experiment in enumerate(experiments):
        assert experiment.scan is not None
        rows = np.flatnonzero(indexed & (table["id"] == number))
        entering[rows] = _nearer_crossing(experiment, table, rows)
        begin, end = sorted(experiment.scan.angle_range)
        angle = table["xyzobs.mm.value"][rows, 2]
        margin[rows] = np.minimum(angle - begin, end - angle)
    return margin, entering


def _spots(table: Reflections, layout: Layout, entering: Mask) -> Spots:
    first = np.array([layout.panel_offset[use["detector"]] for use in layout.uses], dtype=np.intp)
    experiment = np.maximum(table["id"], 0).astype(np.intp)
    panel = table["panel"].astype(np.intp) + first[experiment]
    h = table["miller_index"].astype(float)
    return Spots(h, entering, np.array(table["xyzobs.mm.value"][:, 2]), experiment, panel)


def _rows(spots: Spots, keep: Mask) -> Spots:
    return Spots(
        spots.h[keep], spots.entering[keep], spots.angle[keep], spots.experiment[keep], spots.panel[keep]
    )


def _spindle_volume(experiments: Experiments, number: NDArray[np.int32], s1: Array) -> tuple[Array, Array]:
    """|(s1 x s0).e|: small where a reflection moves along the Ewald sphere and its angle means little.

    DIALS's form of the criterion, in 1/Angstrom^2: it depends on the wavelength. Second zeta, which is
    the same over |s1 x s0|: a pure number.
    """
    axes = np.array([e.goniometer.laboratory_axis for e in experiments if e.goniometer is not None])
    s0 = np.array([e.beam.s0 for e in experiments])
    across = np.cross(s1, s0[number])
    volume = np.abs(np.einsum("ni,ni->n", across, axes[number]))
    return volume, volume / np.maximum(np.linalg.norm(across, axis=1), 1e-12)


def _drawn(table: Reflections, keep: Mask, experiments: Experiments, options: RefineOptions) -> Mask:
    """Draw a random part of each experiment's reflections, so many per degree of rotation."""
    rng = np.random.default_rng(options.seed)
    drawn = np.zeros(table.n_rows, dtype=bool)
    for number, experiment in enumerate(experiments):
        assert experiment.scan is not None
        rows = np.flatnonzero(keep & (table["id"] == number))
        begin, end = np.degrees(experiment.scan.angle_range)
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

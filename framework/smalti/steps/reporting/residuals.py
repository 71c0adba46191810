"""What a reflection table says of calculated minus observed, ready to be drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, to_mm, to_px
from smalti.geometry.prediction import nearest_turn
from smalti.geometry.reciprocal import resolution
from smalti.models import Experiment, Experiments
from smalti.steps.predicting import predict_indexed
from smalti.tables import Flag, Reflections

__all__ = ["Residuals", "gather", "on_the_reflections_of"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Mask = NDArray[np.bool_]

TO_SHOWN = np.array([1e3, 1e3, 1e3 * 180.0 / np.pi])
"""From mm, mm, rad to the units of the report: um, um, mdeg."""


@dataclass(frozen=True, slots=True)
class Residuals:
    """Residuals and where they were seen, one row per spot of the table.

    Attributes
    ----------
    values : (N, 3) um, um, mdeg
        Calculated minus observed along fast, along slow, in rotation angle or of stills DeltaPsi; nan where
        not predicted.
    steps : (N, 3)
        What one pixel, one pixel and one image are in those units.
    position : (N, 2) mm
        Where the spot was seen on its panel.
    panel, experiment : (N,)
        Flat number of the panel; row of the experiment list, -1 when not indexed.
    indexed, used, rejected : (N,) bool
        Rejected are the indexed ones that refinement set aside.
    image : (N,)
        Observed place in images, from 0.
    angle : (N,) deg
    d : (N,) Angstrom
        nan when not indexed.
    intensity : (N,) counts
        nan where the table has none.
    variance : (N, 2) um^2
        Of the X and Y residuals: of the refinement's weights, else those of the table; nan where not known.
    free : (N,) bool
        Held out of the refinement, to be predicted only.
    variances : str
        Where the variances are from: "refinement", "table", or "" where there are none.
    third : str
        What the third residual is: "phi", "DeltaPsi" of stills, "mixed" where there are both.
    warnings : tuple of str
    """

    values: Array
    steps: Array
    position: Array
    panel: Index
    experiment: Index
    indexed: Mask
    used: Mask
    rejected: Mask
    image: Array
    angle: Array
    d: Array
    intensity: Array
    variance: Array
    free: Mask
    variances: str
    third: str
    warnings: tuple[str, ...]

    @property
    def chi2(self) -> Array:
        """Mean of the squares of X and Y in their variances, (N,): 1 where they are what was expected."""
        return np.asarray((self.values[:, :2] ** 2 / self.variance).mean(axis=1))


def gather(experiments: Experiments, table: Reflections) -> Residuals:
    """Work out the residuals of a table, predicting first where it holds no predictions.

    Used are the reflections that refinement flagged as used; before any refinement, all that are
    indexed, predicted and not flagged as outliers.

    Raises
    ------
    DataError
        Nothing in the table is indexed.
    """
    table.require("panel", "flags")
    indexed = _indexed(table)
    _check(experiments, table)
    table = _with_both_units(experiments, table)
    stills = np.array([e.is_still for e in experiments])
    predicted = _predicted(table, indexed)
    warnings: tuple[str, ...] = ()
    if not predicted.any():
        table = predict_indexed(experiments, table)
        predicted = _predicted(table, indexed)
        warnings = ("The table held no predictions; they were computed from the models.",)
    values = (
        _values(table, stills[np.maximum(table["id"], 0)])
        if predicted.any()
        else np.full((table.n_rows, 3), np.nan)
    )
    values[~predicted] = np.nan
    used = predicted & table.flagged(Flag.USED_IN_REFINEMENT)
    outlier = table.flagged(Flag.CENTROID_OUTLIER)
    if not used.any():
        used = predicted & ~outlier
    rejected = predicted & outlier & ~used
    variance, variances = _variance(table)
    return Residuals(
        values=values,
        steps=_steps(experiments, table),
        position=table["xyzobs.mm.value"][:, :2],
        panel=table["panel"].astype(np.intp),
        experiment=table["id"].astype(np.intp),
        indexed=indexed,
        used=used & np.isfinite(values).all(axis=1),
        rejected=rejected,
        image=table["xyzobs.px.value"][:, 2],
        angle=np.degrees(table["xyzobs.mm.value"][:, 2]),
        d=_resolutions(experiments, table, indexed),
        intensity=_intensity(table),
        variance=variance,
        free=_free(table) & predicted & ~used & ~rejected,
        variances=variances,
        third="DeltaPsi" if stills.all() else "mixed" if stills.any() else "phi",
        warnings=warnings,
    )


def on_the_reflections_of(before: Residuals, after: Residuals) -> tuple[Residuals, bool]:
    """Judge ``before`` on the reflections used after, where the tables hold the same spots row by row.

    Returns
    -------
    before, same
        ``same`` tells whether the two could be matched; if not, ``before`` is unchanged.
    """
    alike = len(before.panel) == len(after.panel) and np.array_equal(before.panel, after.panel)
    if not (alike and np.allclose(before.image, after.image, atol=1e-3)):
        return before, False
    used = after.used & np.isfinite(before.values).all(axis=1)
    if after.variances != "refinement":
        return replace(before, used=used), True
    # What the refinement found out of the noise holds for the same spots before: one scale for both.
    return replace(before, used=used, variance=after.variance, variances=after.variances), True


def _check(experiments: Experiments, table: Reflections) -> None:
    if not len(experiments):
        raise DataError("There is nothing to report.", "The file holds no experiment.", "Give another file.")
    owner = np.maximum(table["id"], 0)
    sizes = np.array([len(e.detector) for e in experiments], dtype=np.uint64)
    strange = owner >= len(experiments)
    strange |= table["panel"] >= sizes[np.where(strange, 0, owner)]
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        raise DataError(
            "Experiments and reflections do not belong together.",
            f"Row {row} speaks of experiment {table['id'][row]} and panel {table['panel'][row]}; "
            f"there are {len(experiments)} experiments, with {sizes.min()} to {sizes.max()} panels.",
            "Give the .expt and the .refl that one command wrote together.",
        )


def _indexed(table: Reflections) -> Mask:
    """Tell which spots are indexed, (N,).

    Raises
    ------
    DataError
        None is.
    """
    indexed = np.zeros(table.n_rows, dtype=bool)
    if "miller_index" in table and "id" in table:
        indexed = (table["id"] >= 0) & np.any(table["miller_index"] != 0, axis=1)
    if not indexed.any():
        raise DataError(
            "There is nothing to report: no reflection is indexed.",
            f"The table holds {table.n_rows:,} spots without Miller indices.",
            "Index them first: smalti index imported.expt strong.refl",
        )
    return indexed


def _predicted(table: Reflections, indexed: Mask) -> Mask:
    """Tell which indexed reflections have a calculated place; zeros stand for none."""
    if "xyzcal.mm" not in table:
        return np.zeros(table.n_rows, dtype=bool)
    calculated = table["xyzcal.mm"]
    return np.asarray(
        indexed & np.isfinite(calculated).all(axis=1) & np.any(calculated[:, :2] != 0.0, axis=1)
    )


def _with_both_units(experiments: Experiments, table: Reflections) -> Reflections:
    """Add observed positions in mm where the table has them in pixels only, or the other way."""
    px, mm = "xyzobs.px.value", "xyzobs.mm.value"
    if px in table and mm in table:
        return table
    if px not in table and mm not in table:
        table.require(px)
    have = table[px] if px in table else table[mm]
    made = np.zeros_like(have)
    for experiment, rows in _by_experiment(experiments, np.maximum(table["id"], 0)):
        arrays, panel = PanelArrays.of(experiment.detector), table["panel"][rows].astype(np.intp)
        made[rows, :2] = (to_mm if px in table else to_px)(have[rows, :2], panel, arrays)
        scan = experiment.scan
        if scan is not None and scan.oscillation[1] != 0.0:
            made[rows, 2] = (scan.angle if px in table else scan.array_index)(have[rows, 2])
    return table.with_columns({mm if px in table else px: made})


def _by_experiment(experiments: Experiments, owner: Index) -> Iterator[tuple[Experiment, Index]]:
    """Give each experiment that has any rows, and these; the order of a table is not relied on."""
    order = np.argsort(owner, kind="stable")
    bounds = np.searchsorted(owner[order], np.arange(len(experiments) + 1))
    for experiment, first, last in zip(experiments, bounds[:-1], bounds[1:], strict=True):
        if last > first:
            yield experiment, order[first:last]


def _intensity(table: Reflections) -> Array:
    name = "intensity.sum.value"
    return np.array(table[name], dtype=float) if name in table else np.full(table.n_rows, np.nan)


def _free(table: Reflections) -> Mask:
    return np.asarray(table["free"]) if "free" in table else np.zeros(table.n_rows, dtype=bool)


def _variance(table: Reflections) -> tuple[Array, str]:
    """Give the variances (N, 2) um^2 of X and Y, and whose they are."""
    if "xyzobs.mm.weights" in table:
        weights, source = table["xyzobs.mm.weights"][:, :2], "refinement"
        variance = 1.0 / np.where(weights > 0.0, weights, np.nan)
    elif "xyzobs.mm.variance" in table:
        variance, source = table["xyzobs.mm.variance"][:, :2], "table"
        variance = np.where(variance > 0.0, variance, np.nan)
    else:
        variance, source = np.full((table.n_rows, 2), np.nan), ""
    return np.asarray(variance * TO_SHOWN[:2] ** 2), source


def _values(table: Reflections, still: Mask) -> Array:
    """Residuals (N, 3); ``still`` (N,) tells which rows are of stills."""
    observed, calculated = table["xyzobs.mm.value"], table["xyzcal.mm"]
    difference = calculated - observed
    difference[:, 2] = nearest_turn(calculated[:, 2], observed[:, 2]) - observed[:, 2]
    if still.any():
        psi = table["delpsical.rad"] if "delpsical.rad" in table else np.zeros(table.n_rows)
        difference[still, 2] = psi[still]
    return np.asarray(difference * TO_SHOWN)


def _steps(experiments: Experiments, table: Reflections) -> Array:
    """Pixel sizes (um) and image width (mdeg) of each row; a spot of no experiment takes the first's."""
    steps = np.empty((table.n_rows, 3))
    sizes_of = {
        id(found): np.array([panel.pixel_size for panel in found.panels])
        for found in experiments.unique("detector")
    }
    for experiment, rows in _by_experiment(experiments, np.maximum(table["id"], 0)):
        sizes = sizes_of[id(experiment.detector)]
        steps[rows, :2] = sizes[table["panel"][rows].astype(np.intp)] * TO_SHOWN[:2]
        steps[rows, 2] = _image_width(experiment) * TO_SHOWN[2]
    return steps


def _image_width(experiment: Experiment) -> float:
    width = abs(experiment.scan.oscillation[1]) if experiment.scan is not None else 0.0
    return width if width > 0.0 else float("nan")


def _resolutions(experiments: Experiments, table: Reflections, indexed: Mask) -> Array:
    d = np.full(table.n_rows, np.nan)
    known = np.flatnonzero(indexed)
    for experiment, some in _by_experiment(experiments, table["id"][known]):
        rows = known[some]
        if experiment.crystal is not None:
            d[rows] = resolution(table["miller_index"][rows] @ experiment.crystal.A.T)
    return d

"""Tables that do not fit their experiments, and values that nobody can have measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiments
from smalti.steps.refining.problem.models import Exposures, PanelSizes
from smalti.tables import Reflections
from smalti.text import plural

__all__ = ["check", "repeated"]

Mask = NDArray[np.bool_]

_BESIDE = 5.0
"""mm; wrong spots, and those of models that are far off, may be so far outside."""

_MANY = 0.05

_WIDEST = 1e4
"""mm; no detector is that wide."""

_VARIANCES = (1e-18, 1e6)
"""mm^2, rad^2; centroids are known better than to a metre, and worse than to a picometre."""


def check(experiments: Experiments, table: Reflections, indexed: Mask) -> None:
    """Refuse a table that does not fit the experiments or holds what cannot have been measured.

    Parameters
    ----------
    indexed : (N,) bool
        The rows that matter.

    Raises
    ------
    DataError
        Says which, where the first of them is, and what to do.
    """
    _check_experiments(experiments, table, indexed)
    _check_stills(experiments, table, indexed)
    sizes = PanelSizes.of(experiments)
    _check_panels(sizes, table, indexed)
    value, variance = table["xyzobs.mm.value"], table["xyzobs.mm.variance"]
    positions = {"xyzobs.mm.value": value}
    if "xyzobs.px.value" in table:  # millimetres are worked out from them as the geometry moves
        positions["xyzobs.px.value"] = table["xyzobs.px.value"]
    for column, numbers in positions.items():
        _refuse(indexed, ~np.isfinite(numbers), "no number as observed position", column)
    away = f"an observed position more than {_WIDEST / 1e3:g} m away"
    _refuse(indexed, np.abs(value[:, :2]) > _WIDEST, away, "xyzobs.mm.value")
    _check_places(sizes, table, indexed)
    told = np.ones((table.n_rows, 3), dtype=bool)
    told[:, 2] = ~Exposures.of(experiments).still[np.maximum(table["id"], 0)]  # nothing turns in a still
    variance = np.where(told, variance, 1.0)
    bad = ~(np.isfinite(variance) & (variance > 0.0))
    _refuse(indexed, bad, "a variance that is not positive", "xyzobs.mm.variance")
    absurd = (variance < _VARIANCES[0]) | (variance > _VARIANCES[1])
    _refuse(indexed, absurd, "a variance that no centroid can have", "xyzobs.mm.variance")


def repeated(table: Reflections, indexed: Mask) -> Mask:
    """Tell which rows say again what an earlier row says, (N,).

    The same place on the same panel, to the last bit, in the same experiment: tables that were joined twice
    would make everything look more certain than it is.
    """
    again = np.zeros(table.n_rows, dtype=bool)
    value = table["xyzobs.mm.value"]
    order = np.flatnonzero(indexed)[np.argsort(value[indexed, 0], kind="stable")]
    x = value[order, 0]
    alike = np.zeros(len(x), dtype=bool)
    alike[1:] = x[1:] == x[:-1]
    alike[:-1] |= alike[1:]
    rows = np.sort(order[alike])
    if rows.size:
        key = np.column_stack([value[rows], table["id"][rows], table["panel"][rows].astype(float)])
        first = np.unique(key, axis=0, return_index=True)[1]
        again[np.delete(rows, first)] = True
    return again


def _check_experiments(experiments: Experiments, table: Reflections, indexed: Mask) -> None:
    number = table["id"][indexed]
    if number.size and number.max() >= len(experiments):
        raise DataError(
            f"The table speaks of experiment {int(number.max())}, counted from 0.",
            f"There {'is' if len(experiments) == 1 else 'are'} {plural(len(experiments), 'experiment')}: "
            "table and experiments do not belong together.",
            "Give the pair of files that one command wrote.",
        )
    for k in np.unique(number):
        theirs, ours = table.identifiers.get(int(k), ""), experiments[int(k)].identifier
        if theirs and ours and theirs != ours:
            raise DataError(
                f"The table belongs to another experiment: its number {k} is '{theirs}'.",
                f"In the experiments number {k} is '{ours}'.",
                "Give the pair of files that one command wrote.",
            )


def _check_stills(experiments: Experiments, table: Reflections, indexed: Mask) -> None:
    """Refuse experiments that lack what makes them sweeps: their spots lie on many images.

    Without the angles of a scan they would be refined as stills, and wrongly so.
    """
    still = Exposures.of(experiments).still
    if "xyzobs.px.value" not in table or not still.any():
        return
    owner, z = table["id"][indexed], table["xyzobs.px.value"][indexed, 2]
    low, high = np.full(len(still), np.inf), np.full(len(still), -np.inf)
    np.minimum.at(low, owner, z)
    np.maximum.at(high, owner, z)
    for k in np.flatnonzero(still & (high - low > 1.0)):
        experiment = experiments[int(k)]
        lacks = (
            "scan" if experiment.scan is None else "goniometer" if experiment.goniometer is None else "width"
        )
        raise DataError(
            f"Experiment {k} is a still, but its spots lie on {high[k] - low[k]:.0f} images.",
            f"It has no {lacks}, without which nothing is known of its rotation.",
            "Import the images again, or give the experiments that belong to the table.",
        )


def _check_panels(sizes: PanelSizes, table: Reflections, indexed: Mask) -> None:
    experiment = table["id"]
    if not indexed.any():
        return
    beyond = indexed & (table["panel"] >= sizes.count[np.where(indexed, experiment, 0)].astype(np.uint64))
    if beyond.any():
        row = int(np.flatnonzero(beyond)[0])
        count = int(beyond.sum())
        raise DataError(
            f"{plural(count, 'reflection')} {'is' if count == 1 else 'are'} on panels that the detector does "
            "not have.",
            f"The first is row {row}: panel {int(table['panel'][row])} of a detector of "
            f"{sizes.count[experiment[row]]}.",
            "Convert experiments and reflections together: smalti panels FILE.expt FILE.refl.",
        )


def _check_places(sizes: PanelSizes, table: Reflections, indexed: Mask) -> None:
    """Refuse spots beside their panels, as those of a frame are that is one panel here and modules there."""
    beside = np.zeros(table.n_rows, dtype=bool)
    rows = np.flatnonzero(indexed)
    panel = sizes.row(table["id"][rows], table["panel"][rows])
    place, edge = table["xyzobs.mm.value"][rows, :2], (sizes.image_size * sizes.pixel_size)[panel]
    beside[rows] = ((place < -_BESIDE) | (place > edge + _BESIDE)).any(axis=1)
    count = int(beside.sum())
    if count > _MANY * indexed.sum():
        row = int(np.flatnonzero(beside)[0])
        x, y = table["xyzobs.mm.value"][row, :2]
        raise DataError(
            f"{plural(count, 'reflection')} of the table {'lies' if count == 1 else 'lie'} beside the panel.",
            f"The first is row {row}: at {x:.1f}, {y:.1f} mm of panel {int(table['panel'][row])}.",
            "Convert experiments and reflections together: smalti panels FILE.expt FILE.refl.",
        )


def _refuse(indexed: Mask, bad: Mask, what: str, column: str) -> None:
    """Refuse indexed rows with bad values, (N, k); hardly ever there are any, and to look is quick."""
    rows = np.flatnonzero(indexed & bad.any(axis=1)) if bad.any() else np.zeros(0, dtype=np.intp)
    if rows.size:
        raise DataError(
            f"{plural(len(rows), 'indexed reflection')} {'has' if len(rows) == 1 else 'have'} {what}.",
            f"Column '{column}', first at row {int(rows[0])}.",
            "Find the spots again, or remove these rows.",
        )

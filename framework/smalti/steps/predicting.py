"""Predict reflections: all of a sweep, or those of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, find_panels, intersect, to_px
from smalti.geometry.prediction import (
    diffracted_beams,
    diffraction_angles,
    miller_indices_within,
    nearest_turn,
)
from smalti.models import Crystal, Experiment, Experiments, Goniometer, Scan
from smalti.tables import Flag, Reflections

__all__ = ["predict_indexed", "predict_sweep"]

Array = NDArray[np.float64]


def predict_sweep(experiment: Experiment, d_min: float) -> Reflections:
    """Predict every reflection of one rotation experiment that falls on a panel.

    Parameters
    ----------
    experiment : Experiment
        With crystal, goniometer and scan.
    d_min : float
        High-resolution limit, Angstrom.

    Returns
    -------
    Reflections
        miller_index, panel, entering, s1, xyzcal.mm, xyzcal.px, id (0), flags (predicted); ordered by
        rotation angle. Systematic absences are not left out. Sweeps of more than a turn predict every turn.
    """
    crystal, goniometer, scan = _rotation_models(experiment)
    s0 = experiment.beam.s0
    h = miller_indices_within(crystal.A, d_min)
    q = h @ (goniometer.F @ crystal.A).T
    angles, _ = diffraction_angles(q, goniometer.axis, goniometer.S.T @ s0)
    arrays = PanelArrays.of(experiment.detector)
    rows, phi, entering = _crossings(angles, *sorted(scan.angle_range))
    s1 = diffracted_beams(q[rows], phi, goniometer.axis, goniometer.S, s0)
    panel, mm = find_panels(s1, arrays)
    hit = np.flatnonzero(panel >= 0)
    if hit.size == 0:
        raise DataError(
            "No reflection is predicted on the detector.",
            f"Resolution {d_min:g} Angstrom, {scan.n_images} images.",
            "Check beam, distance and d_min.",
        )
    order = hit[np.argsort(phi[hit], kind="stable")]
    phi, panel, mm = phi[order], panel[order], mm[order]
    return Reflections(
        {
            "id": np.zeros(len(order), dtype=np.int32),
            "miller_index": h[rows[order]],
            "panel": panel.astype(np.uint64),
            "entering": entering[order],
            "flags": np.full(len(order), int(Flag.PREDICTED), dtype=np.uint64),
            "s1": s1[order],
            "xyzcal.mm": np.column_stack([mm, phi]),
            "xyzcal.px": np.column_stack([to_px(mm, panel, arrays), scan.array_index(phi)]),
        },
        {0: experiment.identifier} if experiment.identifier else {},
    )


def _crossings(angles: Array, begin: float, end: float) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_]]:
    """Give every crossing of the Ewald sphere from one angle up to another, on every turn between them.

    Parameters
    ----------
    angles : (N, 2) rad
        As :func:`smalti.geometry.prediction.diffraction_angles` gives them.

    Returns
    -------
    rows : (M,)
        Which of the N points crosses.
    phi : (M,) rad
    entering : (M,)
    """
    first = angles - 2.0 * np.pi * np.floor((angles - begin) / (2.0 * np.pi))
    turns = np.arange(np.ceil((end - begin) / (2.0 * np.pi)))
    phi = first[:, :, None] + 2.0 * np.pi * turns
    rows, column, turn = np.nonzero(phi < end)
    return rows, phi[rows, column, turn], column == 0


def predict_indexed(experiments: Experiments, table: Reflections) -> Reflections:
    """Predict where the indexed reflections of a table should be, on the panel where each was seen.

    Each reflection takes the crossing of the Ewald sphere that its ``entering`` says, or without that
    column the one nearer to its observed angle, and the turn nearest to it.

    Returns
    -------
    Reflections
        With ``s1``, ``xyzcal.mm``, ``xyzcal.px``, ``entering`` set and the PREDICTED bit in ``flags``
        where a prediction exists (zeros and a cleared bit elsewhere). Stills are left unpredicted.
    """
    table.require("miller_index", "id", "panel", "xyzobs.mm.value")
    n = table.n_rows
    s1 = np.array(table["s1"]) if "s1" in table else np.zeros((n, 3))
    mm, px = np.zeros((n, 3)), np.zeros((n, 3))
    entering = np.array(table["entering"]) if "entering" in table else np.zeros(n, dtype=bool)
    good = np.zeros(n, dtype=bool)
    known = "entering" in table
    for number, experiment in enumerate(experiments):
        rows = np.flatnonzero((table["id"] == number) & np.any(table["miller_index"] != 0, axis=1))
        if rows.size == 0 or experiment.is_still or experiment.crystal is None:
            continue
        crystal, goniometer, scan = _rotation_models(experiment)
        q = table["miller_index"][rows] @ (goniometer.F @ crystal.A).T
        angles, crosses = diffraction_angles(q, goniometer.axis, goniometer.S.T @ experiment.beam.s0)
        observed = table["xyzobs.mm.value"][rows, 2]
        both = nearest_turn(angles, observed[:, None])
        nearer = np.argmin(np.where(np.isnan(both), np.inf, np.abs(both - observed[:, None])), axis=1)
        column = np.where(entering[rows], 0, 1) if known else nearer
        phi = both[np.arange(rows.size), column]
        rays = diffracted_beams(
            q, np.where(crosses, phi, 0.0), goniometer.axis, goniometer.S, experiment.beam.s0
        )
        arrays = PanelArrays.of(experiment.detector)
        panel = table["panel"][rows].astype(np.intp)
        xy, hit = intersect(rays, panel, arrays)
        ok = crosses & hit
        rows, panel = rows[ok], panel[ok]
        mm[rows] = np.column_stack([xy[ok], phi[ok]])
        px[rows] = np.column_stack([to_px(xy[ok], panel, arrays), scan.array_index(phi[ok])])
        s1[rows], entering[rows], good[rows] = rays[ok], column[ok] == 0, True
    flags = np.array(table["flags"]) if "flags" in table else np.zeros(n, dtype=np.uint64)
    bit = np.uint64(int(Flag.PREDICTED))
    flags = np.where(good, flags | bit, flags & ~bit)
    return table.with_columns(
        {"s1": s1, "xyzcal.mm": mm, "xyzcal.px": px, "entering": entering, "flags": flags}
    )


def _rotation_models(experiment: Experiment) -> tuple[Crystal, Goniometer, Scan]:
    if experiment.crystal is None or experiment.goniometer is None or experiment.scan is None:
        raise DataError(
            "The experiment cannot be predicted.",
            "It needs a crystal, a goniometer and a scan.",
            "Index it first; stills are not predicted here.",
        )
    return experiment.crystal, experiment.goniometer, experiment.scan

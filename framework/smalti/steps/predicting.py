"""Predict reflections: all of a sweep, or those of a table."""

from __future__ import annotations

from dataclasses import dataclass

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
from smalti.geometry.scan_points import between_points, of_images
from smalti.geometry.stills import still_beams
from smalti.models import Crystal, Experiment, Experiments, Goniometer, Scan
from smalti.tables import Flag, Reflections

__all__ = ["predict_indexed", "predict_sweep"]

Array = NDArray[np.float64]

_DRIFT = 0.1
"""rad: crystals that vary do not move crossings further than this."""

_MOST_CORRECTIONS = 20
_SAME_ANGLE = 1e-11


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
    angles, _ = diffraction_angles(h @ (goniometer.F @ crystal.A).T, goniometer.axis, goniometer.S.T @ s0)
    arrays = PanelArrays.of(experiment.detector)
    begin, end = sorted(scan.angle_range)
    if crystal.scan_points:
        rows, phi, entering = _crossings(angles, begin - _DRIFT, end + _DRIFT)
        phi = _where_crystal_varies(experiment, h[rows], phi, entering)
        inside = (phi >= begin) & (phi < end)
        rows, phi, entering = rows[inside], phi[inside], entering[inside]
    else:
        rows, phi, entering = _crossings(angles, begin, end)
    q = _turned_points(experiment, h[rows], phi)
    s1 = diffracted_beams(q, phi, goniometer.axis, goniometer.S, s0)
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


def _turned_points(experiment: Experiment, h: NDArray[np.int32], phi: Array) -> Array:
    """Give F A h, (N, 3) 1/Angstrom, of the crystal as it is at angles phi (N,) rad."""
    crystal, goniometer, scan = _rotation_models(experiment)
    if not crystal.scan_points:
        return np.asarray(h @ (goniometer.F @ crystal.A).T)
    A = between_points(_points(crystal), scan.array_index(phi) - scan.array_range[0])
    return np.asarray(np.einsum("nij,nj->ni", goniometer.F @ A, h))


def _where_crystal_varies(
    experiment: Experiment, h: NDArray[np.int32], phi: Array, entering: NDArray[np.bool_]
) -> Array:
    """Correct the angles (N,) of crossings for what the crystal is at these angles; nan where it misses.

    Fixed-point iteration: the crystal drifts by thousandths of the rotation, and so does the error shrink.
    """
    _, goniometer, _ = _rotation_models(experiment)
    beam, column = goniometer.S.T @ experiment.beam.s0, np.where(entering, 0, 1)
    for _ in range(_MOST_CORRECTIONS):
        before = phi
        q = _turned_points(experiment, h, np.nan_to_num(phi))
        both, _ = diffraction_angles(q, goniometer.axis, beam)
        phi = nearest_turn(both[np.arange(len(both)), column], phi)
        if not (np.abs(phi - before) > _SAME_ANGLE).any():
            break
    return phi


def _points(crystal: Crystal) -> Array:
    return np.array(crystal.scan_points).reshape(-1, 3, 3)


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

    A crystal that varies over its scan is taken as it is on the image where each was seen.
    Each reflection takes the crossing of the Ewald sphere that its ``entering`` says, or without that
    column the one nearer to its observed angle, and the turn nearest to it. Those of stills are put on the
    sphere by the shortest turn, DeltaPsi; what they have of angles and images is 0, as in DIALS.

    Returns
    -------
    Reflections
        With ``s1``, ``xyzcal.mm``, ``xyzcal.px``, ``entering`` set and the PREDICTED bit in ``flags``
        where a prediction exists (zeros and a cleared bit elsewhere); where there are stills, with
        ``delpsical.rad``.
    """
    table.require("miller_index", "id", "panel", "xyzobs.mm.value")
    found, bit = _Predictions.none_of(table), np.uint64(int(Flag.PREDICTED))
    number = table["id"].astype(np.intp)
    indexed = (number >= 0) & (number < len(experiments)) & np.any(table["miller_index"] != 0, axis=1)
    can = np.array([item.crystal is not None for item in experiments], dtype=bool)
    still = np.array([item.is_still for item in experiments], dtype=bool)
    rows = np.flatnonzero(indexed)
    rows = rows[can[number[rows]]]
    turning = rows[~still[number[rows]]]
    turning = turning[np.argsort(number[turning], kind="stable")]
    if turning.size:
        for mine in np.split(turning, np.flatnonzero(np.diff(number[turning])) + 1):
            _predict_sweep_rows(found, experiments[int(number[mine[0]])], table, mine)
    if still.any():
        _predict_still_rows(found, experiments, table, rows[still[number[rows]]])
    flags = np.array(table["flags"]) if "flags" in table else np.zeros(table.n_rows, dtype=np.uint64)
    flags = np.where(found.good, flags | bit, flags & ~bit)
    columns = {
        "s1": found.s1,
        "xyzcal.mm": found.mm,
        "xyzcal.px": found.px,
        "entering": found.entering,
        "flags": flags,
    }
    return table.with_columns(columns | ({"delpsical.rad": found.delta_psi} if still.any() else {}))


@dataclass(frozen=True)
class _Predictions:
    """Columns to be filled: s1, xyzcal.mm, xyzcal.px (N, 3), entering, delpsical.rad (N,), and which are."""

    s1: Array
    mm: Array
    px: Array
    entering: NDArray[np.bool_]
    delta_psi: Array
    good: NDArray[np.bool_]

    @classmethod
    def none_of(cls, table: Reflections) -> _Predictions:
        n = table.n_rows
        s1 = np.array(table["s1"]) if "s1" in table else np.zeros((n, 3))
        entering = np.array(table["entering"]) if "entering" in table else np.zeros(n, dtype=bool)
        return cls(s1, np.zeros((n, 3)), np.zeros((n, 3)), entering, np.zeros(n), np.zeros(n, dtype=bool))


def _predict_sweep_rows(
    found: _Predictions, experiment: Experiment, table: Reflections, rows: NDArray[np.intp]
) -> None:
    crystal, goniometer, scan = _rotation_models(experiment)
    h, seen = table["miller_index"][rows], scan.array_index(table["xyzobs.mm.value"][rows, 2])
    if crystal.scan_points:
        A = of_images(_points(crystal), seen - scan.array_range[0])
        q = np.einsum("nij,nj->ni", goniometer.F @ A, h)
    else:
        q = h @ (goniometer.F @ crystal.A).T
    angles, crosses = diffraction_angles(q, goniometer.axis, goniometer.S.T @ experiment.beam.s0)
    observed = table["xyzobs.mm.value"][rows, 2]
    both = nearest_turn(angles, observed[:, None])
    nearer = np.argmin(np.where(np.isnan(both), np.inf, np.abs(both - observed[:, None])), axis=1)
    column = np.where(found.entering[rows], 0, 1) if "entering" in table else nearer
    phi = both[np.arange(rows.size), column]
    rays = diffracted_beams(q, np.where(crosses, phi, 0.0), goniometer.axis, goniometer.S, experiment.beam.s0)
    arrays = PanelArrays.of(experiment.detector)
    panel = table["panel"][rows].astype(np.intp)
    xy, hit = intersect(rays, panel, arrays)
    ok = crosses & hit
    rows, panel = rows[ok], panel[ok]
    found.mm[rows] = np.column_stack([xy[ok], phi[ok]])
    found.px[rows] = np.column_stack([to_px(xy[ok], panel, arrays), scan.array_index(phi[ok])])
    found.s1[rows], found.entering[rows], found.good[rows] = rays[ok], column[ok] == 0, True


def _predict_still_rows(
    found: _Predictions, experiments: Experiments, table: Reflections, rows: NDArray[np.intp]
) -> None:
    """Predict all rows of stills at once: there may be very many experiments of few rows each."""
    number, detectors = table["id"][rows].astype(np.intp), experiments.unique("detector")
    arrays = PanelArrays.joined(detectors)
    first = dict(zip(map(id, detectors), np.cumsum([0, *map(len, detectors)]).tolist(), strict=False))
    A = np.array([np.eye(3) if item.crystal is None else item.crystal.A for item in experiments])
    s0 = np.array([item.beam.s0 for item in experiments])
    offset = np.array([first[id(item.detector)] for item in experiments], dtype=np.intp)
    panel = offset[number] + table["panel"][rows].astype(np.intp)
    q = np.einsum("nij,nj->ni", A[number], table["miller_index"][rows].astype(float))
    rays, delta_psi = still_beams(q, s0[number])
    possible = np.isfinite(delta_psi)
    xy, hit = intersect(np.where(possible[:, None], rays, s0[number]), panel, arrays)
    ok = possible & hit
    rows, panel = rows[ok], panel[ok]
    found.mm[rows, :2], found.px[rows, :2] = xy[ok], to_px(xy[ok], panel, arrays)
    found.s1[rows], found.delta_psi[rows], found.entering[rows] = rays[ok], delta_psi[ok], False
    found.good[rows] = True


def _rotation_models(experiment: Experiment) -> tuple[Crystal, Goniometer, Scan]:
    if experiment.crystal is None or experiment.goniometer is None or experiment.scan is None:
        raise DataError(
            "The experiment cannot be predicted.",
            "It needs a crystal, a goniometer and a scan.",
            "Index it first; of stills only what was seen is predicted.",
        )
    return experiment.crystal, experiment.goniometer, experiment.scan

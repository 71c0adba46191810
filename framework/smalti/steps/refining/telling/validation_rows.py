"""Rows about how well a refinement predicts what it was not fitted to, and how two halves of it agree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc

from smalti.geometry.derivatives import PANEL
from smalti.steps.refining.certainty.halving import Halves
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.displacement import Displacements, displacements
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.telling.residual_rows import Row, clear_rmsd
from smalti.units import MRAD, UM

__all__ = ["free_row", "halves_row"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FELT = 1e-3
"""Motions of a panel of which the data know so small a part are not counted."""


def free_row(fit: Fit, effective: float) -> Row:
    """Compare the free reflections with those that were fitted, in units of their standard deviations.

    ``gap`` is by how much the free residuals are larger, relative; ``expected_gap`` what p parameters fitted
    to n residuals make of honest noise: sqrt((n + p) / (n - p)) - 1 (the final prediction error of Akaike
    1969, Ann. Inst. Stat. Math. 21, 243).
    """
    free, working = fit.free, fit.working
    row: Row = {"n": int(free.sum()), "n_rejected": int((fit.rejected & fit.held_out).sum())}
    names = ("rmsd_x_mm", "rmsd_y_mm", "rmsd_phi_deg")
    units = np.array([1.0, 1.0, np.degrees(1.0)])
    for prefix, use in (("", free), ("working_", working)):
        values = clear_rmsd(fit, fit.residuals, use) * units if use.any() else [None] * 3
        row |= {prefix + name: _number(value) for name, value in zip(names, values, strict=True)}
    if free.sum() < 2 or working.sum() < 2:
        return row | {"gap": None, "gap_esd": None, "expected_gap": None}
    means, errors = zip(*(_mean_square(fit, use) for use in (free, working)), strict=True)
    ratio = float(np.sqrt(means[0] / means[1]))
    n = 3.0 * float(working.sum())
    p = min(effective, 0.9 * n)
    return row | {
        "gap": ratio - 1.0,
        "gap_esd": 0.5 * ratio * float(np.hypot(*errors)),
        "expected_gap": float(np.sqrt((n + p) / (n - p))) - 1.0,
    }


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _mean_square(fit: Fit, use: Mask) -> tuple[float, float]:
    """Weighted mean of the squares of normalised residuals, and its relative error."""
    squares = fit.misfit[use] * fit.judged[use]
    mean = float(squares.sum() / fit.judged[use].sum())
    return mean, float(squares.std() / squares.mean() / np.sqrt(use.sum())) if mean > 0.0 else 0.0


def halves_row(
    layout: Layout, fit: Fit, halves: Halves | None, options: RefineOptions, panels: list[Row]
) -> tuple[Row | None, list[Row]]:
    """Describe how far the detectors of two halves are apart; give this for the whole and for each panel.

    Parameters
    ----------
    panels : list of dict
        The rows of all panels, with their displacement from the start.

    Returns
    -------
    halves : dict or None
    panels : list of dict
        What to add to the rows of the panels.
    """
    if halves is None:
        return None, [_panel_row(None) for _ in panels]
    apart = [_apart(layout, fit, halves, number) for number in layout.panel_offset]
    own = np.concatenate([item.own for item in apart])
    covariance = np.concatenate([item.own_covariance for item in apart])
    rows = [
        _panel_row((motion, square) if row["n_used"] else None)
        for motion, square, row in zip(own, covariance, panels, strict=True)
    ]
    seen = np.array([row["n_used"] > 0 for row in panels])
    variance = np.trace(covariance[seen, :2, :2], axis1=1, axis2=2)
    moved = np.array([row["shift_um"] for row in panels])[seen]
    return {
        "split": halves.split,
        "n": list(halves.n),
        "difference_um": _rms(own[seen, :2]) * 2.0**0.5 / UM,
        "expected_difference_um": float(np.sqrt(max(variance.mean(), 0.0))) / UM if seen.any() else 0.0,
        "normal_difference_um": _rms(own[seen, 2]) / UM,
        "expected_normal_difference_um": _rms(np.sqrt(np.maximum(covariance[seen, 2, 2], 0.0))) / UM,
        "shift_um": _rms(moved),
        "panels_sigma": _sigma_of_all(rows),
        "whole_difference_um": [[float(x) / UM for x in item.whole[:3]] for item in apart],
        "whole_esd_um": [
            [float(np.sqrt(max(x, 0.0))) / UM for x in np.diag(item.whole_covariance)[:3]] for item in apart
        ],
        "chi_squared": halves.chi_squared,
        "degrees_of_freedom": halves.freedom,
        "reduced_chi_squared": halves.chi_squared / max(halves.freedom, 1e-9),
        "probability": float(gammaincc(0.5 * halves.freedom, 0.5 * halves.chi_squared)),
    }, rows


def _sigma_of_all(panels: list[Row]) -> float | None:
    """Root mean square of the differences of panels in standard deviations; 1 is expected."""
    known = [row["half_difference_sigma"] for row in panels if row["half_difference_sigma"] is not None]
    return _rms(np.array(known)) if known else None


def _apart(layout: Layout, fit: Fit, halves: Halves, number: int) -> Displacements:
    """Motions that lead from the detector of one half to that of the other."""
    block, first = layout.detector_block(number), layout.panel_offset[number]
    count, shared = len(block.detector), fit.partition.shared
    difference = fit.partition.with_shared(np.zeros(layout.n), halves.difference)
    ends = [block.compose(layout.part(number, fit.p + sign * 0.5 * difference)) for sign in (-1.0, 1.0)]
    frames = slice(PANEL.stop * first, PANEL.stop * (first + count))
    tangent = layout.tangent(fit.p)[frames][:, shared].toarray()
    panel = fit.source.observations.spots.panel
    counts = np.bincount(panel[fit.working], minlength=layout.n_panels)
    return displacements(ends[0], ends[1], tangent, halves.covariance, counts[first : first + count] > 0)


def _panel_row(motion: tuple[Array, Array] | None) -> Row:
    """Difference of one panel in its plane, along its normal and in its rotation."""
    names = ("half_difference_um", "half_esd_um", "half_difference_normal_um", "half_difference_mrad")
    if motion is None:
        return dict.fromkeys((*names, "half_difference_sigma"))
    own, covariance = motion
    esd = float(np.sqrt(max(np.trace(covariance[:2, :2]), 0.0)))
    values = (float(np.hypot(*own[:2])) / UM, esd / UM, float(own[2]) / UM, float(own[5]) / MRAD)
    return dict(zip(names, values, strict=True)) | {"half_difference_sigma": _sigmas(own, covariance)}


def _sigmas(motion: Array, covariance: Array) -> float | None:
    """Size of a difference of six motions in standard deviations: root mean square over its directions."""
    scale = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    there = scale > 1e-6  # 1e-3 um or 1e-3 mrad: less is what linearising leaves of the motion of the whole
    if not there.any():
        return None
    unit = covariance[np.ix_(there, there)] / np.outer(scale[there], scale[there])
    values, vectors = np.linalg.eigh(unit)
    known = values > _FELT
    squares = (vectors.T @ (motion[there] / scale[there]))[known] ** 2 / values[known]
    return float(np.sqrt(squares.mean()))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0

"""Rows of the tables of a stream: plain dictionaries that go into the JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from smalti.solution import Solution
from smalti.steps.refining.certainty.corners import corner_rows
from smalti.steps.refining.telling.believing import believe
from smalti.steps.refining.telling.rows import motion_row
from smalti.steps.streaming.knowing import Known
from smalti.steps.streaming.sums import Sums
from smalti.units import MRAD

__all__ = ["detector_row", "fit_row", "halves_row", "panel_rows", "parameter_rows", "step_rows"]

Row = dict[str, Any]


_TOLD = 1e-9
"""Variances of the data below this part of the whole are rounding."""


def fit_row(sums: Sums) -> Row:
    """How well predictions fit what is used."""
    x, y, angle = sums.rmsd
    return {"n_used": sums.n_used, "rmsd_x_mm": x, "rmsd_y_mm": y, "rmsd_angle_mrad": angle / MRAD}


def step_rows(solutions: tuple[Solution, ...]) -> list[Row]:
    """One row for each pass over the files that led to a better detector."""
    rows = []
    for number, solution in enumerate(solutions, 1):
        for step in solution.steps:
            x, y, angle = step.rmsd
            rows.append(
                {
                    "round": number,
                    "step": step.number,
                    "n_used": step.n_reflections,
                    "rmsd_x_mm": x,
                    "rmsd_y_mm": y,
                    "rmsd_angle_mrad": angle / MRAD,
                    "objective": step.objective,
                }
            )
    return rows


def parameter_rows(known: Known) -> list[Row]:
    """The shared parameters with their ESDs."""
    start = known.common.layout.start[known.common.partition.shared]
    esd, share = known.uncertainty.esd, known.uncertainty.prior_share
    return [
        {
            "name": parameter.name,
            "label": parameter.label or parameter.name,
            "unit": parameter.unit,
            "panels": list(parameter.panels),
            "value": float(start[k] + known.p[k]),
            "shift": float(known.p[k]),
            "esd": float(esd[k]),
            "prior_share": float(share[k]),
        }
        for k, parameter in enumerate(known.common.parameters)
    ]


def panel_rows(known: Known) -> list[Row]:
    """One row for each panel: fit, motion beyond that of the whole, and whether it is believed."""
    sums, moved, halves = known.sums, known.moved, known.halves
    corners = corner_rows(moved, known.detector)
    shares = _shares(known)
    apart = None
    if halves is not None:
        slopes = moved.own_slopes
        square = np.einsum("in,nm,im->i", slopes, halves.covariance, slopes)
        apart = (slopes @ halves.difference / np.sqrt(np.maximum(square, 1e-300))).reshape(-1, 6)
    rows = []
    for k, panel in enumerate(known.common.detector.panels):
        used = int(sums.panel_used[k])
        x, y, angle = np.sqrt(sums.panel_squares[k] / used) if used else (None, None, None)
        row = {
            "detector": 1,
            "panel": k,
            "name": panel.name,
            "width_mm": min(panel.size_mm),
            "n_used": used,
            "n_rejected": int(sums.panel_rejected[k]),
            "rmsd_x_px": None if x is None else float(x) / panel.pixel_size[0],
            "rmsd_y_px": None if y is None else float(y) / panel.pixel_size[1],
            "rmsd_angle_mrad": None if angle is None else float(angle) / MRAD,
            "prior_share": shares[k],
            "half_difference_sigma": None if apart is None or not used else _rms(apart[k]),
        }
        row |= motion_row(moved.own[k], moved.own_covariance[k]) | corners[k]
        rows.append(row | believe(row))
    return rows


def _rms(values: np.ndarray[Any, Any]) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _shares(known: Known) -> list[float | None]:
    """Share of the prior in each panel's own parameters, their mean; None where it has none of its own."""
    shares: list[float | None] = []
    for k in range(known.common.n_panels):
        own = [
            (len(parameter.panels), float(share))
            for parameter, share in zip(known.common.parameters, known.uncertainty.prior_share, strict=True)
            if k in parameter.panels and len(parameter.panels) < known.common.n_panels
        ]
        fewest = min((size for size, _ in own), default=0)
        mine = [share for size, share in own if size == fewest]
        shares.append(float(np.mean(mine)) if mine else None)
    return shares


def detector_row(known: Known) -> Row:
    """Motion of the detector as a whole, about the centre of its panels, laboratory axes."""
    moved = known.moved
    esd = np.sqrt(np.maximum(np.diag(moved.whole_covariance), 0.0))
    return {
        "detector": 1,
        "shift_mm": moved.whole[:3].tolist(),
        "esd_shift_mm": esd[:3].tolist(),
        "rotation_mrad": (moved.whole[3:] / MRAD).tolist(),
        "esd_rotation_mrad": (esd[3:] / MRAD).tolist(),
    }


def halves_row(known: Known) -> Row | None:
    """How far two halves of the crystals place the detector apart."""
    halves = known.halves
    if halves is None:
        return None
    square = np.diag(halves.covariance)
    # What only priors tell is the same in both halves, but for rounding.
    told = square > _TOLD * np.diag(known.uncertainty.covariance.shared)
    ratio = halves.difference[told] / np.sqrt(square[told])
    return {
        "by": "groups of crystals",
        "reduced_chi_squared": halves.reduced_chi_squared,
        "largest_sigma": float(np.abs(ratio).max(initial=0.0)),
        "difference": {
            parameter.name: float(value)
            for parameter, value in zip(known.common.parameters, halves.difference, strict=True)
        },
    }

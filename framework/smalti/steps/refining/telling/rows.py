"""Rows of the tables of a refinement about its models: plain dictionaries that go into the JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.crystal_parameters import symbol
from smalti.geometry.derivatives import PANEL
from smalti.models import Crystal
from smalti.steps.refining.certainty.corners import corner_rows
from smalti.steps.refining.certainty.covariances import cell_with_volume
from smalti.steps.refining.problem.crystals import cell_at, crystal_numbers, static_block
from smalti.steps.refining.problem.displacement import Displacements, displacements
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.uncertainty import Uncertainty
from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.telling.residual_rows import Row, rmsds
from smalti.steps.refining.telling.scan_rows import scan_row
from smalti.units import MRAD, UM

__all__ = ["cells_of", "motion_row", "crystal_rows", "detector_rows", "panel_rows", "parameter_rows"]

Array = NDArray[np.float64]


def panel_rows(
    layout: Layout,
    number: int,
    data: Observations,
    fit: Fit,
    uncertainty: Uncertainty,
) -> tuple[list[Row], Displacements]:
    """Describe every panel of one detector, those without reflections too."""
    block, first = layout.detector_block(number), layout.panel_offset[number]
    count = len(block.detector)
    frames = slice(PANEL.stop * first, PANEL.stop * (first + count))
    counts = np.bincount(data.spots.panel[fit.working], minlength=layout.n_panels)[first : first + count]
    after = block.compose(layout.part(number, fit.p))
    shared = uncertainty.covariance.partition.shared  # what detectors depend on
    tangent = layout.tangent(fit.p)[frames][:, shared].toarray()
    moved = displacements(block.detector, after, tangent, uncertainty.covariance.shared, counts > 0)
    shares, corners = _panel_shares(layout, number, uncertainty), corner_rows(moved, after)
    order = np.argsort(data.spots.panel, kind="stable")
    bounds = np.searchsorted(data.spots.panel[order], first + np.arange(count + 1))
    rows = []
    for k, panel in enumerate(block.detector.panels):
        rows.append(
            {"detector": block.number, "panel": k, "name": panel.name, "width_mm": min(panel.size_mm)}
            | rmsds(fit, order[bounds[k] : bounds[k + 1]])
            | {"prior_share": shares[k]}
            | motion_row(moved.own[k], moved.own_covariance[k])
            | corners[k]
        )
    return rows, moved


def motion_row(motion: Array, covariance: Array) -> Row:
    """One panel's displacement beyond that of the whole detector, with ESDs."""
    esd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    size = float(np.hypot(motion[0], motion[1]))
    along = motion[:2] / size if size > 0.0 else np.array([1.0, 0.0])
    square = float(along @ covariance[:2, :2] @ along)
    return {
        "shift_um": size / UM,
        "esd_um": math.sqrt(max(square, 0.0)) / UM,
        "shift_fast_um": float(motion[0]) / UM,
        "esd_fast_um": float(esd[0]) / UM,
        "shift_slow_um": float(motion[1]) / UM,
        "esd_slow_um": float(esd[1]) / UM,
        "normal_um": float(motion[2]) / UM,
        "esd_normal_um": float(esd[2]) / UM,
        "rotation_mrad": float(motion[5]) / MRAD,
        "esd_rotation_mrad": float(esd[5]) / MRAD,
        "tilt_fast_mrad": float(motion[3]) / MRAD,
        "esd_tilt_fast_mrad": float(esd[3]) / MRAD,
        "tilt_slow_mrad": float(motion[4]) / MRAD,
        "esd_tilt_slow_mrad": float(esd[4]) / MRAD,
    }


def _panel_shares(layout: Layout, number: int, uncertainty: Uncertainty) -> list[float | None]:
    """Share of the prior in each panel's own parameters, their mean; None where it has none of its own."""
    block, first = layout.detector_block(number), layout.offsets[number]
    everyone = len(block.detector)
    shares: list[list[float]] = [[] for _ in range(everyone)]
    smallest = [everyone + 1] * everyone
    # By its own parameters: those of shared tiles stand in the table under another detector's name.
    columns = layout.column[first : first + len(block.parameters)]
    for parameter, column in zip(block.parameters, columns, strict=True):
        if column < 0 or len(parameter.panels) == everyone:
            continue
        for panel in parameter.panels:
            if len(parameter.panels) < smallest[panel]:
                smallest[panel], shares[panel] = len(parameter.panels), []
            if len(parameter.panels) == smallest[panel]:
                shares[panel].append(float(uncertainty.prior_share[column]))
    return [float(np.mean(items)) if items else None for items in shares]


def detector_rows(layout: Layout, number: int, moved: Displacements) -> Row:
    """Motion of one detector as a whole, about the centre of its panels, laboratory axes."""
    esd = np.sqrt(np.maximum(np.diag(moved.whole_covariance), 0.0))
    return {
        "detector": layout.detector_block(number).number,
        "shift_mm": [float(x) for x in moved.whole[:3]],
        "esd_shift_mm": [float(x) for x in esd[:3]],
        "rotation_mrad": [float(x) / MRAD for x in moved.whole[3:]],
        "esd_rotation_mrad": [float(x) / MRAD for x in esd[3:]],
    }


def cells_of(layout: Layout, p: Array, uncertainty: Uncertainty) -> list[tuple[Crystal, Array, Array]]:
    """Give all crystals, cell and volume of each (7,), and their covariance (7, 7)."""
    found = []
    for number in crystal_numbers(layout):
        cell = cell_at(layout, number, p)
        values, slopes = cell_with_volume(np.array(cell.crystal.cell), cell.slopes)
        found.append((cell.crystal, values, uncertainty.covariance.of(slopes, cell.columns)))
    return found


def crystal_rows(
    layout: Layout, p: Array, uncertainty: Uncertainty, cells: Sequence[tuple[Crystal, Array, Array]]
) -> list[Row]:
    """Cell with ESDs, orientation and A matrix of each crystal: its mean over the scan where it varies."""
    rows = []
    for number, (crystal, values, square) in zip(crystal_numbers(layout), cells, strict=True):
        block = static_block(layout, number)
        esd = np.sqrt(np.maximum(np.diag(square), 0.0))
        rows.append(
            {
                "crystal": block.number,
                "space_group": symbol(crystal.space_group),
                "cell": values[:6].tolist(),
                # What symmetry fixes has an ESD of rounding errors only: it is zero.
                "cell_esd": [float(x) if x > 1e-9 else 0.0 for x in esd[:6]],
                "volume": float(values[6]),
                "volume_esd": float(esd[6]),
                "U": crystal.U.tolist(),
                "B": crystal.B.tolist(),
                "A": crystal.A.tolist(),
                "scan": scan_row(layout, number, p, uncertainty.covariance),
            }
        )
    return rows


def parameter_rows(layout: Layout, p: Array, uncertainty: Uncertainty) -> list[Row]:
    """Name, unit, value, shift from the start, ESD and share of the prior of each free parameter."""
    return [
        {
            "name": parameter.name,
            "label": parameter.label or parameter.name,
            "unit": parameter.unit,
            "value": float(start + shift),
            "shift": float(shift),
            "esd": float(esd),
            "prior_share": float(share),
        }
        for parameter, start, shift, esd, share in zip(
            layout.parameters, layout.start, p, uncertainty.esd, uncertainty.prior_share, strict=True
        )
    ]

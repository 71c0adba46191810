"""Put together what is saved of the certainty of a refinement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smalti.models import Crystal
from smalti.steps.refining.problem.covariance import Covariance
from smalti.steps.refining.problem.displacement import Displacements
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.uncertainty import Uncertainty
from smalti.storage.covariances import Covariances, CrystalBlocks, Motions

__all__ = ["cell_with_volume", "covariances_of"]

Array = NDArray[np.float64]


def covariances_of(
    layout: Layout,
    p: Array,
    uncertainty: Uncertainty,
    moved: Sequence[Displacements],
    cells: Sequence[tuple[Crystal, Array, Array]],
) -> Covariances:
    """Gather the covariances at p (n,).

    Parameters
    ----------
    moved : sequence of Displacements
        Of each detector, in the order of the layout.
    cells : sequence of (crystal, values, covariance)
        Of each crystal: six constants and the volume (7,), and their covariance (7, 7).
    """
    shared = uncertainty.covariance.partition.shared
    parameters = [layout.parameters[k] for k in shared]
    panels = tuple(
        (block.number, k, panel.name)
        for block in map(layout.detector_block, layout.panel_offset)
        for k, panel in enumerate(block.detector.panels)
    )
    return Covariances(
        tuple(parameter.name for parameter in parameters),
        tuple(parameter.unit for parameter in parameters),
        (layout.start + p)[shared],
        p[shared],
        uncertainty.prior_share[shared],
        uncertainty.covariance.shared,
        panels,
        _joint([item.own for item in moved], [item.own_slopes for item in moved], uncertainty),
        _joint([item.laboratory for item in moved], [item.laboratory_slopes for item in moved], uncertainty),
        np.array([values for _, values, _ in cells]).reshape(-1, 7),
        np.array([square for _, _, square in cells]).reshape(-1, 7, 7),
        _crystals(layout, p, uncertainty.covariance) if uncertainty.covariance.partition.eliminates else None,
    )


def _crystals(layout: Layout, p: Array, covariance: Covariance) -> CrystalBlocks:
    """The parameters that crystals have for themselves."""
    partition = covariance.partition
    names = [parameter.name for parameter in layout.parameters]
    rows = tuple(tuple(names[k] if k >= 0 else "" for k in row) for row in partition.own)
    return CrystalBlocks(rows, partition.of_crystals(layout.start + p, np.nan), covariance.own)


def _joint(motions: Sequence[Array], slopes: Sequence[Array], uncertainty: Uncertainty) -> Motions:
    by_p = np.vstack(slopes)
    return Motions(np.concatenate(motions), by_p @ uncertainty.covariance.shared @ by_p.T)


def cell_with_volume(cell: Array, slopes: Array) -> tuple[Array, Array]:
    """Add the volume to a cell (6,) Angstrom, deg and to its derivatives (6, n): (7,) and (7, n).

    V = a b c w with w^2 = 1 - sum cos^2 + 2 cos alpha cos beta cos gamma, so that
    dV / d alpha = a b c sin alpha (cos alpha - cos beta cos gamma) / w.
    """
    lengths, angles = np.asarray(cell[:3], dtype=float), np.radians(cell[3:])
    c = np.cos(angles)
    w = float(np.sqrt(1.0 - c @ c + 2.0 * c.prod()))
    box = float(lengths.prod())
    others = np.array([c[1] * c[2], c[0] * c[2], c[0] * c[1]])
    by_angle = np.radians(1.0) * box * np.sin(angles) * (c - others) / w
    by_cell = np.concatenate([box * w / lengths, by_angle])
    return np.append(cell, box * w), np.vstack([slopes, by_cell @ slopes])

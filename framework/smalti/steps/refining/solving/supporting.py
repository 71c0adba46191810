"""What the reflections cannot support where no prior holds it: held, or left to follow the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import PANEL
from smalti.models import tolerances
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.displacement import displacements
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.restraints import in_place
from smalti.steps.refining.problem.selection import Selection
from smalti.text import ranges

__all__ = ["Following", "followers", "starved", "supported", "told"]

Array = NDArray[np.float64]
Panels = tuple[int, ...]

PER_PARAMETER = 5
"""Fewer reflections for each of its parameters than this cannot place a panel by themselves."""

_ORDER = ("Tau2", "Tau3", "Gamma", "g_param", "Dist", "Tau1", "Mu2", "Mu1", "nu", "Shift")
"""Which parameters of the whole are given up first, by part of their names: what few reflections tell worst.
The orientation of the crystal is never given up."""


@dataclass(frozen=True)
class Following:
    """Panels that keep their place among the others of their detector, within mechanical tolerances.

    A restraint: the motion of each beyond the rigid motion of the panels that have reflections enough.

    Attributes
    ----------
    block : int
        Number of the detector's block.
    panels : tuple of int
        Those that follow.
    leading : (P,) bool
        Those that are followed.
    """

    block: int
    panels: Panels
    leading: NDArray[np.bool_]

    def rows(self, layout: Layout, p: Array) -> tuple[Array, sparse.csr_array]:
        """Give motions over tolerances (6 k,) at p (n,) and their derivatives (6 k, n)."""
        block, first = layout.detector_block(self.block), layout.panel_offset[self.block]
        count = len(block.detector)
        tangent = layout.tangent(p)[PANEL.stop * first : PANEL.stop * (first + count)]
        columns = np.unique(tangent.indices).astype(
            np.intp
        )  # of the detector only: there may be very many of crystals
        after, nothing = block.compose(layout.part(self.block, p)), np.zeros((len(columns), len(columns)))
        moved = displacements(block.detector, after, tangent[:, columns].toarray(), nothing, self.leading)
        sigma = np.array([_sigmas(block, k) for k in self.panels])
        slopes = moved.own_slopes.reshape(count, 6, -1)[list(self.panels)] / sigma[:, :, None]
        return (moved.own[list(self.panels)] / sigma).ravel(), in_place(
            slopes.reshape(6 * len(sigma), -1), columns, layout.n
        )


def _sigmas(block: DetectorBlock, panel: int) -> Array:
    """Tolerances of a panel, in the order of its motions: mm and rad."""
    known = tolerances(block.detector)
    own = next(known[node.path] for node in block.detector.walk() if node.panels == (panel,) and node.path)
    return np.array([own.in_plane, own.in_plane, own.normal, own.tilt, own.tilt, own.turn])


def starved(layout: Layout, counts: NDArray[np.intp]) -> dict[int, list[Panels]]:
    """Find the bodies that no prior holds and that have too few reflections for their parameters.

    Parameters
    ----------
    counts : (P,)
        Reflections of each panel, counted over all detectors.

    Returns
    -------
    dict
        Number of a detector's block to the panels of such bodies, one tuple for each.
    """
    precision, found = layout.prior.precision, dict[int, list[Panels]]()
    for number, first in layout.panel_offset.items():
        block = layout.detector_block(number)
        columns = layout.column[layout.offsets[number] : layout.offsets[number] + len(block.parameters)]
        bodies: dict[Panels, set[int]] = {}
        for column, parameter in zip(columns, block.parameters, strict=True):
            if column >= 0 and 0 < len(parameter.panels) < len(block.detector):
                bodies.setdefault(parameter.panels, set()).add(int(column))
        poor = [
            panels
            for panels, own in bodies.items()
            if not precision[list(own)].any()
            and counts[first + np.array(panels)].sum() < PER_PARAMETER * len(own)
        ]
        if poor:
            found[number] = poor
    return found


def followers(layout: Layout, selection: Selection) -> tuple[Following, ...]:
    """Let starved bodies follow the others; where none is left to lead :func:`supported` holds them."""
    out = []
    for number, poor in starved(layout, _counts(layout, selection)).items():
        leading = np.ones(len(layout.detector_block(number).detector), dtype=bool)
        following = sorted({panel for panels in poor for panel in panels})
        leading[following] = False
        if leading.any():
            out.append(Following(number, tuple(following), leading))
    return tuple(out)


def supported(layout: Layout, selection: Selection) -> Layout:
    """Hold the parameters that the reflections cannot support and that no prior holds.

    Bodies of a detector of which none has reflections enough, and of beam, crystal and detector as a
    whole as many as it takes to have five reflections for each that is left.
    """
    counts = _counts(layout, selection)
    names: list[str] = []
    for number, poor in starved(layout, counts).items():
        block = layout.detector_block(number)
        bodies = {panel for panels in poor for panel in panels}
        if len(bodies) == len(block.detector):
            names += [parameter.name for parameter in block.parameters if parameter.panels in poor]
    whole = [
        parameter.name
        for parameter, precision in zip(layout.parameters, layout.prior.precision, strict=True)
        if precision == 0.0
        and not _of_single_panels(layout, parameter.panels)
        and "Phi" not in parameter.name
    ]
    turns = sum("Phi" in parameter.name for parameter in layout.parameters)
    room = max(int(counts.sum()) // PER_PARAMETER - turns, 0)
    names += sorted(whole, key=_rank)[: max(len(whole) - room, 0)]
    return layout.holding(set(names)) if names else layout


def _of_single_panels(layout: Layout, panels: Panels) -> bool:
    sizes = [len(layout.detector_block(number).detector) for number in layout.panel_offset]
    return bool(panels) and all(len(panels) != size for size in sizes)


def _rank(name: str) -> int:
    return next((k for k, part in enumerate(_ORDER) if part in name), len(_ORDER))


def _counts(layout: Layout, selection: Selection) -> NDArray[np.intp]:
    panel = selection.observations.spots.panel[~selection.held_out]
    return np.bincount(panel, minlength=layout.n_panels)


def told(before: Layout, after: Layout, following: Sequence[Following]) -> list[str]:
    """Name what is not fitted freely, for the verdict."""
    free = {parameter.name for parameter in after.parameters}
    names = [
        parameter.label or parameter.name for parameter in before.parameters if parameter.name not in free
    ]
    for item in following:
        several = len(item.panels) > 1
        names.append(
            f"panel{'s' * several} {ranges(item.panels)}, which follow{'s' * (not several)} the others"
        )
    return names

"""The path of a crystal over its scan as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smalti.text import table

__all__ = ["scan_table"]

_NAMES = ("a\n(A)", "b\n(A)", "c\n(A)", "alpha\n(deg)", "beta\n(deg)", "gamma\n(deg)")


def scan_table(crystal: Mapping[str, Any]) -> str:
    """Set cell and orientation against angle: of the cell the constants that change.

    Parameters
    ----------
    crystal : Mapping
        A row of ``crystals`` with its ``scan``.
    """
    scan = crystal["scan"]
    # What symmetry ties to another constant, or fixes, tells nothing of its own.
    shown: list[int] = []
    for k, width in enumerate(scan["cell_range"]):
        twin = any(abs(width - scan["cell_range"][j]) < 1e-9 and (k < 3) == (j < 3) for j in shown)
        if width > 1e-9 and not twin:
            shown.append(k)
    turns = "orientation" in scan["varies"]
    heads = ["Angle\n(deg)", *(_NAMES[k] for k in shown)]
    heads += [f"Turn {axis}\n(mrad)" for axis in "xyz"] if turns else []
    rows = []
    for angle, cell, esd, turn in zip(
        scan["angle_deg"], scan["cell"], scan["cell_esd"], scan["turn_mrad"], strict=True
    ):
        rows.append([f"{angle:.1f}", *(_with_esd(cell[k], esd[k]) for k in shown)])
        rows[-1] += [f"{value:.3f}" for value in turn] if turns else []
    title = f"Crystal {crystal['crystal']} over its scan, {scan['n_samples']} samples:"
    return table(heads, rows, title=title)


def _with_esd(value: float, esd: float) -> str:
    """Write 57.7613(60): the standard uncertainty in units of the last place."""
    return f"{value:.4f}({round(1e4 * esd)})"

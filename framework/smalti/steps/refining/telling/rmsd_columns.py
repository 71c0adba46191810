"""Which RMSDs a table has columns for: angles in images for sweeps, DeltaPsi in mrad for stills."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["rmsd_columns", "rmsd_heads", "rmsd_words", "third_head"]

_PLACE: Mapping[str, str] = {"rmsd_x_px": "RMSD_X\n(px)", "rmsd_y_px": "RMSD_Y\n(px)"}
_THIRD: Mapping[str, str] = {
    "rmsd_z_images": "RMSD_Z\n(images)",
    "rmsd_delta_psi_mrad": "RMSD_DPsi\n(mrad)",
}

Row = Mapping[str, Any]


def rmsd_columns(rows: Sequence[Row], prefix: str = "") -> list[str]:
    """Keys of the RMSDs that any of the rows has; images where none has a third one."""
    third = [key for key in _THIRD if any(row.get(prefix + key) is not None for row in rows)]
    return [prefix + key for key in (*_PLACE, *(third or ["rmsd_z_images"]))]


def rmsd_heads(columns: Sequence[str]) -> list[str]:
    """Heads of these columns."""
    return [({**_PLACE, **_THIRD})[key.removeprefix("free_")] for key in columns]


def rmsd_words(row: Row, columns: Sequence[str], digits: int) -> list[str]:
    """The numbers of a row, a dash where there is none."""
    return ["-" if row.get(key) is None else f"{row[key]:.{digits}f}" for key in columns]


def third_head(third: str) -> str:
    """What to call the third residual, in degrees, of all reflections together."""
    return {"phi": "Phi", "delta_psi": "DPsi"}.get(third, "Phi, DPsi")

"""The options of reindexing."""

from __future__ import annotations

from dataclasses import dataclass

from smalti.options import option

__all__ = ["ReindexOptions"]


@dataclass(frozen=True)
class ReindexOptions:
    """Which axes the crystal is to have."""

    operator: str = option("", "New indices in terms of the old ones: k,h,-l or 1/2h+1/2k,1/2h-1/2k,-l.")
    space_group: str = option(
        "",
        "Space group in whose axes to set the crystal instead (P 4, I 2 3, R 3:H); P 1 is the reduced cell.",
    )
    unit_cell: tuple[float, ...] = option(
        (), "Cell that says which of several possible settings is meant.", unit="Angstrom, deg"
    )
    lattice_tolerance: float = option(
        5.0, "Largest distortion of a lattice taken for a symmetric one.", unit="deg", gt=0, le=15
    )
    cell_tolerance: float = option(
        0.10, "Relative tolerance of the lengths of a cell that is given (its angles: 5 deg).", gt=0, lt=0.5
    )

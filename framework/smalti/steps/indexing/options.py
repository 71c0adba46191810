"""The options of indexing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["IndexOptions"]


@dataclass(frozen=True)
class IndexOptions:
    """What is known of the lattice, how it is searched for and how far it is refined."""

    space_group: str = option("", "Space group, if known (P 4, P212121, R 3:H, ...).")
    unit_cell: tuple[float, ...] = option(
        (), "Unit cell, if known: a,b,c,alpha,beta,gamma of the space group's setting.", unit="Angstrom, deg"
    )
    max_cell: float = option(0.0, "Longest cell axis to look for; 0 estimates it.", unit="Angstrom", ge=0)
    d_min: float = option(
        0.0, "Leave spots beyond this resolution alone; 0 is no limit.", unit="Angstrom", ge=0
    )
    search_beam: bool = option(True, "Find where the beam meets the detector before assigning indices.")
    search_range: float = option(40.0, "How far to look for the beam.", unit="px", gt=0, le=200)
    distance_from_cell: bool = option(
        False, "Move the detector along the beam to where the known cell has its lengths."
    )
    tolerance: float = option(
        0.3, "Largest distance of a spot from its lattice point, in fractions of an index.", gt=0, le=0.5
    )
    assignment: Literal["nearest", "local"] = option(
        "nearest",
        "How spots get their indices while models are refined: from the nearest lattice point, or from "
        "chains of neighbours (as XDS does), which bears models that are far from right.",
    )
    min_indexed: float = option(0.2, "Least fraction of spots that a lattice has to explain.", gt=0, lt=1)
    least_sharpness: float = option(
        0.65,
        "Least part of the spots near lattice points that lies within half of that distance (0.15 of an "
        "index). Half does where one axis is wrong, nearly all where the lattice is right; 0 believes any.",
        ge=0,
        lt=1,
    )
    odd_fraction: float = option(
        0.05,
        "The fraction of spots that decides between a cell and one 2 or 3 times as large: from this on the "
        "larger one is taken.",
        ge=0,
        lt=0.5,
    )
    lattice_tolerance: float = option(
        5.0, "Largest distortion of a lattice taken for a symmetric one.", unit="deg", gt=0, le=15
    )
    cell_tolerance: float = option(
        0.10, "Relative tolerance of the lengths of a known cell (its angles: 5 deg).", gt=0, lt=0.5
    )
    max_lattices: int = option(
        1, "Lattices to look for, one after the other among the spots that are left over.", ge=1, le=20
    )
    cycles: int = option(
        5, "Macrocycles of refinement, of growing resolution, at most; 0 does not refine.", ge=0, le=20
    )
    crystals: Literal["auto", "shared", "own"] = option(
        "auto",
        "One crystal for all sweeps, or one of its own (orientation and cell, same axes) for each; auto "
        "takes own ones where the spots clearly ask for them.",
    )
    reflections_per_degree: int = option(
        100, "Reflections per degree of rotation used to refine.", unit="1/deg", ge=10
    )
    min_to_refine_detector: int = option(40, "With fewer indexed spots only the crystal is refined.", ge=20)

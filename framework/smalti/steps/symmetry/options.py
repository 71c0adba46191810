"""The options of the search for symmetry."""

from __future__ import annotations

from dataclasses import dataclass

from smalti.options import option

__all__ = ["SymmetryOptions"]


@dataclass(frozen=True)
class SymmetryOptions:
    """Which lattices are tried, and when one is recommended."""

    lattice: str = option("", "Take this lattice (tP, mC, ...) instead of the one recommended.")
    lattice_tolerance: float = option(
        5.0, "Largest distortion of a lattice taken for a symmetric one.", unit="deg", gt=0, le=15
    )
    worse: float = option(
        1.1,
        "Recommend the highest symmetry under which no RMSD grows by more than this factor over the "
        "triclinic lattice.",
        gt=1,
        le=3,
    )
    reflections_per_degree: int = option(
        100, "Reflections per degree of rotation used to refine.", unit="1/deg", ge=10
    )

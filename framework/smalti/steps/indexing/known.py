"""What the user knows of the lattice: names, checks, and the primitive cell to search for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.geometry.lattice import cell_of, primitive
from smalti.geometry.lattice_symmetry import Setting, distortion, settings
from smalti.geometry.reciprocal import B_from_cell
from smalti.options import suggest

__all__ = ["KnownLattice", "parse_cell", "parse_space_group"]

Array = NDArray[np.float64]

_SYSTEM = {
    gemmi.CrystalSystem.Triclinic: "triclinic",
    gemmi.CrystalSystem.Monoclinic: "monoclinic",
    gemmi.CrystalSystem.Orthorhombic: "orthorhombic",
    gemmi.CrystalSystem.Tetragonal: "tetragonal",
    gemmi.CrystalSystem.Trigonal: "hexagonal",
    gemmi.CrystalSystem.Hexagonal: "hexagonal",
    gemmi.CrystalSystem.Cubic: "cubic",
}

ANGLE_TOLERANCE = 5.0
"""Degrees by which the angles of a known cell may be off."""


@dataclass(frozen=True, slots=True)
class KnownLattice:
    """Space group and cell as far as they are known.

    Attributes
    ----------
    space_group : gemmi.SpaceGroup or None
    cell : tuple of six float or None
        In the setting of the space group.
    """

    space_group: gemmi.SpaceGroup | None = None
    cell: tuple[float, ...] | None = None

    @classmethod
    def parse(cls, space_group: str, unit_cell: Sequence[float]) -> KnownLattice:
        """Read what the user gave, and check that cell and space group agree."""
        known = cls(
            parse_space_group(space_group) if space_group.strip() else None,
            parse_cell(unit_cell) if len(unit_cell) else None,
        )
        if known.cell and known.space_group and distortion(known.cell, known.system) > 0.5:
            wanted = {"hexagonal": "a = b, alpha = beta = 90, gamma = 120"}.get(known.system, known.system)
            raise UsageError(
                f"The unit cell does not fit the space group {known.space_group.xhm()}.",
                f"{_words(known.cell)} is not {wanted}.",
                "Correct one of them, or leave the space group out.",
            )
        return known

    @property
    def system(self) -> str:
        """Metric system: triclinic when no space group is known."""
        return _SYSTEM[self.space_group.crystal_system()] if self.space_group else "triclinic"

    @property
    def centring(self) -> str:
        """Centring letter."""
        return self.space_group.centring_type() if self.space_group else "P"

    @property
    def hall(self) -> str:
        """Hall symbol as files hold it, with a leading blank."""
        return " " + (self.space_group.hall if self.space_group else "P 1")

    @property
    def name(self) -> str:
        """Name for people."""
        return self.space_group.xhm() if self.space_group else "P 1"

    def primitive_cell(self) -> tuple[float, ...] | None:
        """The reduced primitive cell, for an indexer."""
        if self.cell is None:
            return None
        return cell_of(primitive(np.linalg.inv(B_from_cell(self.cell)), self.centring))

    def fitting(self, basis: Array, lattice_tolerance: float, cell_tolerance: float) -> Setting | None:
        """The setting of a primitive basis that agrees best with what is known; None when none does."""
        tolerance = lattice_tolerance if self.cell is None else 2.0 * lattice_tolerance
        found = settings(basis, self.system, self.centring, tolerance)
        cell = self.cell
        if cell is None:
            return found[0] if found else None
        fitting = [item for item in found if _near(item.cell, cell, cell_tolerance)]
        return min(fitting, key=lambda item: _difference(item.cell, cell), default=None)


def parse_space_group(name: str) -> gemmi.SpaceGroup:
    """Look a space group up by any of its usual names, or its number.

    Raises
    ------
    UsageError
        Unknown (with what may have been meant), or a setting that is not supported.
    """
    text = name.strip()
    group = (
        gemmi.find_spacegroup_by_number(int(text))
        if text.isdigit() and 1 <= int(text) <= 230
        else gemmi.find_spacegroup_by_name(text, prefer="H")
    )
    if group is None:
        names = sorted({item.hm.replace(" 1 ", " ").replace(" ", "") for item in gemmi.spacegroup_table()})
        hint = suggest(text.replace(" ", ""), names)
        raise UsageError(
            f"Unknown space group '{name}'.",
            "It is neither a Hermann-Mauguin symbol nor a number from 1 to 230.",
            hint if hint.startswith("Did") else "Write it like P 4, P21, P212121, C 1 2 1 or R 3:H.",
        )
    if group.crystal_system() == gemmi.CrystalSystem.Monoclinic and group.monoclinic_unique_axis() != "b":
        standard = gemmi.find_spacegroup_by_number(group.number)
        raise UsageError(
            f"The space group {group.xhm()} has an unusual unique axis.",
            "Monoclinic lattices are indexed with unique axis b.",
            f"Give {standard.xhm()}, and the cell in that setting.",
        )
    if group.ext == "R":
        raise UsageError(
            f"The space group {group.xhm()} is set in rhombohedral axes.",
            "Rhombohedral lattices are indexed in hexagonal axes.",
            f"Give {group.hm}:H, and the cell in hexagonal axes.",
        )
    return group


def parse_cell(values: Sequence[float]) -> tuple[float, ...]:
    """Check six numbers of a unit cell.

    Raises
    ------
    UsageError
        Not six numbers, or no cell has them.
    """
    cell = tuple(float(value) for value in values)
    cure = "Give a,b,c,alpha,beta,gamma in Angstrom and degrees, as in 58.7,58.7,151.6,90,90,90."
    if len(cell) != 6:
        raise UsageError("A unit cell has six numbers.", f"{len(cell)} were given.", cure)
    if min(cell[:3]) < 1.0 or not all(10.0 <= angle <= 170.0 for angle in cell[3:]):
        raise UsageError(
            f"{_words(cell)} is no unit cell.",
            "Axes are at least 1 Angstrom, angles 10 to 170 degrees.",
            cure,
        )
    cosines = np.cos(np.radians(cell[3:]))
    if 1.0 - float(cosines @ cosines) + 2.0 * float(np.prod(cosines)) <= 1e-3:
        raise UsageError(f"{_words(cell)} is no unit cell.", "Its angles enclose no volume.", cure)
    return cell


def _near(cell: Sequence[float], known: Sequence[float], tolerance: float) -> bool:
    lengths = np.abs(np.array(cell[:3]) / np.array(known[:3]) - 1.0)
    angles = np.abs(np.array(cell[3:]) - np.array(known[3:]))
    return bool(lengths.max() <= tolerance and angles.max() <= ANGLE_TOLERANCE)


def _difference(cell: Sequence[float], known: Sequence[float]) -> float:
    lengths = np.abs(np.array(cell[:3]) / np.array(known[:3]) - 1.0)
    return float(np.degrees(lengths).sum() + np.abs(np.array(cell[3:]) - np.array(known[3:])).sum())


def _words(cell: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in cell)

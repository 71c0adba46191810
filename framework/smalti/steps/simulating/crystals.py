"""The crystal of a simulation: its orientation, its absences and its intensities."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.errors import UsageError
from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotation
from smalti.models import Crystal
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.random_crystals import random_rotations
from smalti.units import radians

__all__ = ["absent", "make_crystal", "wilson_intensities"]

Array = NDArray[np.float64]
Indices = NDArray[np.int32]
_AXES: tuple[tuple[float, float, float], ...] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def make_crystal(options: SimulateOptions) -> Crystal:
    """Make the crystal that the options describe, in the orientation given or at random.

    Raises
    ------
    UsageError
        The space group is unknown, or the cell is impossible or does not have its symmetry.
    """
    group = _space_group(options.space_group)
    _check_cell(options, group)
    if options.orientation is None:
        U = random_rotations(np.random.default_rng([options.seed, 0]), 1)[0]
    else:
        U = np.eye(3)
        for axis, angle in zip(_AXES, options.orientation, strict=True):
            U = rotation(axis, radians(angle)) @ U
    # DIALS writes Hall symbols with a leading blank.
    return Crystal.from_A(U @ B_from_cell(options.unit_cell), " " + group.hall.strip())


def absent(miller_index: Indices, space_group: str) -> NDArray[np.bool_]:
    """Tell which reflections (N, 3) a space group (any symbol) extinguishes, (N,)."""
    operations = _space_group(space_group).operations()
    return np.asarray(operations.systematic_absences(np.ascontiguousarray(miller_index)), dtype=bool)


def wilson_intensities(
    miller_index: Indices, d: Array, space_group: str, b_factor: float, seed: int
) -> Array:
    """Draw intensities that follow Wilson's statistics of acentric reflections, mean 1 at low angle.

    I = -ln(u) exp(-B / (2 d^2)) with u uniform [Wilson 1949, Acta Cryst. 2, 318]. Symmetry equivalents and
    Friedel mates have equal intensities, whatever else is predicted with them.

    Parameters
    ----------
    miller_index : (N, 3)
    d : (N,) Angstrom
    b_factor : float
        Square Angstrom.
    """
    unique = _representative(miller_index, _space_group(space_group))
    # A word of its own for each unique reflection, whatever else is predicted with it.
    word = np.full(len(unique), np.uint64(seed))
    for column in unique.T:
        word = _scramble(word ^ (column.astype(np.int64) + 2**20).astype(np.uint64))
    u = ((word >> np.uint64(11)).astype(float) + 0.5) / 2.0**53
    return np.asarray(-np.log(u) * np.exp(-0.5 * b_factor / d**2))


def _space_group(symbol: str) -> gemmi.SpaceGroup:
    group = gemmi.find_spacegroup_by_name(symbol.strip())
    if group is None:
        operations = _hall(symbol)
        group = None if operations is None else gemmi.find_spacegroup_by_ops(operations)
    if group is None:
        raise UsageError(
            f"Unknown space group '{symbol}'.",
            "It is neither a Hermann-Mauguin symbol, nor a Hall symbol, nor a number that gemmi knows.",
            'Write it as in "P 41 21 2" or P41212.',
        )
    return group


def _hall(symbol: str) -> gemmi.GroupOps | None:
    try:
        return gemmi.symops_from_hall(symbol)
    except (RuntimeError, ValueError):
        return None


def _check_cell(options: SimulateOptions, group: gemmi.SpaceGroup) -> None:
    cell = gemmi.UnitCell(*options.unit_cell)
    lengths, angles = np.array(options.unit_cell[:3]), np.radians(options.unit_cell[3:])
    ca, cb, cg = np.cos(angles)
    # The square of the volume of a cell with unit axes.
    squared = 1.0 - ca * ca - cb * cb - cg * cg + 2.0 * ca * cb * cg
    text = ", ".join(f"{value:g}" for value in options.unit_cell)
    if lengths.min() < 1.0 or not np.all((angles > 0.0) & (angles < np.pi)) or squared <= 1e-6:
        raise UsageError(
            f"Impossible unit cell {text}.",
            "Axes must be at least 1 Angstrom long and the angles must span a volume.",
            "Give a,b,c in Angstrom and alpha,beta,gamma in degrees.",
        )
    if not cell.is_compatible_with_spacegroup(group):
        raise UsageError(
            f"The unit cell {text} does not have the symmetry of {group.hm}.",
            f"{group.hm} is {group.crystal_system_str()}.",
            "Change the cell or the space group.",
        )


def _representative(miller_index: Indices, group: gemmi.SpaceGroup) -> Indices:
    """Give the lexicographically largest of all equivalents and Friedel mates of reflections (N, 3)."""
    best = np.full(miller_index.shape, np.iinfo(np.int32).min, dtype=np.int32)
    for operation in group.operations().sym_ops:
        turn = np.array(operation.rot, dtype=np.int32) // operation.DEN
        for sign in (1, -1):
            other = sign * (miller_index @ turn)
            larger = np.zeros(len(best), dtype=bool)
            undecided = np.ones(len(best), dtype=bool)
            for k in range(3):
                larger |= undecided & (other[:, k] > best[:, k])
                undecided &= other[:, k] == best[:, k]
            best[larger] = other[larger]
    return best


def _scramble(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble words: the finaliser of SplitMix64 [Steele, Lea & Flood 2014, OOPSLA, 453]."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))

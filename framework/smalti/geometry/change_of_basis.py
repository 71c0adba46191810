"""Changes of basis: new axes for the same crystal, and what becomes of indices and space group.

A change is a matrix M with h' = M h. Axes transform as indices do: the rows of the new basis are M times the
rows of the old one, so that A' h' = A h with A' = A M^-1: every point of reciprocal space stays where it is.
Elements are fractions where the new cell is smaller than the old one.
"""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import product

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.errors import UsageError

__all__ = ["as_operator", "as_rational", "parse_operator", "transformed_group", "transformed_indices"]

Array = NDArray[np.float64]

_TERM = re.compile(r"([+-]?)(?:(\d+)(?:/(\d+))?\*?)?([hkl])")
_DENOMINATOR = 12
"""Of the fractions that occur between settings: centrings have halves and thirds."""


def parse_operator(text: str) -> Array:
    """Read a change of basis written as three expressions: ``k,h,-l`` or ``1/2h-1/2k, h+k, l``.

    Returns
    -------
    (3, 3)
        M with h' = M h; its determinant is positive.

    Raises
    ------
    UsageError
        Not three expressions in h, k and l; no volume; or it would change the hand of the axes.
    """
    cure = "Write the new indices in terms of the old ones, as in k,h,-l or 1/2h+1/2k,1/2h-1/2k,-l."
    parts = text.lower().replace(" ", "").split(",")
    if len(parts) != 3:
        raise UsageError(f"'{text}' is no change of basis.", "It takes three expressions.", cure)
    M = np.zeros((3, 3))
    for row, part in enumerate(parts):
        terms = list(_TERM.finditer(part))
        if not terms or "".join(term.group(0) for term in terms) != part:
            raise UsageError(f"'{text}' is no change of basis.", f"'{part}' is not understood.", cure)
        for sign, above, below, index in (term.groups() for term in terms):
            if below is not None and int(below) == 0:
                raise UsageError(f"'{text}' is no change of basis.", f"'{part}' divides by zero.", cure)
            value = Fraction(int(above or 1), int(below or 1)) * (-1 if sign == "-" else 1)
            M[row, "hkl".index(index)] += float(value)
    determinant = float(np.linalg.det(M))
    if abs(determinant) < 1e-6:
        raise UsageError(f"'{text}' is no change of basis.", "The new axes would lie in a plane.", cure)
    if determinant < 0:
        raise UsageError(
            f"'{text}' would make the axes left-handed.",
            "Only right-handed axes describe a crystal in its orientation.",
            f"Change the sign of all three: {as_operator(-M)}.",
        )
    return M


def as_rational(M: ArrayLike, tolerance: float = 0.02) -> Array | None:
    """The nearest matrix of twelfths; None where an element is further off than the tolerance."""
    exact = np.rint(np.asarray(M, dtype=float) * _DENOMINATOR) / _DENOMINATOR
    return np.asarray(exact) if np.max(np.abs(exact - M)) <= tolerance else None


def as_operator(M: ArrayLike) -> str:
    """Write a change of basis as people do: ``k,h,-l``."""
    return ",".join(_expression(row) for row in np.asarray(M, dtype=float))


def _expression(row: Array) -> str:
    text = ""
    for value, index in zip(row, "hkl", strict=True):
        fraction = Fraction(float(value)).limit_denominator(_DENOMINATOR)
        if fraction:
            size = "" if abs(fraction) == 1 else str(abs(fraction))
            text += f"{'-' if fraction < 0 else '+' if text else ''}{size}{index}"
    return text or "0"


def transformed_indices(h: ArrayLike, M: Array) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Indices (N, 3) on the new axes, and which of them (N,) are whole: the others are on no point."""
    new = np.asarray(h, dtype=float) @ M.T
    whole = np.rint(new)
    on = np.all(np.abs(new - whole) < 1e-3, axis=1)
    return np.where(on[:, None], whole, 0).astype(np.int32), on


def transformed_group(hall: str, M: Array) -> tuple[str, str] | None:
    """The space group on the new axes: its Hall symbol and its name for people.

    A group that has no name on axes of the same volume is written as its Hall symbol with the change behind
    it: ``P 4 (z,x,y)``. None where the symmetry, or the centring, of other axes cannot be written.
    """
    operations = _transformed(gemmi.symops_from_hall(hall.strip()), M)
    if operations is None:
        return None
    group = gemmi.find_spacegroup_by_ops(operations)
    if group is not None:
        return group.hall, group.xhm()
    base, _, before = hall.strip().rstrip(")").partition("(")
    change = np.linalg.inv(M).T @ (np.eye(3) if not before else _rot(gemmi.Op(before)))
    if abs(abs(float(np.linalg.det(M))) - 1.0) > 1e-6:
        return None
    op = gemmi.Op()
    op.rot = np.rint(change * op.DEN).astype(int).tolist()
    symbol = f"{base.strip()} ({op.triplet()})"
    return symbol, symbol


def _rot(op: gemmi.Op) -> Array:
    return np.array(op.rot, dtype=float) / op.DEN


def _transformed(operations: gemmi.GroupOps, M: Array) -> gemmi.GroupOps | None:
    """Symmetry operations on the new axes; None where they do not map the new lattice onto itself.

    Coordinates change with Q = M^-T. A larger cell has the old translations inside; a smaller one has to have
    its own among the centrings of the old.
    """
    Q = np.asarray(np.linalg.inv(M).T)
    translations = _translations(operations, Q)
    found = []
    for op in operations.sym_ops:
        rot = Q @ _rot(op) @ M.T
        if np.max(np.abs(rot - np.rint(rot))) > 1e-6:
            return None
        for extra in translations:
            item = gemmi.Op()
            item.rot = (np.rint(rot) * op.DEN).astype(int).tolist()
            item.tran = (np.rint(Q @ np.array(op.tran) + extra * op.DEN).astype(int) % op.DEN).tolist()
            found.append(item)
    return gemmi.GroupOps(found)


def _translations(operations: gemmi.GroupOps, Q: Array) -> Array:
    """Lattice translations inside the new cell, (K, 3), fractions of the new axes."""
    span = range(-3, 4)
    whole = np.array(list(product(span, repeat=3)), dtype=float)
    centred = np.array(operations.cen_ops, dtype=float) / gemmi.Op.DEN
    moved = (whole[:, None] + centred[None]).reshape(-1, 3) @ Q.T
    inside = np.rint(moved * 24.0).astype(int) % 24
    return np.unique(inside, axis=0) / 24.0

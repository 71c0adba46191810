"""The crystals of several sweeps: one for all, or one of its own for each in the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import polar

from smalti.geometry.lattice import niggli
from smalti.geometry.superposition import rigid_motion
from smalti.models import Crystal, Experiment
from smalti.text import table

__all__ = [
    "as_seen_with_first",
    "crystal_of",
    "crystal_rows",
    "crystals_table",
    "largest_turn",
    "reduced",
    "rotation_onto",
    "separated",
    "single",
    "turns",
]

Array = NDArray[np.float64]


def crystal_of(experiment: Experiment) -> Crystal:
    """The crystal of an experiment that is known to have one."""
    assert experiment.crystal is not None
    return experiment.crystal


def single(experiments: Sequence[Experiment]) -> bool:
    """Tell whether all sweeps have the same crystal object."""
    return len({id(item.crystal) for item in experiments}) == 1


def separated(
    experiments: Sequence[Experiment], points: Array, h: NDArray[np.int32], sweep: NDArray[np.intp]
) -> list[Experiment]:
    """Give every sweep a crystal of its own: that it has, turned to where its spots show it.

    Parameters
    ----------
    points : (N, 3) 1/Angstrom
        Indexed spots.
    h : (N, 3)
        Their indices.
    sweep : (N,)
    """
    turned = []
    for number, item in enumerate(experiments):
        crystal, rows = crystal_of(item), sweep == number
        A = rotation_onto(h[rows] @ crystal.A.T, points[rows]) @ crystal.A
        own = Crystal.from_A(A, crystal.space_group, crystal.extra)
        turned.append(replace(item, crystal=own))
    return turned


def rotation_onto(before: Array, after: Array, steps: int = 20) -> Array:
    """The rotation R that brings most of the points ``before`` (N, 3) close to ``after``, (3, 3).

    Least squares, repeated with weights 1/(1 + (d/median d)^2)^2, so that points that do not take part in the
    rotation have little say.
    """
    R, weights = np.eye(3), np.ones(len(before))
    for _ in range(steps):
        # each point and its opposite: the rotation is about the origin
        both = (np.concatenate([before, -before]), np.concatenate([after, -after]))
        R, _ = rigid_motion(*both, np.concatenate([weights, weights]))
        away = np.linalg.norm(before @ R.T - after, axis=1)
        weights = (1.0 + (away / max(float(np.median(away)), np.finfo(float).tiny)) ** 2) ** -2.0
    return R


def reduced(experiments: Sequence[Experiment]) -> list[Experiment]:
    """Set all crystals in the Niggli axes of the first; shared ones stay shared."""
    change = niggli(np.array(crystal_of(experiments[0]).real_space))[1]
    moved = {}
    for crystal in (crystal_of(item) for item in experiments):
        axes = change @ np.array(crystal.real_space)
        moved[id(crystal)] = Crystal.from_A(np.linalg.inv(axes), crystal.space_group, crystal.extra)
    return [replace(item, crystal=moved[id(item.crystal)]) for item in experiments]


def as_seen_with_first(experiments: Sequence[Experiment], points: Array, sweep: NDArray[np.intp]) -> Array:
    """Move points of reciprocal space (N, 3) to where the crystal of the first sweep would have them.

    With A_k of the sweep of each: A_0 A_k^-1 r. Their fractional indices stay what they are.
    """
    first, out = crystal_of(experiments[0]), np.array(points)
    for number, crystal in enumerate(map(crystal_of, experiments)):
        if crystal is not first:
            rows = sweep == number
            out[rows] = points[rows] @ (first.A @ np.array(crystal.real_space)).T
    return out


def turns(experiments: Sequence[Experiment]) -> tuple[float, ...]:
    """Angle (deg) by which the crystal of each sweep is turned from that of the first."""
    return tuple(_turn(crystal_of(experiments[0]), crystal_of(item)) for item in experiments)


def largest_turn(experiments: Sequence[Experiment]) -> float:
    """Largest angle (deg) between the crystals of any two sweeps."""
    return max(_turn(crystal_of(a), crystal_of(b)) for a in experiments for b in experiments)


def _turn(first: Crystal, other: Crystal) -> float:
    """Angle (deg) of the orthogonal part of A A_first^-1: differences of the cells do not enter."""
    rotation, _ = polar(other.A @ np.array(first.real_space))
    # |R - 1| = 2 sqrt 2 sin(angle/2): exact for small angles, where the trace is not
    sine = float(np.linalg.norm(rotation - np.eye(3))) / np.sqrt(8.0)
    return float(np.degrees(2.0 * np.arcsin(min(1.0, sine))))


def crystal_rows(experiments: Sequence[Experiment]) -> list[dict[str, Any]]:
    """Give cell, A and turn of each sweep's crystal, for the JSON."""
    return [
        {
            "sweep": number,
            "cell": list(crystal_of(item).cell),
            "A": crystal_of(item).A.tolist(),
            "turn_deg": turn,
        }
        for number, (item, turn) in enumerate(zip(experiments, turns(experiments), strict=True))
    ]


def crystals_table(experiments: Sequence[Experiment]) -> str:
    """Table of the crystals of the sweeps; "" where they share one."""
    if single(experiments):
        return ""
    rows = [
        (row["sweep"], *(f"{value:.3f}" for value in row["cell"]), f"{row['turn_deg']:.3f}")
        for row in crystal_rows(experiments)
    ]
    heads = ("sweep", "a", "b", "c", "alpha", "beta", "gamma", "turned\n(deg)")
    return table(heads, rows, title="Each sweep has a crystal of its own, turned from that of the first by:")

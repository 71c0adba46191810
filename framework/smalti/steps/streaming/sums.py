"""What a stream adds up to: normal equations of the shared parameters and counts, of any part of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.streaming.law import Classes

__all__ = ["HALVES", "Sums"]

Array = NDArray[np.float64]

HALVES = 2
"""Sums are kept of two halves of the crystals, which can be compared."""


@dataclass(frozen=True)
class Sums:
    """Sums over some crystals, at one point of the g shared parameters; P panels.

    Priors and restraints of shared parameters are not in them.

    Attributes
    ----------
    matrix : (2, g, g)
        Normal matrix of each half of the crystals, once these are eliminated.
    gradient : (2, g)
    objective : (2,)
        1/2 sum w r^2, and what priors of crystals add.
    n_own : (2,)
        Parameters of the crystals.
    panel_used, panel_rejected : (P,)
    panel_squares : (P, 3) mm^2, mm^2, rad^2
        Sums of the squared residuals of the used ones.
    n_crystals, n_experiments : int
        What was used.
    left_out : Mapping
        Reason to number of crystals or reflections.
    classes : Classes
        Of the noise.
    """

    matrix: Array
    gradient: Array
    objective: Array
    n_own: Array
    panel_used: Array
    panel_rejected: Array
    panel_squares: Array
    n_crystals: int
    n_experiments: int
    left_out: Mapping[str, int]
    classes: Classes

    @classmethod
    def none(cls, n_shared: int, n_panels: int) -> Sums:
        """Give the sums of no crystals."""
        return cls(
            np.zeros((HALVES, n_shared, n_shared)),
            np.zeros((HALVES, n_shared)),
            np.zeros(HALVES),
            np.zeros(HALVES),
            np.zeros(n_panels),
            np.zeros(n_panels),
            np.zeros((n_panels, 3)),
            0,
            0,
            {},
            Classes.none(),
        )

    @property
    def n_used(self) -> int:
        """Reflections that are used."""
        return int(self.panel_used.sum())

    @property
    def n_rejected(self) -> int:
        """Reflections that were rejected as outliers."""
        return int(self.panel_rejected.sum())

    @property
    def rmsd(self) -> tuple[float, float, float]:
        """RMS residuals, mm, mm, rad."""
        x, y, angle = np.sqrt(self.panel_squares.sum(axis=0) / max(self.n_used, 1))
        return float(x), float(y), float(angle)

    @property
    def share(self) -> float:
        """Part of the sum of squares that the crystals' parameters have left."""
        return max(1.0 - float(self.n_own.sum()) / max(3 * self.n_used, 1), 0.1)

    def moved(self, step: Array) -> Sums:
        """Give the sums at another point, (g,) away, as they are to second order; RMSDs stay."""
        slopes = np.einsum("hij,j->hi", self.matrix, step)
        objective = self.objective + self.gradient @ step + 0.5 * slopes @ step
        return replace(self, gradient=self.gradient + slopes, objective=objective)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Give everything as arrays, for a file; the reasons as JSON."""
        plain = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        return plain | {"left_out": np.array(json.dumps(dict(self.left_out))), "classes": self.classes.sums}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Sums:
        """Make sums again of what :meth:`arrays` gave."""
        values: dict[str, Any] = {field.name: arrays[field.name] for field in fields(cls)}
        values["left_out"] = json.loads(str(values["left_out"]))
        values["classes"] = Classes(values["classes"])
        for name in ("n_crystals", "n_experiments"):
            values[name] = int(values[name])
        return cls(**values)

    def plus(self, other: Sums) -> Sums:
        """Add those of other crystals."""
        changes = {
            field.name: getattr(self, field.name) + getattr(other, field.name)
            for field in fields(self)
            if field.name not in ("left_out", "classes")
        }
        reasons = dict.fromkeys((*self.left_out, *other.left_out))
        left_out = {r: self.left_out.get(r, 0) + other.left_out.get(r, 0) for r in reasons}
        return replace(self, **changes, left_out=left_out, classes=self.classes.plus(other.classes))

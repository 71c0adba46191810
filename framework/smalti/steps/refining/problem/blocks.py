"""The parameters of each model: their names, what they make of it and how they are held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.beam_parameters import BEAM_PARAMETERS, beam_derivatives, compose_beam
from smalti.geometry.crystal_parameters import (
    METRIC_SCALE,
    ORIENTATION_PARAMETERS,
    B_from_metric,
    CellBasis,
    cell_basis,
    metric_derivatives,
    orientation,
    orientation_derivatives,
)
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Crystal, Goniometer, matrix, vector
from smalti.solution import Parameter, Prior
from smalti.units import MRAD

__all__ = [
    "SYMMETRY_LIMIT",
    "BeamBlock",
    "Block",
    "CrystalBlock",
    "SettingBlock",
    "still_true",
]

Array = NDArray[np.float64]

_MU_SIGMA = 1.0  # mrad
_NU_SIGMA = 1e-3  # of the wave number
_CELL_SIGMA = 0.02  # of the metric: 1 % of an axis
_SETTING_SIGMA = 5.0  # mrad
SYMMETRY_LIMIT = 0.1  # of the metric: an axis 5 % away from what the space group allows


class Block(Protocol):
    """The parameters of one model; p = 0 is the model as it came."""

    def compose(self, p: Array) -> Any:
        """Give the model at p (n,)."""

    def derivatives(self, p: Array) -> Any:
        """Give what the local coordinates of derivatives.py do at p: s0, A, a rotation vector or panels."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Names and units of the n parameters."""

    @property
    def start(self) -> Array:
        """Value of each parameter at p = 0, (n,): zero for what is only an increment."""

    @property
    def prior(self) -> Prior:
        """What holds them (precision 0 where nothing does)."""


def still_true(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a file said of a model that has been refined since.

    DIALS keeps values at scan points, covariances and recalculated cells beside the model, and would
    believe them.
    """
    stale = ("B_covariance", "recalculated_")
    return {k: v for k, v in extra.items() if not k.startswith(stale) and not k.endswith("_at_scan_points")}


@dataclass(frozen=True)
class BeamBlock:
    """Mu1, Mu2 and nu of one beam."""

    beam: Beam
    spindle: Array
    number: int
    weak: bool = True

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Name them Beam1Mu1, ..."""
        return tuple(Parameter(f"Beam{self.number}{n}", u, (), f"beam {n}") for n, u in BEAM_PARAMETERS)

    @property
    def start(self) -> Array:
        """Angles from the beam as it came; nu itself."""
        return np.array([0.0, 0.0, 1.0 / self.beam.wavelength])

    @property
    def prior(self) -> Prior:
        """Hold the beam weakly."""
        sigma = np.array([_MU_SIGMA, _MU_SIGMA, _NU_SIGMA / self.beam.wavelength])
        return _about_zero(sigma, self.weak)

    def compose(self, p: Array) -> Beam:
        """Give the beam at p (3,)."""
        if not p.any():
            return self.beam
        s0 = compose_beam(self.beam.s0, self.spindle, p)
        length = float(np.linalg.norm(s0))
        extra = still_true(self.beam.extra)
        return replace(self.beam, direction=vector(-s0 / length), wavelength=1.0 / length, extra=extra)

    def derivatives(self, p: Array) -> Array:
        """Give d(s0)/dp, (3, 3), one row a parameter."""
        return beam_derivatives(self.beam.s0, self.spindle, p)


@dataclass(frozen=True)
class CrystalBlock:
    """Phi1-3 and the free elements of the reciprocal metric of one crystal."""

    crystal: Crystal
    basis: CellBasis
    number: int
    weak: bool = True

    @classmethod
    def of(cls, crystal: Crystal, number: int, *, weak: bool, hold_cell: bool) -> CrystalBlock:
        """Bring a crystal whose cell is free into its symmetry; its cell must be near to it."""
        basis = cell_basis(crystal.space_group)
        metric = crystal.B.T @ crystal.B
        allowed = basis.metric(basis.parameters(metric))
        size = np.sqrt(np.diag(metric))
        if (np.abs(allowed - metric) > SYMMETRY_LIMIT * np.outer(size, size)).any():
            raise DataError(
                f"The cell of crystal {number} does not fit its space group '{crystal.space_group.strip()}'.",
                "Its cell is " + ", ".join(f"{x:.3f}" for x in crystal.cell) + ".",
                "Index again with the right --space-group, or hold the cell.",
            )
        if not hold_cell:
            A = crystal.U @ B_from_metric(allowed)
            crystal = Crystal.from_A(A, crystal.space_group, crystal.extra)
        return cls(crystal, basis, number, weak)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Name them Crystal1Phi1, ..., Crystal1g_param_0, ..."""
        turns = [
            Parameter(f"Crystal{self.number}{n}", u, (), f"crystal {n}") for n, u in ORIENTATION_PARAMETERS
        ]
        names = ("a*.a*", "b*.b*", "c*.c*", "b*.c*", "a*.c*", "a*.b*")
        places = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
        cell = [
            Parameter(f"Crystal{self.number}g_param_{k}", "1e-5/Angstrom^2", (), names[places.index(place)])
            for k, place in enumerate(self.basis.places)
        ]
        return (*turns, *cell)

    @property
    def start(self) -> Array:
        """Angles from the crystal as it came; the elements of the metric themselves."""
        metric = self._metric
        return np.array([0.0, 0.0, 0.0, *(METRIC_SCALE * metric[place] for place in self.basis.places)])

    @property
    def prior(self) -> Prior:
        """Hold the cell weakly, the orientation not at all."""
        return _about_zero(np.concatenate([np.full(3, np.inf), _CELL_SIGMA * self.cell_sizes]), self.weak)

    @property
    def cell_sizes(self) -> Array:
        """Size of the metric that each cell parameter is to be compared with, in its unit."""
        metric = self._metric
        size = [np.sqrt(metric[a, a] * metric[b, b]) for a, b in self.basis.places]
        return METRIC_SCALE * np.array(size)

    def compose(self, p: Array) -> Crystal:
        """Give the crystal at p (n,)."""
        if not p.any():
            return self.crystal
        return Crystal.from_A(self.matrix(p), self.crystal.space_group, still_true(self.crystal.extra))

    def matrix(self, p: Array) -> Array:
        """Give A (3, 3) 1/Angstrom at p (n,), or (N, 3, 3) at many of them (n, N)."""
        return np.asarray(orientation(p[:3]) @ self._U @ self._B(p))

    def derivatives(self, p: Array) -> Array:
        """Give dA/dp, (n, 3, 3), or (n, N, 3, 3) at many points (n, N)."""
        B, U, turn = self._B(p), self._U, orientation(p[:3])
        by_metric = np.moveaxis(metric_derivatives(B, self.basis.E / METRIC_SCALE), -3, 0)
        return np.concatenate([orientation_derivatives(p[:3]) @ U @ B, turn @ U @ by_metric])

    @cached_property
    def _metric(self) -> Array:
        return np.asarray(self.crystal.B.T @ self.crystal.B)

    @cached_property
    def _U(self) -> Array:
        return self.crystal.U

    def _B(self, p: Array) -> Array:
        return B_from_metric(self._metric + self.basis.metric(p[3:].T))


@dataclass(frozen=True)
class SettingBlock:
    """Gamma1, Gamma2: the setting rotation of one goniometer turned about two axes across the spindle.

    The third turn, about the spindle itself, is the same as one of the crystal.
    """

    goniometer: Goniometer
    number: int
    weak: bool = True

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Name them Goniometer1Gamma1, Goniometer1Gamma2."""
        return tuple(
            Parameter(f"Goniometer{self.number}Gamma{k}", "mrad", (), f"goniometer Gamma{k}") for k in (1, 2)
        )

    @property
    def start(self) -> Array:
        """Angles from the goniometer as it came."""
        return np.zeros(2)

    @property
    def prior(self) -> Prior:
        """Hold it weakly."""
        return _about_zero(np.full(2, _SETTING_SIGMA), self.weak)

    def compose(self, p: Array) -> Goniometer:
        """Give the goniometer at p (2,)."""
        # The axes that made the setting rotation no longer do: only the matrix is kept.
        setting = matrix(self._turn(p) @ self.goniometer.S)
        return replace(self.goniometer, setting_rotation=setting, axes=(), angles=(), names=(), scan_axis=0)

    def derivatives(self, p: Array) -> Array:
        """Give the small rotation vectors (rad, laboratory) that go with small changes of p, (2, 3)."""
        first, second = self._axes()
        return MRAD * np.stack([rotation(second, p[1] * MRAD) @ first, second])

    def _axes(self) -> tuple[Array, Array]:
        spindle = self.goniometer.laboratory_axis
        first = np.cross(spindle, np.eye(3)[np.argmin(np.abs(spindle))])
        first /= np.linalg.norm(first)
        return first, np.cross(spindle, first)

    def _turn(self, p: Array) -> Array:
        first, second = self._axes()
        return np.asarray(rotation(second, p[1] * MRAD) @ rotation(first, p[0] * MRAD))


def _about_zero(sigma: Array, weak: bool) -> Prior:
    return Prior(np.zeros_like(sigma), sigma**-2.0 if weak else np.zeros_like(sigma))

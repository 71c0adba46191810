"""Passes over the reflections of crystals that do not vary, and what a source asks of any kind of pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import PANEL, RotationState, Spots, differentiate, predict
from smalti.steps.refining.problem.layout import N_SHARED, Layout
from smalti.steps.refining.problem.observations import Observations
from smalti_ext import normal

__all__ = ["Pass", "StaticPass", "inverse_frames", "models_of"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


class Pass(Protocol):
    """Predicts reflections and differentiates them by L local coordinates of each."""

    def predict(self, p: Array) -> Array:
        """Predict X, Y (mm) and phi or DeltaPsi (rad) at parameters p (n,), (N, 3); nan where impossible."""

    def accumulate(self, p: Array, weights: Array) -> tuple[normal.Sums, Index]:
        """Sum normal equations by chunks; with the places (C, L) of their coordinates among all."""

    def rows(self, p: Array) -> tuple[Array, Index]:
        """Give all derivatives (N, 3, L) and the places of their coordinates among all (N, L)."""

    def states(self, p: Array) -> tuple[RotationState, Spots]:
        """Give the models at p (n,) as arrays, and the reflections with the row of each in them."""


@dataclass(frozen=True)
class StaticPass:
    """Every experiment has one F A; the 24 local coordinates are those of geometry/derivatives.py."""

    layout: Layout
    data: Observations
    n_threads: int = 1

    def predict(self, p: Array) -> Array:
        """Predict with the kernel."""
        data = self.data
        return normal.predict(
            data.spots.h,
            data.spots.entering,
            data.spots.angle,
            data.chunks,
            data.chunk_experiment,
            data.chunk_panel,
            models_of(self.layout.state(p)),
            self.n_threads,
        )

    def accumulate(self, p: Array, weights: Array) -> tuple[normal.Sums, Index]:
        """Sum with the kernel."""
        data = self.data
        sums = normal.accumulate(
            data.spots.h,
            data.spots.entering,
            data.observed,
            weights,
            data.chunks,
            data.chunk_experiment,
            data.chunk_panel,
            models_of(self.layout.state(p)),
            self.n_threads,
            setting=self._setting,
        )
        return sums, self._columns(data.chunk_panel, data.chunk_experiment)

    def rows(self, p: Array) -> tuple[Array, Index]:
        """Differentiate in NumPy."""
        state, spots = self.states(p)
        rows = differentiate(state, spots, *predict(state, spots))
        return rows, self._columns(spots.panel, spots.experiment)

    def states(self, p: Array) -> tuple[RotationState, Spots]:
        """One row for each experiment."""
        return self.layout.state(p), self.data.spots

    @cached_property
    def _setting(self) -> bool:
        """Whether a setting rotation is refined; sums that nobody asks for take a quarter of the time."""
        return any(parameter.name.startswith("Goniometer") for parameter in self.layout.parameters)

    def _columns(self, panel: NDArray[np.intp], experiment: NDArray[np.intp]) -> Index:
        frame = PANEL.stop * panel[:, None] + np.arange(PANEL.stop)
        first = PANEL.stop * self.layout.n_panels
        return np.concatenate([frame, first + N_SHARED * experiment[:, None] + np.arange(N_SHARED)], axis=1)


def inverse_frames(state: RotationState) -> Array:
    """Give D = d^-1 of all panels, (P, 3, 3)."""
    return np.asarray(np.linalg.inv(state.d), dtype=float)


def models_of(state: RotationState) -> normal.Models:
    """Give the models as kernels take them."""
    return normal.Models(state.FA, state.S, state.axis, state.s0, inverse_frames(state), state.stills)

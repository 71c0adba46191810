"""Passes over the reflections of crystals that vary over their scans."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.derivatives import (
    BEAM,
    CRYSTAL,
    PANEL,
    SETTING,
    RotationState,
    Spots,
    differentiate,
    predict,
)
from smalti.steps.refining.problem.layout import N_SHARED, Layout
from smalti.steps.refining.problem.models import fixed_rotation
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.problem.passes import inverse_frames
from smalti.steps.refining.problem.varying_crystal import Sampled
from smalti_ext import varying
from smalti_ext.normal import Sums
from smalti_ext.varying import N_NEAREST

__all__ = ["VaryingPass"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_FIXED = np.array([*range(BEAM.stop), *range(SETTING.start, SETTING.stop)])
"""The local coordinates that are not of the crystal."""


@dataclass(frozen=True)
class VaryingPass:
    """Every image has its own F A: the local coordinates of a reflection are 15 and three samples of c.

    A crystal that does not vary takes part as one of a single image and a single sample.
    """

    layout: Layout
    data: Observations
    n_threads: int = 1

    def predict(self, p: Array) -> Array:
        """Predict with the kernel."""
        spots = self.data.spots
        return varying.predict(
            spots.h,
            spots.entering,
            spots.angle,
            self._image,
            *self._chunks,
            self._models(p, slopes=False),
            self.n_threads,
        )

    def accumulate(self, p: Array, weights: Array) -> tuple[Sums, Index]:
        """Sum with the kernel."""
        spots, data = self.data.spots, self.data
        chunks, experiment, panel = self._chunks
        sums = varying.accumulate(
            spots.h, spots.entering, data.observed, weights, self._image,
            chunks, experiment, panel, self._models(p), self.n_threads,
        )  # fmt: skip
        return sums, self._columns(panel, experiment, self._sample[chunks[:-1]])

    def rows(self, p: Array) -> tuple[Array, Index]:
        """Differentiate in NumPy."""
        state, each = self.states(p)
        rows = differentiate(state, each, *predict(state, each))
        by_FA = rows[:, :, CRYSTAL].reshape(len(rows), 3, 3, 3)
        models = self._models(p)
        by_parameter = np.einsum("nkab,ncab->nkc", by_FA, models.slopes[self._image])
        blend = models.blend[self._image]
        samples = [blend[:, None, None, s] * by_parameter for s in range(N_NEAREST)]
        columns = self._columns(each.panel, self.data.spots.experiment, self._sample)
        return np.concatenate([rows[:, :, _FIXED], *samples], axis=2), columns

    def states(self, p: Array) -> tuple[RotationState, Spots]:
        """One row for each image, as if each were an experiment of its own."""
        spots, models = self.data.spots, self._models(p, slopes=False)
        own, d = self._experiment, self.layout.state(p).d
        still = models.still[own]
        state = RotationState(models.FA, models.S[own], models.axis[own], models.s0[own], d, still)
        return state, Spots(spots.h, spots.entering, spots.angle, self._image, spots.panel)

    @cached_property
    def _crystals(self) -> tuple[Sampled, ...]:
        """The crystal of each experiment."""
        return tuple(self.layout.sampled(use["crystal"]) for use in self.layout.uses)

    @cached_property
    def _shapes(self) -> Index:
        """Numbers of samples m and of parameters c of the crystal of each experiment, (E, 2)."""
        return np.array([crystal.places.shape for crystal in self._crystals])

    @cached_property
    def _blends(self) -> tuple[NDArray[np.int64], Array]:
        """First sample (I,) and weights (I, 3) of each image."""
        found = [crystal.by_image for crystal in self._crystals]
        return np.concatenate([first for first, _ in found]), np.concatenate([blend for _, blend in found])

    @cached_property
    def _first_image(self) -> NDArray[np.int64]:
        """First row of each experiment in the tables of images, and their number, (E + 1,)."""
        counts = [len(crystal.by_image[0]) for crystal in self._crystals]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def _experiment(self) -> Index:
        """Experiment of each row of the tables of images, (I,)."""
        return np.repeat(np.arange(len(self._crystals)), np.diff(self._first_image))

    @cached_property
    def _image(self) -> NDArray[np.int64]:
        """Row of each reflection in the tables of images, (N,): by the angle where it was seen."""
        spots = self.data.spots
        image = self._first_image[spots.experiment]
        for number, crystal in enumerate(self._crystals):
            mine = spots.experiment == number
            image[mine] += crystal.image_of(spots.angle[mine])
        return image

    @property
    def _sample(self) -> NDArray[np.int64]:
        """First sample of each reflection, (N,)."""
        return self._blends[0][self._image]

    @cached_property
    def _chunks(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where chunks begin, none with images between different samples; experiments and panels of each."""
        borders = np.flatnonzero(np.diff(self._sample) != 0) + 1
        chunks = np.union1d(self.data.chunks, borders).astype(np.int64)
        first, spots = chunks[:-1], self.data.spots
        return chunks, spots.experiment[first].astype(np.int64), spots.panel[first].astype(np.int64)

    def _models(self, p: Array, *, slopes: bool = True) -> varying.VaryingModels:
        """Models of all images at p (n,); slopes are left at 0 where they are not asked for."""
        state, parts = self.layout.state(p), self.layout.split(p)
        n = int(self._first_image[-1])
        FA, by_parameter = np.empty((n, 3, 3)), np.zeros((n, int(self._shapes[:, 1].max()), 3, 3))
        for number, (crystal, use) in enumerate(zip(self._crystals, self.layout.uses, strict=True)):
            rows = slice(self._first_image[number], self._first_image[number + 1])
            F, q = fixed_rotation(self.layout.experiments[number]), parts[use["crystal"]]
            FA[rows] = F @ crystal.matrices_by_image(q)
            if slopes:
                own = F @ crystal.slopes_by_image(q)
                by_parameter[rows, : self._shapes[number, 1]] = own
        return varying.VaryingModels(
            FA,
            by_parameter,
            self._blends[1],
            state.S,
            state.axis,
            state.s0,
            inverse_frames(state),
            state.stills,
        )

    def _columns(self, panel: Index, experiment: Index, sample: NDArray[np.int64]) -> Index:
        """Places of the local coordinates among all, (M, 15 + 3 c); padding is zeros, wherever they go."""
        layout = self.layout
        frame = PANEL.stop * panel[:, None] + np.arange(PANEL.stop)
        shared = PANEL.stop * layout.n_panels + N_SHARED * experiment[:, None]
        fixed = shared + (_FIXED[PANEL.stop :] - PANEL.stop)
        first = np.array([layout.sample_offset[use["crystal"]] for use in layout.uses])[experiment]
        m, c = self._shapes[experiment].T
        near = np.minimum(sample[:, None] + np.arange(N_NEAREST), m[:, None] - 1)
        own = np.minimum(np.arange(self._shapes[:, 1].max()), c[:, None] - 1)
        crystal = first[:, None, None] + near[:, :, None] * c[:, None, None] + own[:, None, :]
        return np.concatenate([frame, fixed, crystal.reshape(len(panel), -1)], axis=1)

"""The parameters of a crystal that varies over its scan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.geometry.smoother import N_NEAREST, Smoother
from smalti.models import Crystal, Scan, matrix
from smalti.solution import Parameter, Prior
from smalti.steps.refining.problem.blocks import CrystalBlock, still_true

__all__ = ["Sampled", "SteadyCrystal", "VaryingCrystalBlock"]

Array = NDArray[np.float64]
Index = NDArray[np.int64]


class Sampled(Protocol):
    """A crystal given by c parameters at m samples, which are blended for each of I images."""

    @property
    def places(self) -> NDArray[np.intp]:
        """Which of the crystal's parameters is the value at each sample, (m, c)."""

    @property
    def by_image(self) -> tuple[Index, Array]:
        """First of three samples that make an image (I,), and their weights (I, 3)."""

    def image_of(self, angle: ArrayLike) -> Index:
        """Give the image, from 0, on which something is seen at angles (N,) rad."""

    def matrices_by_image(self, q: Array) -> Array:
        """Give A (I, 3, 3) 1/Angstrom at parameters q."""

    def slopes_by_image(self, q: Array) -> Array:
        """Give the derivatives of A by the c parameters of each image, (I, c, 3, 3)."""


@dataclass(frozen=True)
class SteadyCrystal:
    """A crystal that does not vary, beside others that do: one image and one sample."""

    block: CrystalBlock

    @property
    def places(self) -> NDArray[np.intp]:
        """Every parameter is its own sample, (1, c)."""
        return np.arange(len(self.block.start))[None]

    @property
    def by_image(self) -> tuple[Index, Array]:
        """The first sample, alone."""
        return np.zeros(1, dtype=np.int64), np.eye(N_NEAREST)[:1]

    def image_of(self, angle: ArrayLike) -> Index:
        """Everything is seen on the same image."""
        return np.zeros(np.shape(angle), dtype=np.int64)

    def matrices_by_image(self, q: Array) -> Array:
        """Give A (1, 3, 3)."""
        return self.block.matrix(q)[None]

    def slopes_by_image(self, q: Array) -> Array:
        """Give its derivatives (1, c, 3, 3)."""
        return self.block.derivatives(q)[None]


@dataclass(frozen=True)
class VaryingCrystalBlock:
    """A crystal whose orientation, cell or both are given by samples over one scan.

    Each of the c parameters of a static crystal that varies becomes m parameters, its values at the samples;
    those that do not vary stay one. The crystal is composed at the middle of every image.

    Attributes
    ----------
    static : CrystalBlock
        The same crystal without variation: its parameters are those of every image.
    smoother : Smoother
        In radians of rotation.
    scan : Scan
    varies : tuple of bool, c of them
        Which parameters of the static crystal have samples.
    """

    static: CrystalBlock
    smoother: Smoother
    scan: Scan
    varies: tuple[bool, ...]

    @property
    def number(self) -> int:
        """Number of the crystal."""
        return self.static.number

    @property
    def crystal(self) -> Crystal:
        """The crystal as it came."""
        return self.static.crystal

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Name them Crystal1Phi1_sample0, Crystal1Phi1_sample1, ..., as DIALS does."""
        out: list[Parameter] = []
        degrees = np.degrees(self.smoother.positions)
        for item, varies in zip(self.static.parameters, self.varies, strict=True):
            if not varies:
                out.append(item)
                continue
            out += [
                replace(
                    item, name=f"{item.name}_sample{k}", label=f"{item.label or item.name} at {angle:.4g} deg"
                )
                for k, angle in enumerate(degrees)
            ]
        return tuple(out)

    @property
    def start(self) -> Array:
        """Value of each at q = 0."""
        return self.static.start[self.source]

    @property
    def prior(self) -> Prior:
        """Every sample is held as the parameter of a static crystal is."""
        prior = self.static.prior
        return Prior(prior.mean[self.source], prior.precision[self.source])

    @cached_property
    def source(self) -> NDArray[np.intp]:
        """Which parameter of the static crystal each parameter is a value of, (n,)."""
        counts = [self.smoother.n_samples if varies else 1 for varies in self.varies]
        return np.repeat(np.arange(len(self.varies)), counts)

    @cached_property
    def places(self) -> NDArray[np.intp]:
        """Which parameter is the value of each static one at each sample, (m, c)."""
        first = np.searchsorted(self.source, np.arange(len(self.varies)))
        samples = np.arange(self.smoother.n_samples)[:, None]
        return np.asarray(first + samples * np.array(self.varies), dtype=np.intp)

    def steady(self, p: Array) -> Array:
        """Give the parameters (n,) of a crystal that does not vary, from those of the static one (c,)."""
        return np.asarray(p[self.source])

    def compose(self, q: Array) -> Crystal:
        """Give the crystal at q (n,): A at the ends of all images, and its mean over the scan."""
        begin, end = self.scan.angle_range
        points = self.matrices(np.linspace(begin, end, self.scan.n_images + 1), q)
        mean = self.mean(q)
        return replace(mean, scan_points=tuple(matrix(A) for A in points), extra=still_true(mean.extra))

    def mean(self, q: Array) -> Crystal:
        """Give the crystal of the mean parameters over the scan at q (n,), which does not vary."""
        return self.static.compose(self.averages @ q)

    def derivatives(self, q: Array) -> Array:
        """Give dA/dq of the mean crystal, (n, 3, 3)."""
        slopes = self.static.derivatives(self.averages @ q)
        return np.tensordot(self.averages.T, slopes, axes=1)

    @cached_property
    def averages(self) -> Array:
        """What makes the mean of each static parameter over all images of the parameters, (c, n)."""
        first, weights = self.by_image
        share = np.zeros(self.smoother.n_samples + N_NEAREST)
        np.add.at(share, first[:, None] + np.arange(N_NEAREST), weights / len(first))
        out = np.zeros((len(self.varies), len(self.source)))
        for k, places in enumerate(self.places.T):
            np.add.at(out[k], places, share[: self.smoother.n_samples])
        return out

    def blend_at(self, angle: float) -> Array:
        """Give what makes the static parameters at an angle (rad) of the parameters, (c, n)."""
        first, weights = self.smoother.blend(angle)
        out = np.zeros((len(self.varies), len(self.source)))
        for k in range(N_NEAREST):
            if weights[0, k] > 0.0:
                np.add.at(out, (np.arange(len(out)), self.places[first[0] + k]), weights[0, k])
        return out

    @cached_property
    def by_image(self) -> tuple[Index, Array]:
        """First of the three samples next to the middle of each image (I,), and their weights (I, 3)."""
        return self.smoother.blend(self.middles)

    @property
    def middles(self) -> Array:
        """Angle of the middle of each image, (I,) rad."""
        start, width = self.scan.oscillation
        return np.asarray(start + width * (np.arange(self.scan.n_images) + 0.5))

    def image_of(self, angle: ArrayLike) -> Index:
        """Give the image, from 0, on which something is seen at an angle (rad); at the ends the nearest."""
        z = np.floor(self.scan.array_index(angle)) - self.scan.array_range[0]
        return np.asarray(np.clip(z, 0, self.scan.n_images - 1), dtype=np.int64)

    def values(self, angles: ArrayLike, q: Array) -> Array:
        """Give the parameters of the static crystal at angles (N,) rad, (N, c)."""
        return self.smoother.values(angles, q[self.places])

    def matrices(self, angles: ArrayLike, q: Array) -> Array:
        """Give A (N, 3, 3) 1/Angstrom at angles (N,) rad."""
        return self.static.matrix(self.values(angles, q).T)

    def matrices_by_image(self, q: Array) -> Array:
        """Give A at the middle of each image, (I, 3, 3) 1/Angstrom."""
        return self.matrices(self.middles, q)

    def slopes_by_image(self, q: Array) -> Array:
        """Give the derivatives of A by the parameters of the static crystal there, (I, c, 3, 3)."""
        return np.moveaxis(self.static.derivatives(self.values(self.middles, q).T), 0, 1)

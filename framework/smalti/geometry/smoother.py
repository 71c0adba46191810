"""Values that vary smoothly over a scan: a few samples, blended by a Gaussian of the nearest three.

The form is that of DIALS (its Gaussian smoother; the idea is Kabsch's): with z the angle in units of the
spacing of the samples, the value at z is sum_k w_k p_k / sum_k w_k over the three samples nearest to z,
w_k = exp(-((z - z_k) / 0.7)^2). A scan divided into n intervals has n + 2 samples, in the middle of each
interval and half a spacing beyond either end, so that the ends are as well determined as the middle.
One and two intervals have two and three samples, at their borders.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["N_NEAREST", "Smoother"]

Array = NDArray[np.float64]

N_NEAREST = 3
"""Samples that a value depends on (two where there are only two)."""

_WIDTH, _WIDTH_OF_TWO = 0.7, 0.65


@dataclass(frozen=True, slots=True)
class Smoother:
    """Where the samples of a scan are, and how values between them are made.

    Attributes
    ----------
    begin, end : float
        The range, in any unit (rad): the ends of the scan.
    n_intervals : int
        Into how many equal intervals it is divided, at least 1.
    """

    begin: float
    end: float
    n_intervals: int

    @classmethod
    def of(cls, begin: float, end: float, spacing: float) -> Smoother:
        """Divide a range into as many equal intervals as have at least this spacing, or one."""
        # A range of exactly two spacings has two intervals, whatever was rounded off to get there.
        return cls(begin, end, max(int(abs(end - begin) / spacing + 1e-6), 1))

    @property
    def spacing(self) -> float:
        """Distance of samples, in the unit of the range; negative where it runs backwards."""
        return (self.end - self.begin) / self.n_intervals

    @property
    def n_samples(self) -> int:
        """Number of samples m."""
        return self.n_intervals + (1 if self.n_intervals < 3 else 2)

    @property
    def positions(self) -> Array:
        """Where the samples are, (m,), in the unit of the range."""
        first = 0.0 if self.n_intervals < 3 else -0.5
        return np.asarray(self.begin + self.spacing * (first + np.arange(self.n_samples)), dtype=float)

    def blend(self, x: ArrayLike) -> tuple[NDArray[np.int64], Array]:
        """Give the samples nearest to each of N places, and how much of each its value is made of.

        Beyond the ends of the range the samples are those of the nearest end.

        Returns
        -------
        first : (N,) int64
            The lowest of three consecutive samples. A scan of two samples has two, and a third weight of 0.
        weights : (N, 3)
            They add up to 1, and are the derivatives of the value by the samples.
        """
        z = (np.atleast_1d(np.asarray(x, dtype=float)) - self.begin) / self.spacing
        first = np.clip(np.floor(z), 0, self.n_intervals - 1).astype(np.int64)
        own = z[:, None] - (first[:, None] + np.arange(N_NEAREST) - 0.5)
        width = _WIDTH
        if self.n_intervals < 3:
            first, own = np.zeros_like(first), z[:, None] - np.arange(N_NEAREST)
            width = _WIDTH_OF_TWO if self.n_intervals == 1 else _WIDTH
        logarithms = -((own / width) ** 2)
        # Far beyond an end all would underflow to 0: only their ratios matter.
        weights = np.exp(logarithms - logarithms[:, : self.n_samples].max(axis=1, keepdims=True))
        weights[:, self.n_samples :] = 0.0
        return first, weights / weights.sum(axis=1, keepdims=True)

    def values(self, x: ArrayLike, samples: ArrayLike) -> Array:
        """Give the values (N, ...) at N places of samples (m, ...)."""
        first, weights = self.blend(x)
        p = np.asarray(samples, dtype=float)
        near = p[np.minimum(first[:, None] + np.arange(N_NEAREST), self.n_samples - 1)]
        return np.asarray(np.einsum("nk,nk...->n...", weights, near))

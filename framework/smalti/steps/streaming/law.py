"""How well centroids are known, as a law that is the same for every crystal of a stream.

Per coordinate, the variance is a sum of terms with coefficients that all reflections share:

    x, y      (pixel)^2 (a + b I0/I)           I the intensity, I0 a typical one
    angle     c                                of stills (mrad^2), whose crystals are not sharp
              (image)^2 (d + e (1/zeta^2 - 1)) of rotation data

The coefficients are fitted to sums over classes of reflections, so that the whole stream can tell them
and nobody holds more than these sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.weighing.variance_model import Terms, fit, robust_variance

__all__ = ["N_CLASSES", "Classes", "Law", "law_of_classes", "law_of_group", "law_of_many"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

N_CLASSES = 16
"""Classes of reflections: of intensity for x and y; for angles stills, and rotation by zeta."""

_LEAST_ZETA = 0.05
_LEAST_INTENSITY = 1e-2
"""Weaker than so many typical spots: like those."""
_LEAST_VARIANCE = 1e-6
"""Squares of pixels, images or milliradians; no centroid is known better."""
_NAMES = (("constant", "photons"), ("constant", "photons"), ("stills", "constant", "slowness"))
_ALL = 1e12
"""Sums over classes are not winsorised: what is in them has been judged."""


@dataclass(frozen=True)
class Law:
    """The coefficients.

    Attributes
    ----------
    typical : float
        I0, counts.
    x, y : tuple of two float
        px^2.
    angle : tuple of three float
        mrad^2, image^2, image^2.
    """

    typical: float
    x: tuple[float, ...]
    y: tuple[float, ...]
    angle: tuple[float, ...]

    @property
    def coefficients(self) -> tuple[Array, Array, Array]:
        """Those of each coordinate."""
        return np.array(self.x), np.array(self.y), np.array(self.angle)

    def variance(self, data: Observations) -> Array:
        """Give the variances (N, 3) mm^2, mm^2, rad^2 of observations."""
        models = _columns(data, self.typical)
        plain = [columns @ c for columns, c in zip(models, self.coefficients, strict=True)]
        return np.maximum(np.column_stack(plain), _floors(data))

    def described(self) -> dict[str, dict[str, float]]:
        """Name the coefficients, px^2, mrad^2 and image^2."""
        return {
            kind: dict(zip(names, map(float, values), strict=True))
            for kind, names, values in zip(("x", "y", "angle"), _NAMES, self.coefficients, strict=True)
        }

    def differs(self, other: Law) -> float:
        """Give the largest relative change of the variance of a typical reflection."""
        mine, theirs = ([float(c.sum()) for c in item.coefficients] for item in (self, other))
        return max(abs(a - b) / max(b, 1e-300) for a, b in zip(mine, theirs, strict=True))


@dataclass(frozen=True)
class Classes:
    """Sums over classes of reflections: of x, y and angle each (classes, 5).

    The columns are the number of reflections, the sum of their squared residuals, and those of up to three
    terms of the law.
    """

    sums: Array

    @classmethod
    def none(cls) -> Classes:
        """Give those of no reflections."""
        return cls(np.zeros((3, N_CLASSES, 5)))

    @classmethod
    def of(cls, residuals: Array, data: Observations, used: Mask, typical: float) -> Classes:
        """Sum over the used ones of residuals (N, 3)."""
        found = np.zeros((3, N_CLASSES, 5))
        models, units = _columns(data, typical), data.traits.unit
        relative = np.log2(_relative(data, typical))
        of_intensity = np.clip(relative + N_CLASSES / 2, 0, N_CLASSES - 1).astype(np.intp)
        of_zeta = 1 + np.clip(data.traits.zeta * (N_CLASSES - 1), 0, N_CLASSES - 2).astype(np.intp)
        numbers = (of_intensity, of_intensity, np.where(data.traits.still, 0, of_zeta))
        for k in range(3):
            number = numbers[k][used]
            scale = units[used, k] ** 2
            rows = [np.ones(len(number)), residuals[used, k] ** 2 / scale]
            rows += [column / scale for column in models[k][used].T]
            for place, values in enumerate(rows):
                found[k, :, place] = np.bincount(number, values, minlength=N_CLASSES)
        return cls(found)

    def plus(self, other: Classes) -> Classes:
        """Add those of other reflections."""
        return Classes(self.sums + other.sums)


def law_of_group(deviations: Array, data: Observations, typical: float) -> Law:
    """Fit the law to deviations (N, 3) from the middle of each crystal, outliers among them."""
    good = np.isfinite(deviations).all(axis=1)
    found = []
    models, units = _columns(data, typical), data.traits.unit
    for k in range(3):
        scale = units[good, k] ** 2
        squares = deviations[good, k] ** 2 / scale
        columns = models[k][good] / scale[:, None]
        start = np.where(columns.any(axis=0), robust_variance(squares), 0.0)
        start[1 if k < 2 else 2] = 0.0
        terms = Terms(_NAMES[k], columns, np.zeros(len(squares)))
        found.append(tuple(fit(squares, terms, start).tolist()) if len(squares) else tuple(start.tolist()))
    return Law(typical, *found)


def law_of_many(laws: Sequence[Law]) -> Law:
    """Give the median of what several groups say."""
    parts = [tuple(np.median(np.array(values), axis=0).tolist()) for values in (
        [law.x for law in laws], [law.y for law in laws], [law.angle for law in laws],
    )]  # fmt: skip
    return Law(float(np.median([law.typical for law in laws])), *parts)


def law_of_classes(classes: Classes, before: Law, share: float) -> Law:
    """Fit the law to sums over classes, beginning at the one before.

    Parameters
    ----------
    share : float
        Part of the sums of squares that parameters have left: of n residuals and m parameters 1 - m/n.
    """
    found = []
    for k, start in enumerate(before.coefficients):
        rows = classes.sums[k][classes.sums[k, :, 0] > 0.0]
        if not len(rows):
            found.append(tuple(start.tolist()))
            continue
        counts = rows[:, 0]
        terms = Terms(_NAMES[k], rows[:, 2 : 2 + len(start)] / counts[:, None], np.zeros(len(rows)))
        squares = rows[:, 1] / counts / share
        found.append(tuple(fit(squares, terms, start, counts, clip=_ALL, expected=1.0).tolist()))
    return Law(before.typical, *found)


def _relative(data: Observations, typical: float) -> Array:
    intensity = data.traits.intensity / typical
    return np.where(np.isfinite(intensity), np.maximum(intensity, _LEAST_INTENSITY), 1.0)


def _floors(data: Observations) -> Array:
    """Least variances, (N, 3) mm^2, mm^2, rad^2."""
    return np.asarray(data.traits.unit**2 * _LEAST_VARIANCE)


def _columns(data: Observations, typical: float) -> tuple[Array, Array, Array]:
    """Give the terms of the law for each reflection, (N, 2), (N, 2) and (N, 3) mm^2, mm^2, rad^2."""
    units, still = data.traits.unit**2, data.traits.still
    weakness = 1.0 / _relative(data, typical)
    slowness = 1.0 / np.maximum(data.traits.zeta, _LEAST_ZETA) ** 2 - 1.0
    image = np.where(still, 0.0, units[:, 2])
    plane = np.column_stack([np.ones_like(weakness), weakness])
    return (
        units[:, 0, None] * plane,
        units[:, 1, None] * plane,
        np.column_stack([np.where(still, units[:, 2], 0.0), image, image * slowness]),
    )

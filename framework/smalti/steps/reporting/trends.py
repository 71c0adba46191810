"""Residuals against angle and resolution, their histograms, and spots per image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.reporting.numbers import listed, mean_and_rms, significant
from smalti.steps.reporting.residuals import Residuals

__all__ = ["against_angle", "against_order", "against_resolution", "histograms", "per_image"]

Array = NDArray[np.float64]

MOST_BINS = 120
FEW_EXPERIMENTS = 10
NORMAL_IQR = 1.349
"""Interquartile range of the normal distribution, in standard deviations."""


def against_angle(residuals: Residuals) -> dict[str, Any]:
    """Mean and RMSD of X (um), Y (um) and phi (mdeg) in bins of the observed angle (deg); none of stills."""
    if residuals.third == "DeltaPsi":
        return {"angle_deg": [], "n": [], "mean": [], "rmsd": []}
    angle = residuals.angle[residuals.used]
    edges = _angle_edges(residuals, int(np.clip(len(angle) / 50, 1, MOST_BINS)))
    n = len(edges) - 1
    index = np.clip(np.searchsorted(edges, angle, side="right") - 1, 0, n - 1)
    counts, mean, rms = mean_and_rms(index, residuals.values[residuals.used], n)
    return {
        "angle_deg": listed((edges[:-1] + edges[1:]) / 2),
        "n": counts.tolist(),
        "mean": listed(mean),
        "rmsd": listed(rms),
    }


def against_order(residuals: Residuals, n_experiments: int) -> dict[str, Any]:
    """Mean and RMSD in bins of consecutive experiments, which drift shows in; none of a few experiments."""
    if n_experiments < FEW_EXPERIMENTS:
        return {"experiment": [], "n": [], "mean": [], "rmsd": []}
    n = min(n_experiments, MOST_BINS)
    use = residuals.used
    index = residuals.experiment[use] * n // n_experiments
    counts, mean, rms = mean_and_rms(index, residuals.values[use], n)
    return {
        "experiment": listed((np.arange(n) + 0.5) * n_experiments / n - 0.5, 6),
        "n": counts.tolist(),
        "mean": listed(mean),
        "rmsd": listed(rms),
    }


def _angle_edges(residuals: Residuals, wanted: int) -> Array:
    """Give the edges of about so many bins, deg.

    Bins of one sweep hold whole images: centroids gather at the middle of images, and bins that cut
    images would beat with them.
    """
    use = residuals.used
    angle = residuals.angle[use]
    low, high = float(angle.min()), float(angle.max())
    width = float(np.median(residuals.steps[use, 2])) / 1e3
    start = angle - residuals.image[use] * width
    if high <= low or not width > 0.0 or np.ptp(start) > 0.01 * width:
        return np.linspace(low, high if high > low else low + 1.0, wanted + 1)
    first, last = np.floor(residuals.image[use].min()), np.floor(residuals.image[use].max()) + 1
    per_bin = np.ceil((last - first) / wanted)
    edges = np.arange(first, last + per_bin, per_bin)
    return np.asarray(start[0] + width * edges)


def against_resolution(residuals: Residuals) -> dict[str, Any]:
    """Mean and RMSD in bins of equal count, by 1/d^2 (1/Angstrom^2)."""
    d = residuals.d[residuals.used]
    known = np.isfinite(d)
    values, s2 = residuals.values[residuals.used][known], 1.0 / d[known] ** 2
    if s2.size == 0:
        return {"d": [], "n": [], "mean": [], "rmsd": []}
    n = int(np.clip(s2.size / 30, 1, 25))
    order = np.argsort(s2, kind="stable")
    index = np.empty(s2.size, dtype=np.intp)
    index[order] = np.arange(s2.size) * n // s2.size
    counts, mean, rms = mean_and_rms(index, values, n)
    middle = np.bincount(index, s2, minlength=n) / counts
    return {
        "d": listed(1.0 / np.sqrt(middle)),
        "n": counts.tolist(),
        "mean": listed(mean),
        "rmsd": listed(rms),
    }


def histograms(residuals: Residuals, before: Residuals | None) -> list[dict[str, Any]]:
    """Histograms of the three residuals: used, rejected, and used before, in the same bins."""
    found = []
    for k in range(3):
        used = residuals.values[residuals.used, k]
        q1, q2, q3 = (float(q) for q in np.quantile(used, (0.25, 0.5, 0.75)))
        sigma = (q3 - q1) / NORMAL_IQR
        half = max(5.0 * sigma, float(np.quantile(np.abs(used - q2), 0.995)), 1e-6)
        edges = np.linspace(q2 - half, q2 + half, 62)

        def count(values: Array, edges: Array = edges) -> list[int]:
            return [int(n) for n in np.histogram(values[np.isfinite(values)], edges)[0]]

        found.append(
            {
                "edges": listed(edges, 5),
                "used": count(used),
                "rejected": count(residuals.values[residuals.rejected, k]),
                "before": count(before.values[before.used, k]) if before is not None else None,
                "median": significant(q2),
                "robust_sigma": significant(sigma),
                "mean": significant(float(used.mean())),
                "rmsd": significant(float(np.sqrt((used**2).mean()))),
            }
        )
    return found


def per_image(residuals: Residuals) -> dict[str, Any]:
    """Spots per image: used, rejected, other indexed, not indexed; neighbours summed when images are many.

    Stills are told apart by their experiments; spots of none are counted with the first.
    """
    stills = residuals.third == "DeltaPsi"
    image = np.maximum(residuals.experiment, 0) if stills else np.floor(residuals.image).astype(np.intp)
    first, last = int(image.min()), int(image.max())
    step = int(np.ceil((last - first + 1) / (2 * MOST_BINS)))
    index = (image - first) // step
    n = int(index.max()) + 1
    kinds = {
        "used": residuals.used,
        "rejected": residuals.rejected,
        "other": residuals.indexed & ~residuals.used & ~residuals.rejected,
        "unindexed": ~residuals.indexed,
    }
    return {
        "first": first if stills else first + 1,
        "of": "experiment" if stills else "image",
        "images_per_bin": step,
        **{name: np.bincount(index[rows], minlength=n).tolist() for name, rows in kinds.items()},
    }

"""Residuals against angle and resolution, their histograms, and spots per image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from smalti.steps.reporting.numbers import listed, mean_and_rms, significant
from smalti.steps.reporting.residuals import Residuals

__all__ = [
    "against_angle",
    "against_intensity",
    "against_order",
    "against_resolution",
    "histograms",
    "per_image",
    "quantiles",
]

Array = NDArray[np.float64]

MOST_BINS = 120
FEW_EXPERIMENTS = 10
FEW_FOR_QUANTILES = 50
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
    middle, found = _in_equal_bins(residuals, 1.0 / residuals.d**2)
    return {"d": listed(1.0 / np.sqrt(middle)), **found}


def against_intensity(residuals: Residuals) -> dict[str, Any]:
    """Mean and RMSD in bins of equal count, by the logarithm (base 10) of the intensity in counts."""
    bright = np.where(residuals.intensity > 0.0, residuals.intensity, np.nan)
    middle, found = _in_equal_bins(residuals, np.log10(bright))
    return {"log10_counts": listed(middle), **found}


def _in_equal_bins(residuals: Residuals, size: Array) -> tuple[Array, dict[str, Any]]:
    """Give the mean of what reflections are sorted by (N,), and what they are, in bins of equal count."""
    mine = size[residuals.used]
    known = np.isfinite(mine)
    values, x = residuals.values[residuals.used][known], mine[known]
    if x.size == 0:
        return x, {"n": [], "mean": [], "rmsd": []}
    n = int(np.clip(x.size / 30, 1, 25))
    order = np.argsort(x, kind="stable")
    index = np.empty(x.size, dtype=np.intp)
    index[order] = np.arange(x.size) * n // x.size
    counts, mean, rms = mean_and_rms(index, values, n)
    middle = np.bincount(index, x, minlength=n) / counts
    return middle, {"n": counts.tolist(), "mean": listed(mean), "rmsd": listed(rms)}


def quantiles(residuals: Residuals) -> dict[str, Any]:
    """Quantiles of the three residuals, about the median in robust sigmas, beside those of a normal law."""
    values = residuals.values[residuals.used]
    if len(values) < FEW_FOR_QUANTILES:
        return {"normal": [], "x": [], "y": [], "third": []}
    far = -float(ndtri(0.5 / len(values)))
    normal = np.linspace(-far, far, 61)
    at = np.quantile(values, np.r_[0.25, 0.5, 0.75, ndtr(normal)], axis=0)
    sigma = np.maximum((at[2] - at[0]) / NORMAL_IQR, 1e-9)
    scaled = (at[3:] - at[1]) / sigma
    return {
        "normal": listed(normal),
        **{key: listed(scaled[:, k]) for k, key in enumerate(("x", "y", "third"))},
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

"""Rows about the noise: how well centroids are known, and how well that is itself known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, panel_centres
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.steps.refining.solving.rounds import Fit
from smalti.steps.refining.weighing.scatter import chi_squared
from smalti.text import table

__all__ = ["CUT", "class_rows", "classes_table", "noise_row"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Row = dict[str, Any]

_INTENSITIES = ("weakest fifth", "weak fifth", "middle fifth", "strong fifth", "strongest fifth")
_RINGS = ("innermost quarter", "inner quarter", "outer quarter", "outermost quarter")
_ZETAS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
CUT = "cut by an end of the scan"
"""Class of spots whose variance is that of what was not seen of them: the most that they may be off by."""

_LEAST = 20
"""Of fewer reflections nothing is stated."""


def noise_row(layout: Layout, data: Observations, fit: Fit) -> Row:
    """Give the standard deviations of centroids, what they come from and whether they are right."""
    noise, used = fit.rounds[-1].noise, fit.working
    sigma = np.sqrt(noise.variance[used]) / data.traits.unit[used]
    quartiles = np.percentile(sigma, [25, 50, 75], axis=0)
    return {
        "sigma_x_px": [float(value) for value in quartiles[:, 0]],
        "sigma_y_px": [float(value) for value in quartiles[:, 1]],
        "sigma_phi_images": [float(value) for value in quartiles[:, 2]],
        "n_cut_by_the_scan": int((data.traits.unseen[used] > 0.0).sum()),
        "terms": {kind: dict(coefficients) for kind, coefficients in noise.terms.items()},
        "panels": [
            dict(zip(("panel", "factor_x", "factor_y", "factor_phi"), (k, *map(float, row)), strict=True))
            for k, row in enumerate(noise.panels)
        ],
        "stills": _of_stills(layout, noise.crystals),
        "classes": class_rows(layout, data, fit),
    }


def _of_stills(layout: Layout, factors: Array) -> list[Row]:
    """What the variances of each still that took part are multiplied with."""
    names = ("experiment", "factor_x", "factor_y", "factor_delta_psi")
    used = (e for e in np.flatnonzero(layout.stills).tolist() if e < len(factors))
    return [dict(zip(names, (e, *map(float, factors[e])), strict=True)) for e in used]


def class_rows(layout: Layout, data: Observations, fit: Fit) -> list[Row]:
    """State reduced chi-squared of x, y and phi in classes of reflections.

    Of those that were fitted, with the weights of the fit; a residual counts for 1 less its leverage, and
    the sum is compared with that of normal deviates that have been before the same judge: 1 is what
    variances that are right give, for any rejector.
    """
    use = fit.working
    residuals = np.where(use[:, None], fit.residuals, np.nan) / np.sqrt(1.0 - fit.noise.leverage)
    variance, weights = fit.rounds[-1].noise.variance, np.where(use, fit.judged, 0.0)
    rows = []
    for kind, name, mine in _classes(layout, data, use):
        count = int(mine.sum())
        if count < _LEAST:
            continue
        x, y, phi = chi_squared(residuals[mine], variance[mine], weights[mine], fit.noise.expected.square)
        rows.append(
            {
                "by": kind,
                "class": name,
                "n": count,
                "reduced_chi2_x": float(x),
                "reduced_chi2_y": float(y),
                "reduced_chi2_phi": float(phi),
            }
        )
    return rows


def _classes(layout: Layout, data: Observations, use: Mask) -> Iterator[tuple[str, str, Mask]]:
    """Name the classes and tell which of the used reflections (N,) are in each."""
    yield "all", "all", use
    traits = data.traits
    known = use & np.isfinite(traits.intensity)
    if known.any():
        limits = np.quantile(traits.intensity[known], np.linspace(0.0, 1.0, len(_INTENSITIES) + 1)[1:-1])
        place = np.searchsorted(limits, traits.intensity)
        for k, name in enumerate(_INTENSITIES):
            yield "intensity", name, known & (place == k)
    ring = _rings(layout, data, use)[data.spots.panel]
    if ring.max(initial=0):
        for k, name in enumerate(_RINGS):
            yield "panel", name, use & (ring == k)
    turning = use & ~traits.still
    if turning.any() and not turning.sum() == use.sum():
        yield "kind", "stills", use & traits.still
        yield "kind", "sweeps", turning
    place = np.clip(np.searchsorted(_ZETAS, traits.zeta, side="right") - 1, 0, len(_ZETAS) - 2)
    for k, (low, high) in enumerate(zip(_ZETAS[:-1], _ZETAS[1:], strict=True)):
        yield "zeta", f"{low:g} to {high:g}", turning & (place == k)
    yield "spot", "whole, on several images", turning & (traits.unseen == 0.0) & ~traits.single
    yield "spot", "whole, on one image", turning & (traits.unseen == 0.0) & traits.single
    yield "spot", CUT, turning & (traits.unseen > 0.0)


def _rings(layout: Layout, data: Observations, use: Mask) -> NDArray[np.intp]:
    """Divide panels into quarters of the reflections by the angle of their centres from the beam, (P,)."""
    angle = np.zeros(layout.n_panels)
    told: set[int] = set()
    for experiment, where in zip(layout.experiments, layout.uses, strict=True):
        if where["detector"] in told:
            continue
        told.add(where["detector"])
        arrays = PanelArrays.of(experiment.detector)
        centre = panel_centres(arrays.d, arrays.image_size * arrays.pixel_size)
        first = layout.panel_offset[where["detector"]]
        cosine = centre @ experiment.beam.unit_s0 / np.linalg.norm(centre, axis=1)
        angle[first : first + len(centre)] = np.arccos(np.clip(cosine, -1.0, 1.0))
    order = np.argsort(angle, kind="stable")
    count = np.bincount(data.spots.panel[use], minlength=len(angle))[order]
    middle = (np.cumsum(count) - 0.5 * count) / max(count.sum(), 1)
    ring = np.empty(len(angle), dtype=np.intp)
    ring[order] = np.minimum((len(_RINGS) * middle).astype(np.intp), len(_RINGS) - 1)
    return ring


def classes_table(noise: Mapping[str, Any], third: str) -> str:
    """Set the classes as a table."""
    rows = [
        [row["by"], row["class"], row["n"], *(f"{row[f'reduced_chi2_{k}']:.2f}" for k in ("x", "y", "phi"))]
        for row in noise["classes"]
    ]
    return table(["By", "Class", "Nref", "X", "Y", third], rows, title="Reduced chi-squared by class:")

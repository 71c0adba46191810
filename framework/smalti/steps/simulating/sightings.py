"""Tables of spots as a spot finder and an indexer would leave them, made without images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, to_mm
from smalti.models import Experiment
from smalti.steps.simulating.backgrounds import Scene
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.spots import Exposures
from smalti.steps.simulating.spurious import Spurious
from smalti.tables import Flag, Reflections

__all__ = ["across_variance", "binning_variance", "indexed_table", "seen_above", "strong_table"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# A finder sees a spot that stands out of the background's noise this many times.
_SIGNIFICANCE = 6.0
# No centroid is better than this, px: what is left of pixels and of the shape of spots.
_FLOOR = 0.02


def indexed_table(
    nominal: Experiment, scene: Scene, table: Reflections, exposures: Exposures, options: SimulateOptions
) -> Reflections:
    """Measure predicted reflections and keep their indices; a few are displaced grossly.

    Pixels are those of the true detector; millimetres are worked out with the *nominal* one, as a
    program that does not know better would.

    Parameters
    ----------
    nominal : Experiment
        What the headers say.
    scene : Scene
        Background and shadow.
    table, exposures : Reflections, Exposures
        The true reflections, and how they spread over images.
    """
    rng = np.random.default_rng([options.seed, 4])
    seen, columns = _measure(nominal, scene, table, exposures, options, rng)
    position = np.array(columns["xyzobs.px.value"])
    gross = rng.random(len(seen)) < options.outliers
    position[gross] += rng.uniform(-1.0, 1.0, (int(gross.sum()), 3)) * (10.0, 10.0, 5.0)
    columns["xyzobs.px.value"] = position
    columns["miller_index"] = table["miller_index"][seen]
    columns["entering"] = table["entering"][seen]
    columns["s1"] = table["s1"][seen]
    columns["d"] = table["d"][seen]
    flags = np.full(len(seen), int(Flag.STRONG | Flag.INDEXED), dtype=np.uint64)
    return _finish(nominal, columns, flags, np.zeros(len(seen), dtype=np.int32), options)


def strong_table(
    nominal: Experiment,
    scene: Scene,
    table: Reflections,
    exposures: Exposures,
    spurious: Spurious,
    options: SimulateOptions,
) -> Reflections:
    """Measure predicted reflections and forget their indices; spurious spots are among them."""
    rng = np.random.default_rng([options.seed, 4])
    seen, columns = _measure(nominal, scene, table, exposures, options, rng)
    joined = {
        name: np.concatenate([columns[name], extra])
        for name, extra in _spurious_columns(spurious, options).items()
    }
    number = len(joined["panel"])
    joined["miller_index"] = np.zeros((number, 3), dtype=np.int32)
    flags = np.full(number, int(Flag.STRONG), dtype=np.uint64)
    return _finish(nominal, joined, flags, np.full(number, -1, dtype=np.int32), options)


def _measure(
    nominal: Experiment,
    scene: Scene,
    table: Reflections,
    exposures: Exposures,
    options: SimulateOptions,
    rng: np.random.Generator,
) -> tuple[Index, dict[str, NDArray[np.generic]]]:
    """Count photons image by image; give the rows that are seen, and their centroids.

    The variance of a centroid is that of the spot's shape over the number of photons; the background
    adds its own noise, and along phi so does the width of the images.
    """
    n = table.n_rows
    photons = rng.poisson(exposures.counts).astype(float)
    middle = exposures.image + 0.5
    total = np.asarray(np.bincount(exposures.spot, photons, n), dtype=float)
    spread = np.bincount(exposures.spot, photons > 0, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.bincount(exposures.spot, photons * middle, n) / total
        second = np.bincount(exposures.spot, photons * (middle - z[exposures.spot]) ** 2, n) / total
    panel = table["panel"].astype(np.intp)
    under, clear = _surroundings(nominal, scene, table["xyzcal.px"], panel)
    bright, noise = seen_above(total, under * spread, options)
    seen = np.flatnonzero(clear & bright)
    if seen.size == 0:
        raise DataError(
            "No spot stands out of the background.",
            f"The strongest has {total.max():.0f} photons.",
            "Raise counts or lower background.",
        )
    scale = noise[seen] / total[seen] ** 2
    across = across_variance(total[seen], noise[seen], options)
    rocking = options.mosaicity / options.width / np.maximum(np.abs(table["zeta"][seen]), 1e-3)
    along = second[seen] * scale + binning_variance(rocking)
    px = table["xyzcal.px"][seen, :2] + rng.normal(size=(seen.size, 2)) * np.sqrt(across)[:, None]
    columns: dict[str, NDArray[np.generic]] = {
        "panel": panel[seen].astype(np.uint64),
        "xyzobs.px.value": np.column_stack([px, z[seen]]),
        "xyzobs.px.variance": np.column_stack([across, across, along]),
        "intensity.sum.value": total[seen],
        "intensity.sum.variance": noise[seen],
    }
    return seen, columns


def seen_above(
    photons: Array, background: Array, options: SimulateOptions
) -> tuple[NDArray[np.bool_], Array]:
    """Tell which spots (N,) stand out of the background (counts per pixel), and give their variances."""
    noise = photons + background * 4.0 * np.pi * options.spot_sigma**2
    return photons > _SIGNIFICANCE * np.sqrt(np.maximum(noise, 1.0)), noise


def across_variance(photons: Array, noise: Array, options: SimulateOptions) -> Array:
    """Variance of centroids on the detector along each axis, px^2, by photons and their variance (N,)."""
    return np.asarray(options.spot_sigma**2 * noise / photons**2 + _FLOOR**2)


def binning_variance(sigma: Array) -> Array:
    """Variance of the centroid of a gaussian that was counted in bins of width 1, at a random place.

    The centroid is off by sum_k (-1)^k sin(2 pi k z) exp(-2 pi^2 k^2 sigma^2) / (pi k) (Poisson's summation
    formula): 1/12 for a needle, nothing once sigma reaches a bin.
    """
    k = np.arange(1, 41)
    return np.asarray(
        (np.exp(-((2.0 * np.pi * k * sigma[:, None]) ** 2)) / (np.pi * k) ** 2).sum(axis=1) / 2.0
    )


def _surroundings(
    nominal: Experiment, scene: Scene, px: Array, panel: Index
) -> tuple[Array, NDArray[np.bool_]]:
    """Background under each spot, and whether nothing hides it."""
    window = np.array([item.window for item in nominal.detector.panels])
    x, y = (np.floor(px[:, :2]).astype(np.intp) + window[panel]).T
    x, y = np.clip(x, 0, scene.mean.shape[1] - 1), np.clip(y, 0, scene.mean.shape[0] - 1)
    mean = scene.mean[y, x].astype(float)
    return mean, (mean >= 0.0) & (scene.transmission[y, x] == 1.0)


def _spurious_columns(spurious: Spurious, options: SimulateOptions) -> dict[str, NDArray[np.generic]]:
    counts = np.maximum(spurious.counts, 20.0)
    across = options.spot_sigma**2 / counts + _FLOOR**2
    return {
        "panel": spurious.panel.astype(np.uint64),
        "xyzobs.px.value": np.column_stack([spurious.px, spurious.image + 0.5]),
        "xyzobs.px.variance": np.column_stack([across, across, 1.0 / 12.0 / counts]),
        "intensity.sum.value": counts,
        "intensity.sum.variance": counts,
    }


def _finish(
    nominal: Experiment,
    columns: dict[str, NDArray[np.generic]],
    flags: NDArray[np.uint64],
    id_: NDArray[np.int32],
    options: SimulateOptions,
) -> Reflections:
    """Add millimetres, boxes and housekeeping to measured pixels; order by image."""
    if nominal.scan is None:
        raise ValueError("a scan is needed")
    arrays = PanelArrays.of(nominal.detector)
    panel = columns["panel"].astype(np.intp)
    px = columns["xyzobs.px.value"].astype(float)
    variance = columns["xyzobs.px.variance"].astype(float)
    size, width = arrays.pixel_size[panel], abs(nominal.scan.oscillation[1])
    mm = np.column_stack([to_mm(px[:, :2], panel, arrays), nominal.scan.angle(px[:, 2])])
    sigma_z = np.sqrt(1.0 / 12.0 + (options.mosaicity / options.width) ** 2)
    half = np.array([3.0 * options.spot_sigma, 3.0 * options.spot_sigma, 2.0 * sigma_z])
    bbox = np.stack([np.floor(px - half), np.ceil(px + half)], axis=2).reshape(-1, 6).astype(np.int32)
    table = Reflections(
        {
            "id": id_,
            "imageset_id": np.zeros(len(id_), dtype=np.int32),
            "flags": flags,
            **columns,
            "bbox": bbox,
            "xyzobs.mm.value": mm,
            "xyzobs.mm.variance": variance * np.column_stack([size, np.full(len(size), width)]) ** 2,
        },
        {0: nominal.identifier} if np.all(id_ == 0) else {},
    )
    return table.take(np.argsort(px[:, 2], kind="stable"))

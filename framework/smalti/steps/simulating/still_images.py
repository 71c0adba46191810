"""Images of stills: all that each crystal shows, drawn on frames of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, find_panels, to_px
from smalti.progress import Progress
from smalti.steps.simulating.backgrounds import make_scene
from smalti.steps.simulating.rendering import spot_list, write_images
from smalti.steps.simulating.spots import Exposures, polarisation
from smalti.steps.simulating.spurious import make_spurious
from smalti.steps.simulating.still_tables import Recipe, drawn_crystals
from smalti.steps.simulating.stills import shown
from smalti.storage import write_reflections
from smalti.tables import Flag, Reflections
from smalti.units import radians

__all__ = ["true_spots", "write_still_images"]

Array = NDArray[np.float64]


def write_still_images(
    recipe: Recipe,
    directory: Path,
    progress: Progress,
    jobs: int,
    record: Mapping[str, Any] | None,
) -> tuple[tuple[Path, ...], Path, Array, int]:
    """Draw an image of every crystal, and write where its spots truly are.

    Returns
    -------
    images : tuple of Path
    truth : Path
        The table of the true spots.
    A : (K, 3, 3) 1/Angstrom
        The crystals.
    number : int
        Of spots.
    """
    options = recipe.options
    rng, true, _ = drawn_crystals(recipe, 0, options.stills)
    table = true_spots(recipe, true, rng)
    still = table["id"].astype(np.intp)
    exposures = Exposures(np.arange(table.n_rows), still, table["intensity.sum.value"])
    as_images = replace(options, n_images=options.stills)
    spurious = make_spurious(recipe.truth, round(options.outliers * table.n_rows), as_images)
    spots = spot_list(recipe.truth, table, exposures, spurious)
    scene = make_scene(recipe.truth, options)
    images = write_images(recipe.nominal, scene, spots, as_images, directory, progress, jobs)
    path = directory / "truth.refl"
    write_reflections(path, table, record)
    return images, path, true, table.n_rows


def true_spots(recipe: Recipe, A: Array, rng: np.random.Generator) -> Reflections:
    """Draw all reflections that crystals (K, 3, 3) show on the detector, with their mean photons."""
    options, beam = recipe.options, recipe.truth.beam
    found = shown(A, beam.s0, recipe.structure.d_min, radians(options.mosaicity), options.bandwidth, rng)
    arrays = PanelArrays.of(recipe.truth.detector)
    panel, mm = find_panels(found.s1, arrays)
    counts = recipe.structure.photons(found.h) * polarisation(found.s1, beam)
    kept = np.flatnonzero((panel >= 0) & (counts > 0.0))
    found, panel, mm = found.where(kept), panel[kept], mm[kept]
    none = np.zeros(len(kept))
    return Reflections(
        {
            "id": found.crystal.astype(np.int32),
            "miller_index": found.h,
            "panel": panel.astype(np.uint64),
            "flags": np.full(len(kept), int(Flag.PREDICTED), dtype=np.uint64),
            "s1": found.s1,
            "xyzcal.px": np.column_stack([to_px(mm, panel, arrays), none + 0.5]),
            "xyzcal.mm": np.column_stack([mm, none]),
            "delpsical.rad": found.delta_psi,
            "intensity.sum.value": counts[kept],
        }
    )

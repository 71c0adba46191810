"""Tables of the spots of many stills, as a spot finder and an indexer would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, find_panels, to_mm, to_px, wave_vectors
from smalti.models import Crystal, Experiment
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.random_crystals import random_rotations, spread_cells, turned_a_little
from smalti.steps.simulating.sightings import across_variance, seen_above
from smalti.steps.simulating.spots import polarisation
from smalti.steps.simulating.stills import Shown, shown
from smalti.steps.simulating.structure import Structure
from smalti.tables import Flag, Reflections
from smalti.units import radians

__all__ = ["Lot", "Recipe", "drawn_crystals", "make_lot"]

Array = NDArray[np.float64]
Columns = dict[str, NDArray[np.generic]]

# Crystals that are worked on at a time: arrays of some 10^5 numbers stay in the processor's cache.
_AT_ONCE = 64


@dataclass(frozen=True)
class Recipe:
    """What all stills have in common.

    Attributes
    ----------
    truth, nominal : Experiment
        The instrument as it is, and as the headers state it; no crystals.
    crystal : Crystal
        With the mean cell.
    structure : Structure
    options : SimulateOptions
    """

    truth: Experiment
    nominal: Experiment
    crystal: Crystal
    structure: Structure
    options: SimulateOptions


@dataclass(frozen=True, slots=True)
class Lot:
    """Some of the stills: those of one file.

    Attributes
    ----------
    true, given : (K, 3, 3) 1/Angstrom
        A of each crystal as it is, and as an indexer would give it: turned a little, with the mean cell.
    table : Reflections
        ``id`` counts the crystals of the lot.
    """

    true: Array
    given: Array
    table: Reflections


def make_lot(recipe: Recipe, number: int, size: int) -> Lot:
    """Make the stills of one file, whose number (from 0) starts the random numbers."""
    rng, true, given = drawn_crystals(recipe, number, size)
    parts = [_spots(recipe, true[k : k + _AT_ONCE], k, rng) for k in range(0, size, _AT_ONCE)]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Lot(true, given, Reflections(columns | _housekeeping(columns, recipe.options)))


def drawn_crystals(recipe: Recipe, number: int, size: int) -> tuple[np.random.Generator, Array, Array]:
    """Draw the crystals of one file: the random numbers that go on, and A as it is and as it is given."""
    options = recipe.options
    rng = np.random.default_rng([options.seed, 5, number])
    U = random_rotations(rng, size)
    true = U @ spread_cells(rng, recipe.crystal, size, options.cell_spread)
    given = turned_a_little(rng, U, radians(options.orientation_error)) @ recipe.crystal.B
    return rng, true, given


def _spots(recipe: Recipe, A: Array, first: int, rng: np.random.Generator) -> Columns:
    """Draw the spots of some crystals, the first of which has the number ``first``."""
    options, beam = recipe.options, recipe.truth.beam
    d_min, mosaicity = recipe.structure.d_min, radians(options.mosaicity)
    found = shown(A, beam.s0, d_min, mosaicity, options.bandwidth, rng)
    photons = rng.poisson(recipe.structure.photons(found.h) * polarisation(found.s1, beam)).astype(float)
    bright, noise = seen_above(photons, np.full(len(photons), options.background), options)
    found, photons, noise = found.where(bright), photons[bright], noise[bright]
    arrays = PanelArrays.of(recipe.truth.detector)
    panel, mm = find_panels(found.s1, arrays)
    kept = _chosen(found, panel >= 0, options.spots_per_still, rng)
    found, panel, photons, noise = found.where(kept), panel[kept], photons[kept], noise[kept]
    variance = across_variance(photons, noise, options)
    px = to_px(mm[kept], panel, arrays) + rng.normal(size=(len(panel), 2)) * np.sqrt(variance)[:, None]
    wrong = rng.random(len(panel)) < options.outliers
    px[wrong] += rng.uniform(-10.0, 10.0, (int(wrong.sum()), 2))
    return {
        "id": (found.crystal + first).astype(np.int32),
        "miller_index": _mislabelled(found.h, options.mislabelled, rng),
        "panel": panel.astype(np.uint64),
        "intensity.sum.value": photons,
        "intensity.sum.variance": noise,
        **_centroids(recipe.nominal, panel, px, variance),
    }


def _chosen(found: Shown, hit: NDArray[np.bool_], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw at most so many (0: all) of each crystal from what hits the detector; keep the order."""
    rows = np.flatnonzero(hit)
    if most == 0:
        return rows
    order = rows[np.lexsort((rng.random(len(rows)), found.crystal[rows]))]
    crystal = found.crystal[order]
    begin = np.searchsorted(crystal, crystal)
    return np.sort(order[np.arange(len(order)) - begin < most])


def _mislabelled(h: NDArray[np.int32], fraction: float, rng: np.random.Generator) -> NDArray[np.int32]:
    """Move an index of a fraction of reflections (N, 3) by one."""
    out = h.copy()
    wrong = np.flatnonzero(rng.random(len(h)) < fraction)
    out[wrong, rng.integers(3, size=len(wrong))] += rng.choice(np.array([-1, 1], dtype=np.int32), len(wrong))
    return out


def _centroids(nominal: Experiment, panel: NDArray[np.intp], px: Array, variance: Array) -> Columns:
    """Positions (N, 2) px, with millimetres and rays as one has them who believes the headers."""
    arrays = PanelArrays.of(nominal.detector)
    mm = to_mm(px, panel, arrays)
    size = arrays.pixel_size[panel]
    still = np.zeros(len(px))
    # A still covers no angle: the third number is the middle of its only image, and says nothing.
    image, known = still + 0.5, np.full(len(px), 1.0 / 12.0)
    across = np.column_stack([variance, variance])
    return {
        "xyzobs.px.value": np.column_stack([px, image]),
        "xyzobs.px.variance": np.column_stack([across, known]),
        "xyzobs.mm.value": np.column_stack([mm, still]),
        "xyzobs.mm.variance": np.column_stack([across * size**2, known]),
        "s1": wave_vectors(mm, panel, arrays, nominal.beam.wavelength),
    }


def _housekeeping(columns: Mapping[str, NDArray[np.generic]], options: SimulateOptions) -> Columns:
    """Flags, and what tells spots of no crystal."""
    number = len(columns["id"])
    if options.output == "indexed":
        flags = np.full(number, int(Flag.STRONG | Flag.INDEXED), dtype=np.uint64)
        return {"imageset_id": np.asarray(columns["id"]), "flags": flags}
    return {
        "imageset_id": np.asarray(columns["id"]),
        "id": np.full(number, -1, dtype=np.int32),
        "miller_index": np.zeros((number, 3), dtype=np.int32),
        "flags": np.full(number, int(Flag.STRONG), dtype=np.uint64),
    }

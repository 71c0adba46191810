"""The step for stills: many crystals in files of so many, and the truth beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Crystal, Experiment, Experiments
from smalti.progress import Progress, silent
from smalti.steps.executing import ordered
from smalti.steps.simulating.crystals import make_crystal
from smalti.steps.simulating.instrument import nominal, true
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.preparing import prepared
from smalti.steps.simulating.spots import resolution_limit
from smalti.steps.simulating.still_images import write_still_images
from smalti.steps.simulating.still_tables import Lot, Recipe, make_lot
from smalti.steps.simulating.structure import Structure
from smalti.storage import write_experiments, write_json, write_reflections
from smalti.text import plural

__all__ = ["SimulatedStills", "experiments_of", "make_recipe", "simulate_stills"]


@dataclass(frozen=True, slots=True)
class SimulatedStills:
    """Files of simulated stills.

    Attributes
    ----------
    stills, reflections, panels : int
    tables, truth_files, images : tuple of Path
    """

    stills: int
    reflections: int
    panels: int
    tables: tuple[Path, ...]
    truth_files: tuple[Path, ...]
    images: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give the numbers, JSON-able."""
        return {
            "stills": self.stills,
            "reflections": self.reflections,
            "panels": self.panels,
            "images": len(self.images),
            "tables": [str(path) for path in self.tables],
            "truth": [str(path) for path in self.truth_files],
        }

    def text(self) -> str:
        """Say what was made and where it lies."""
        return "\n".join(
            (
                f"{plural(self.stills, 'still')} with {plural(self.reflections, 'reflection')} on "
                f"{plural(self.panels, 'panel')}.",
                self._made(),
                f"Truth: {self.truth_files[0]} ... {self.truth_files[-1].name}",
            )
        )

    def _made(self) -> str:
        if self.images:
            return f"{plural(len(self.images), 'image')}: {self.images[0]} ... {self.images[-1].name}"
        files, first = len(self.tables) // 2, f"{self.tables[0]}, {self.tables[1].name}"
        return f"Tables: {first}" if files == 1 else f"Tables: {files:,} pairs, the first {first}"


def simulate_stills(
    options: SimulateOptions,
    directory: Path,
    progress: Progress = silent,
    jobs: int = 0,
    record: Mapping[str, Any] | None = None,
) -> SimulatedStills:
    """Make stills with known truth, file by file: memory does not grow with their number.

    Writes ``indexed.expt``, ``indexed.refl`` (or ``strong``) and ``truth.expt``; where there are several
    files they end in numbers. Images come with ``truth.refl``; the spots of all are in memory together.
    ``truth.json`` says the options.
    """
    options = prepared(options, directory)
    recipe = make_recipe(options)
    if options.output == "images":
        return _with_images(recipe, directory, progress, jobs, record)
    files = -(-options.stills // options.files_of)

    def make(number: int) -> tuple[int, tuple[Path, Path, Path]]:
        size = min(options.files_of, options.stills - number * options.files_of)
        lot = make_lot(recipe, number, size)
        ending = f"_{number:05d}" if files > 1 else ""
        return lot.table.n_rows, _write(recipe, lot, number, directory, ending, record)

    rows = 0
    tables: list[Path] = []
    truths: list[Path] = []
    for number, (n_rows, paths) in enumerate(ordered(make, range(files), jobs), start=1):
        rows += n_rows
        tables += paths[:2]
        truths.append(paths[2])
        progress("simulating stills", min(number * options.files_of, options.stills), options.stills)
    truths.append(_describe(directory, options, rows, record))
    return SimulatedStills(options.stills, rows, len(recipe.truth.detector), tuple(tables), tuple(truths))


def _with_images(
    recipe: Recipe, directory: Path, progress: Progress, jobs: int, record: Mapping[str, Any] | None
) -> SimulatedStills:
    options = recipe.options
    images, spots, A, rows = write_still_images(recipe, directory, progress, jobs, record)
    truth = directory / "truth.expt"
    group, name = recipe.crystal.space_group, recipe.truth.identifier
    write_experiments(truth, experiments_of(recipe.truth, A, group, name, options.stills), record)
    truths = (truth, spots, _describe(directory, options, rows, record))
    return SimulatedStills(options.stills, rows, len(recipe.truth.detector), (), truths, images)


def _describe(directory: Path, options: SimulateOptions, rows: int, record: Mapping[str, Any] | None) -> Path:
    path = directory / "truth.json"
    history = [record] if record else []
    write_json(path, {"options": dataclasses.asdict(options), "reflections": rows, "history": history})
    return path


def make_recipe(options: SimulateOptions) -> Recipe:
    """Work out what all stills have in common."""
    truth, crystal = true(options), make_crystal(options)
    d_min = max(resolution_limit(truth), options.d_min)
    return Recipe(truth, nominal(options), crystal, Structure.of(crystal, d_min, options), options)


def _write(
    recipe: Recipe, lot: Lot, number: int, directory: Path, ending: str, record: Mapping[str, Any] | None
) -> tuple[Path, Path, Path]:
    stem = recipe.options.output
    paths = (
        directory / f"{stem}{ending}.expt",
        directory / f"{stem}{ending}.refl",
        directory / f"truth{ending}.expt",
    )
    name = f"{recipe.nominal.identifier}-{number:05d}"
    found = None if recipe.options.output == "strong" else lot.given
    group = recipe.crystal.space_group
    given = experiments_of(recipe.nominal, found, group, name, len(lot.given))
    write_experiments(paths[0], given, record)
    identifiers = {} if found is None else {k: item.identifier for k, item in enumerate(given)}
    write_reflections(paths[1], lot.table.with_columns(identifiers=identifiers), record)
    write_experiments(paths[2], experiments_of(recipe.truth, lot.true, group, name, len(lot.true)), record)
    return paths


def experiments_of(
    instrument: Experiment, A: NDArray[np.float64] | None, space_group: str, name: str, number: int
) -> Experiments:
    """List the stills of a file: one detector and beam, a crystal each (none before indexing)."""
    crystals: list[Crystal | None] = [None] * number
    if A is not None:
        crystals = [Crystal.from_A(item, space_group) for item in A]
    return Experiments(
        tuple(
            replace(instrument, crystal=crystal, identifier=f"{name}-{k:05d}")
            for k, crystal in enumerate(crystals)
        )
    )

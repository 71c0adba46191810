"""The step: a data set whose truth is known, images or tables of spots, and the truth beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smalti.errors import UsageError
from smalti.models import Experiment, Experiments
from smalti.progress import Progress, silent
from smalti.steps.simulating.backgrounds import make_scene
from smalti.steps.simulating.crystals import make_crystal
from smalti.steps.simulating.instrument import nominal, true
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.preparing import prepared
from smalti.steps.simulating.rendering import image_set, spot_list, write_images
from smalti.steps.simulating.sightings import indexed_table, strong_table
from smalti.steps.simulating.spots import expose, predict_spots
from smalti.steps.simulating.spurious import make_spurious
from smalti.steps.simulating.truth import describe_truth, write_truth
from smalti.storage import write_experiments, write_reflections
from smalti.tables import Reflections
from smalti.text import plural

__all__ = ["Simulated", "simulate"]


@dataclass(frozen=True, slots=True)
class Simulated:
    """A simulated data set.

    Attributes
    ----------
    nominal : Experiment
        What the headers say: a flat detector, no crystal.
    truth : Experiment
        What is: displaced panels, the crystal.
    reflections : Reflections
        The true reflections: positions and mean photons.
    images : tuple of Path
        The image files, or the master file that names them all; none for a table.
    tables : tuple of Path
        The experiment list and the table; none for images.
    truth_files : tuple of Path
        ``truth.expt``, ``truth.refl``, ``truth.json``.
    """

    nominal: Experiment
    truth: Experiment
    reflections: Reflections
    images: tuple[Path, ...]
    tables: tuple[Path, ...]
    truth_files: tuple[Path, ...]
    warnings: tuple[str, ...] = ()

    @property
    def n_images(self) -> int:
        """How many images there are, in as many files or in one."""
        scan = self.nominal.scan
        return 0 if not self.images or scan is None else scan.n_images

    @property
    def _where(self) -> str:
        first, last = self.images[0], self.images[-1]
        return f"{first} ... {last.name}" if len(self.images) > 1 else str(first)

    def summary(self) -> dict[str, Any]:
        """Give the numbers, JSON-able."""
        return {
            "reflections": self.reflections.n_rows,
            "mean_counts": float(self.reflections["intensity.sum.value"].mean()),
            "resolution": float(self.reflections["d"].min()),
            "images": self.n_images,
            "first_image": str(self.images[0]) if self.images else None,
            "tables": [str(path) for path in self.tables],
            "truth": [str(path) for path in self.truth_files],
        }

    def text(self) -> str:
        """Say what was made and where it lies."""
        made = (
            f"{plural(self.n_images, 'image')}: {self._where}"
            if self.images
            else "Tables: " + ", ".join(str(path) for path in self.tables)
        )
        table = self.reflections
        return "\n".join(
            (
                f"{plural(table.n_rows, 'reflection')} to {table['d'].min():.2f} Angstrom on "
                f"{plural(len(self.truth.detector), 'panel')}, "
                f"{table['intensity.sum.value'].mean():.0f} photons each on average.",
                made,
                "Truth: " + ", ".join(str(path) for path in self.truth_files),
            )
        )


def simulate(
    options: SimulateOptions,
    directory: Path,
    progress: Progress = silent,
    jobs: int = 0,
    record: Mapping[str, Any] | None = None,
) -> Simulated:
    """Make a sweep with known truth; :func:`smalti.steps.simulating.simulate_stills` makes stills.

    Parameters
    ----------
    options : SimulateOptions
    directory : Path
        Made where it is missing. Takes the images (``PREFIX_00001.cbf`` ...) or the table
        (``strong.expt``, ``strong.refl`` or ``indexed.expt``, ``indexed.refl``), and ``truth.expt``,
        ``truth.refl``, ``truth.json``.
    progress : Progress
    jobs : int
        Images drawn at a time; 0: one for each processor. The bytes do not depend on it.
    record : Mapping, optional
        What made the data (:func:`smalti.storage.make_record`), for the history of the files.
    """
    if options.stills:
        raise UsageError(
            "Stills cannot be simulated here.", "One sweep is needed.", "Leave simulate.stills at 0."
        )
    options = prepared(options, directory)
    stated = nominal(options)
    truth = replace(true(options), crystal=make_crystal(options))
    table = predict_spots(truth, options)
    exposures = expose(table, options)
    scene = make_scene(truth, options)
    spurious = make_spurious(truth, round(options.outliers * table.n_rows), options)
    images: tuple[Path, ...] = ()
    tables: tuple[Path, ...] = ()
    if options.output == "images":
        spots = spot_list(truth, table, exposures, spurious)
        images = write_images(stated, scene, spots, options, directory, progress, jobs)
        imageset = image_set(directory, options)
        stated, truth = replace(stated, imageset=imageset), replace(truth, imageset=imageset)
    elif options.output == "indexed":
        found = indexed_table(stated, scene, table, exposures, options)
        tables = _write_tables(directory / "indexed", replace(stated, crystal=truth.crystal), found, record)
    else:
        found = strong_table(stated, scene, table, exposures, spurious, options)
        tables = _write_tables(directory / "strong", stated, found, record)
    description = describe_truth(options, truth, table, scene, spurious)
    truth_files = write_truth(directory, truth, table, description, record)
    return Simulated(stated, truth, table, images, tables, truth_files)


def _write_tables(
    stem: Path, experiment: Experiment, table: Reflections, record: Mapping[str, Any] | None
) -> tuple[Path, ...]:
    paths = stem.with_suffix(".expt"), stem.with_suffix(".refl")
    write_experiments(paths[0], Experiments((experiment,)), record)
    write_reflections(paths[1], table, record)
    return paths

"""Draw the frames of a sweep, several at a time, and write them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.models import Experiment, ImageSet
from smalti.progress import Progress
from smalti.steps.executing import ordered
from smalti.steps.simulating.backgrounds import Scene
from smalti.steps.simulating.cbf import header, write_cbf
from smalti.steps.simulating.instrument import COUNT_CUTOFF
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.spots import Exposures
from smalti.steps.simulating.spurious import Spurious
from smalti.storage import write_nxmx
from smalti.tables import Reflections
from smalti_ext import render

__all__ = ["SpotList", "draw", "image_path", "image_set", "spot_list", "write_images"]


@dataclass(frozen=True, slots=True)
class SpotList:
    """Spots as the kernel takes them.

    Attributes
    ----------
    centres : (N, 2) float64
        Fast and slow position on the raw frame, px.
    windows : (N, 4) int32
        x0 x1 y0 y1 of each spot's panel on the raw frame.
    exposures : Exposures
        Which image sees how much of which spot.
    """

    centres: NDArray[np.float64]
    windows: NDArray[np.int32]
    exposures: Exposures


def spot_list(truth: Experiment, table: Reflections, exposures: Exposures, spurious: Spurious) -> SpotList:
    """Place the reflections of a table, and the spurious spots, on the raw frame."""
    panels = truth.detector.panels
    window = np.array([p.window for p in panels], dtype=np.int32)
    end = window + np.array([p.image_size for p in panels], dtype=np.int32)
    edges = np.column_stack([window[:, 0], end[:, 0], window[:, 1], end[:, 1]])
    panel = np.concatenate([table["panel"].astype(np.intp), spurious.panel])
    centres = np.concatenate([table["xyzcal.px"][:, :2], spurious.px]) + window[panel]
    spot = np.concatenate([exposures.spot, table.n_rows + np.arange(len(spurious.panel))])
    image = np.concatenate([exposures.image, spurious.image])
    counts = np.concatenate([exposures.counts, spurious.counts])
    order = np.argsort(image, kind="stable")
    return SpotList(
        np.ascontiguousarray(centres),
        np.ascontiguousarray(edges[panel]),
        Exposures(spot[order], image[order], counts[order]),
    )


def draw(scene: Scene, spots: SpotList, image: int, options: SimulateOptions) -> NDArray[np.int32]:
    """Draw the counts of one image (array index from 0), (slow, fast) int32."""
    counts = np.empty(scene.mean.shape, dtype=np.int32)
    render.background(scene.mean, scene.at_zero, options.seed, image, counts)
    rows = spots.exposures.on(image)
    spot = spots.exposures.spot[rows]
    render.spots(
        spots.centres[spot], spots.exposures.counts[rows], spots.windows[spot], options.spot_sigma,
        scene.transmission, options.seed, image, COUNT_CUTOFF, counts,
    )  # fmt: skip
    return counts


def image_set(directory: Path, options: SimulateOptions) -> ImageSet:
    """Say where the images are: a path with # for the digits of their numbers, or one file of them all."""
    if options.image_format == "nxmx":
        return ImageSet(str(_master(directory.resolve(), options)), indices=tuple(range(options.n_images)))
    return ImageSet(str(directory.resolve() / f"{options.prefix}_#####.cbf"))


def image_path(directory: Path, options: SimulateOptions, image: int) -> Path:
    """Give the path of one image (array index from 0) that has a file of its own."""
    return directory / f"{options.prefix}_{image + 1:05d}.cbf"


def write_images(
    nominal: Experiment,
    scene: Scene,
    spots: SpotList,
    options: SimulateOptions,
    directory: Path,
    progress: Progress,
    jobs: int = 0,
) -> tuple[Path, ...]:
    """Draw and write all images of a sweep; ``jobs`` at a time (0: one for each processor).

    Returns
    -------
    tuple of Path
        An image each, or the master file of them all.
    """
    if options.image_format == "nxmx":
        return _write_nxmx(nominal, scene, spots, options, directory, progress, jobs)

    def make(image: int) -> Path:
        path = image_path(directory, options, image)
        text = header(nominal, image, options.layout, len(scene.dead))
        write_cbf(path, draw(scene, spots, image, options), text)
        return path

    paths = []
    for path in ordered(make, range(options.n_images), jobs):
        paths.append(path)
        progress("drawing images", len(paths), options.n_images)
    return tuple(paths)


def _write_nxmx(
    nominal: Experiment,
    scene: Scene,
    spots: SpotList,
    options: SimulateOptions,
    directory: Path,
    progress: Progress,
    jobs: int,
) -> tuple[Path, ...]:
    def frames() -> Iterator[NDArray[np.int32]]:
        make = partial(draw, scene, spots, options=options)
        for done, frame in enumerate(ordered(make, range(options.n_images), jobs), start=1):
            yield frame
            progress("drawing images", done, options.n_images)

    mask = draw(scene, spots, 0, options) >= 0
    files = write_nxmx(_master(directory, options), nominal, frames(), layout=options.nxmx_layout, mask=mask)
    return files[-1:]


def _master(directory: Path, options: SimulateOptions) -> Path:
    return directory / f"{options.prefix}_master.h5"

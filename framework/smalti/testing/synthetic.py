"""Synthetic experiments with known truth, for tests and for plugin writers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, to_mm, to_px
from smalti.geometry.reciprocal import B_from_cell
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Crystal, Detector, Experiment, Experiments, Goniometer, Scan, matrix
from smalti.steps.predicting import predict_sweep
from smalti.steps.simulating.instrument import displaced, find_layout, flat_detector
from smalti.tables import Flag, Reflections

__all__ = [
    "THAUMATIN",
    "centroids",
    "crystal",
    "detector",
    "displaced",
    "experiment",
    "layout",
    "measurable",
    "observations",
]

Array = NDArray[np.float64]

THAUMATIN = (57.834, 57.834, 150.022, 90.0, 90.0, 90.0)
"""Cell of the tutorial's thaumatin, Angstrom and degrees (P 4)."""


layout = find_layout


def detector(
    name: str = "PILATUS 6M",
    distance: float = 400.0,
    beam_centre: tuple[float, float] | None = None,
    modules: bool = True,
) -> Detector:
    """Make a detector perpendicular to a beam along -z, fast along +x, slow along -y.

    Parameters
    ----------
    name : str
        Name of a layout.
    distance : float
        mm.
    beam_centre : (fast, slow) px, optional
        Default: the middle of the frame.
    modules : bool
        Whether to divide it into its modules.
    """
    return flat_detector(find_layout(name), distance, beam_centre, modules=modules)


def crystal(
    cell: tuple[float, ...] = THAUMATIN,
    space_group: str = " P 4",
    orientation: tuple[float, float, float] = (0.4, 1.1, 2.3),
) -> Crystal:
    """Make a crystal; orientation is three rotations about x, y, z in radians."""
    axes: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    U = np.eye(3)
    for axis, angle in zip(axes, orientation, strict=True):
        U = rotation(axis, angle) @ U
    return Crystal.from_A(U @ B_from_cell(cell), space_group)


def drifting(crystal: Crystal, n_images: int, *, turn: tuple[float, float, float], growth: float) -> Crystal:
    """Let a crystal turn and its axes grow evenly from the first image to the last.

    Parameters
    ----------
    turn : rad
        Rotation vector of the whole scan, in the frame of the crystal at angle 0.
    growth : float
        Of all axes over the whole scan, as a fraction.
    """
    vector = np.array(turn)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle > 0.0 else np.array([1.0, 0.0, 0.0])
    share = np.linspace(0.0, 1.0, n_images + 1)
    A = rotation(axis, share * angle) @ crystal.A / (1.0 + growth * share)[:, None, None]
    return replace(crystal, scan_points=tuple(matrix(point) for point in A))


def experiment(
    detector: Detector,
    crystal: Crystal | None = None,
    *,
    wavelength: float = 0.9686,
    n_images: int = 1029,
    width: float = np.radians(0.35),
    start: float = 0.0,
) -> Experiment:
    """Put a rotation experiment together: beam along -z, spindle along +x."""
    return Experiment(
        Beam(wavelength=wavelength),
        detector,
        Goniometer(),
        Scan((1, n_images), (start, width), (0.1,) * n_images, tuple(0.1 * k for k in range(n_images))),
        crystal,
        identifier="synthetic",
    )


def observations(
    truth: Experiment,
    nominal: Experiment,
    rng: np.random.Generator,
    *,
    d_min: float = 2.0,
    n: int | None = None,
    noise: tuple[float, float, float] = (0.1, 0.1, 0.1),
    outliers: float = 0.0,
) -> tuple[Experiments, Reflections]:
    """Make an indexed table as a finder and an indexer would leave it, from a known truth.

    Pixels are those that the true geometry gives; millimetres are worked out with the *nominal*
    detector, as a program that does not know better would.

    Parameters
    ----------
    truth, nominal : Experiment
        The experiment as it is, and as the program believes it.
    d_min : float
        Angstrom.
    n : int, optional
        Keep this many reflections, chosen at random.
    noise : (px, px, images)
        Standard deviation of the centroids.
    outliers : float
        Fraction of reflections displaced grossly (up to 10 px and 5 images).

    Returns
    -------
    experiments, reflections
        The nominal experiment and its indexed reflections.
    """
    if truth.scan is None:
        raise ValueError("a scan is needed")
    table = measurable(truth, d_min)
    if n is not None and n < table.n_rows:
        table = table.take(np.sort(rng.choice(table.n_rows, n, replace=False)))
    rows = table.n_rows
    panel = table["panel"].astype(np.intp)
    px = np.column_stack(
        [to_px(table["xyzcal.mm"][:, :2], panel, PanelArrays.of(truth.detector)), table["xyzcal.px"][:, 2]]
    )
    px += rng.normal(size=px.shape) * noise
    bad = rng.random(rows) < outliers
    px[bad] += rng.uniform(-1, 1, size=(int(bad.sum()), 3)) * (10.0, 10.0, 5.0)
    columns = centroids(px, panel, nominal.detector, truth.scan, np.maximum(noise, 1e-3))
    columns["flags"] = np.full(rows, int(Flag.STRONG | Flag.INDEXED), dtype=np.uint64)
    columns["intensity.sum.value"] = rng.exponential(1000.0, rows) + 50.0
    observed = table.without("xyzcal.mm", "xyzcal.px").with_columns(columns)
    return Experiments((replace(nominal, crystal=truth.crystal or nominal.crystal),)), observed


def measurable(truth: Experiment, d_min: float) -> Reflections:
    """Predict a sweep, without what is so close to the spindle that its angle cannot be measured."""
    table = predict_sweep(truth, d_min)
    across = np.cross(table["s1"], truth.beam.s0)
    across /= np.linalg.norm(across, axis=1)[:, None]
    axis = truth.goniometer.laboratory_axis if truth.goniometer else np.array([1.0, 0.0, 0.0])
    return table.where(np.abs(across @ axis) > 0.05)


def centroids(
    px: Array, panel: NDArray[np.intp], detector: Detector, scan: Scan, sigma: Array
) -> dict[str, Array]:
    """Give centroids (N, 3) of standard deviation sigma (3,) px, px, images as columns, in mm and rad too."""
    arrays = PanelArrays.of(detector)
    pixel, width = arrays.pixel_size[panel], abs(scan.oscillation[1])
    scale = np.column_stack([pixel, np.full(len(px), width)])
    return {
        "xyzobs.px.value": px,
        "xyzobs.px.variance": np.tile(sigma**2, (len(px), 1)),
        "xyzobs.mm.value": np.column_stack([to_mm(px[:, :2], panel, arrays), scan.angle(px[:, 2])]),
        "xyzobs.mm.variance": (sigma * scale) ** 2,
    }

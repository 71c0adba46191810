"""From pixels to points in reciprocal space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, to_mm, to_px, wave_vectors
from smalti.geometry.reciprocal import map_to_reciprocal
from smalti.models import Experiment, Goniometer, Scan
from smalti.solution import PointCloud
from smalti.tables import Reflections

__all__ = ["MappedSpots", "map_spots", "rotation_models", "with_pixels"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class MappedSpots:
    """Spots with everything that indexing needs of them.

    Attributes
    ----------
    sweep : (N,) intp
        Number of the experiment in which each was seen.
    mm : (N, 3)
        mm, mm, rad: position on the panel, corrected for parallax, and rotation angle.
    variance : (N, 3)
        mm^2, mm^2, rad^2.
    s1 : (N, 3) 1/Angstrom
    rlp : (N, 3) 1/Angstrom
        Turned back to rotation angle 0 and through the fixed rotation: one frame for all sweeps. Those of a
        still as they were seen.
    """

    sweep: Index
    mm: Array
    variance: Array
    s1: Array
    rlp: Array

    def cloud(self, experiments: Sequence[Experiment], rows: Index) -> PointCloud:
        """Give some of the spots to an indexer."""
        if experiments[0].is_still:
            # nothing turns: any direction will do
            axis = experiments[0].detector.stacked()[0, :, 0]
        else:
            goniometer, _ = rotation_models(experiments[0])
            axis = goniometer.F.T @ goniometer.axis
        return PointCloud(self.rlp[rows], self.mm[rows, 2], self.sweep[rows], axis)


def rotation_models(experiment: Experiment) -> tuple[Goniometer, Scan]:
    """Give goniometer and scan of a sweep.

    Raises
    ------
    DataError
        The experiment is a still.
    """
    if experiment.is_still or experiment.goniometer is None or experiment.scan is None:
        raise DataError(
            "The experiment is a still.",
            "Its images have no rotation (no scan, no goniometer, or images of zero width).",
            "Stills and sweeps are indexed apart; if the crystal was turning, tell import the rotation.",
        )
    return experiment.goniometer, experiment.scan


def with_pixels(experiments: Sequence[Experiment], spots: Reflections, sweep: Index) -> Reflections:
    """Give a table that has pixel positions, worked out from its millimetres where it has only those.

    Pixels are what the detector measured; they alone stay true when the detector is moved.
    """
    if "xyzobs.px.value" in spots or "xyzobs.mm.value" not in spots:
        return spots
    spots.require("panel")
    px, variance = np.zeros((spots.n_rows, 3)), np.full((spots.n_rows, 3), 0.25)
    panel, mm = spots["panel"].astype(np.intp), spots["xyzobs.mm.value"]
    for number, experiment in enumerate(experiments):
        rows = np.flatnonzero(sweep == number)
        arrays = PanelArrays.of(experiment.detector)
        size, width = arrays.pixel_size[panel[rows]], 1.0
        px[rows, :2] = to_px(mm[rows, :2], panel[rows], arrays)
        px[rows, 2] = 0.5
        if not experiment.is_still:
            _, scan = rotation_models(experiment)
            px[rows, 2], width = scan.array_index(mm[rows, 2]), scan.oscillation[1]
        if "xyzobs.mm.variance" in spots:
            unit = np.column_stack([size, np.full(rows.size, width)])
            variance[rows] = spots["xyzobs.mm.variance"][rows] / unit**2
    return spots.with_columns({"xyzobs.px.value": px, "xyzobs.px.variance": variance})


def map_spots(experiments: Sequence[Experiment], spots: Reflections, sweep: Index) -> MappedSpots:
    """Map spots to reciprocal space with the models as they stand.

    Millimetres are worked out anew from the pixels: those in the table belong to the detector with
    which they were made.

    Parameters
    ----------
    experiments : sequence of Experiment
        One per sweep.
    spots : Reflections
        With ``xyzobs.px.value`` and ``panel``.
    sweep : (N,) intp
        Number of the experiment of each spot.
    """
    spots.require("xyzobs.px.value", "panel")
    n = spots.n_rows
    px, panel = spots["xyzobs.px.value"], spots["panel"].astype(np.intp)
    px_variance = spots["xyzobs.px.variance"] if "xyzobs.px.variance" in spots else np.full((n, 3), 0.25)
    mm, variance, s1, rlp = (np.zeros((n, 3)) for _ in range(4))
    for number, experiment in enumerate(experiments):
        rows = np.flatnonzero(sweep == number)
        arrays = PanelArrays.of(experiment.detector)
        mm[rows, :2] = to_mm(px[rows, :2], panel[rows], arrays)
        variance[rows, :2] = px_variance[rows, :2] * arrays.pixel_size[panel[rows]] ** 2
        s1[rows] = wave_vectors(mm[rows, :2], panel[rows], arrays, experiment.beam.wavelength)
        if experiment.is_still:
            # as it was exposed, whatever its goniometer says
            rlp[rows] = s1[rows] - experiment.beam.s0
            continue
        goniometer, scan = rotation_models(experiment)
        mm[rows, 2] = scan.angle(px[rows, 2])
        variance[rows, 2] = px_variance[rows, 2] * scan.oscillation[1] ** 2
        rlp[rows] = map_to_reciprocal(
            s1[rows], mm[rows, 2], experiment.beam.s0, goniometer.axis, goniometer.F, goniometer.S
        )
    return MappedSpots(sweep, mm, variance, s1, rlp)

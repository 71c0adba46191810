"""Which spots a sweep shows: where, on which images, with how many photons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from smalti.geometry import prediction
from smalti.geometry.panels import PanelArrays, laboratory
from smalti.models import Beam, Experiment, Scan
from smalti.steps.predicting import predict_sweep
from smalti.steps.simulating.crystals import absent, wilson_intensities
from smalti.steps.simulating.options import SimulateOptions
from smalti.tables import Reflections

__all__ = [
    "Exposures",
    "expose",
    "lorentz_polarisation",
    "polarisation",
    "predict_spots",
    "resolution_limit",
    "zeta",
]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

# Beyond this many standard deviations of the rocking curve a reflection is not drawn.
_REACH = 4.0
# Nearer to the spindle than this the first-order width of the rocking curve, mosaicity / zeta, means
# nothing any more.
_LEAST_ZETA = 0.01


@dataclass(frozen=True, slots=True)
class Exposures:
    """Reflections spread over images: one entry for each image that sees a part of a reflection.

    Attributes
    ----------
    spot : (E,) intp
        Row of the table of reflections; ordered by image.
    image : (E,) intp
        Array index of the image, from 0.
    counts : (E,) float
        Mean photons.
    """

    spot: Index
    image: Index
    counts: Array

    def on(self, image: int) -> slice:
        """Give the entries of one image."""
        first, last = np.searchsorted(self.image, [image, image + 1])
        return slice(int(first), int(last))


def predict_spots(experiment: Experiment, options: SimulateOptions) -> Reflections:
    """Predict the reflections that a sweep shows, also those that only rock in from beyond its ends.

    Returns
    -------
    Reflections
        As :func:`smalti.steps.predicting.predict_sweep` gives them, absences left out, with the columns
        ``d``, ``zeta`` and ``intensity.sum.value``, the mean photons of the whole reflection.
    """
    if experiment.crystal is None or experiment.scan is None:
        raise ValueError("a crystal and a scan are needed")
    limit = resolution_limit(experiment)
    margin = int(np.ceil(_REACH * options.mosaicity / options.width))
    wider = replace(experiment, scan=_extended(experiment.scan, margin))
    table = predict_sweep(wider, max(limit, options.d_min))
    table = table.where(~absent(table["miller_index"], options.space_group))
    d = 1.0 / np.linalg.norm(table["miller_index"] @ experiment.crystal.A.T, axis=1)
    factor = lorentz_polarisation(table["s1"], experiment)
    # Equivalents are equal before the Lorentz and polarisation factors; those differ between them.
    relative = factor * wilson_intensities(
        table["miller_index"], d, options.space_group, options.b_factor, options.seed
    )
    counts = options.counts * relative / relative.mean()
    return table.with_columns({"d": d, "zeta": zeta(table["s1"], experiment), "intensity.sum.value": counts})


def expose(table: Reflections, options: SimulateOptions) -> Exposures:
    """Spread reflections over images by a gaussian rocking curve of width mosaicity / zeta.

    The nearer a reflection to the spindle, the longer it takes to pass the Ewald sphere
    [Kabsch 2010, Acta Cryst. D66, 133].
    """
    z = table["xyzcal.px"][:, 2]
    sigma = options.mosaicity / options.width / np.maximum(np.abs(table["zeta"]), _LEAST_ZETA)
    first = np.clip(np.floor(z - _REACH * sigma), 0, options.n_images).astype(np.intp)
    last = np.clip(np.ceil(z + _REACH * sigma), 0, options.n_images).astype(np.intp)
    n = last - first
    spot = np.repeat(np.arange(len(z)), n)
    image = np.arange(len(spot)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(first, n)
    share = ndtr((image + 1 - z[spot]) / sigma[spot]) - ndtr((image - z[spot]) / sigma[spot])
    order = np.argsort(image, kind="stable")
    counts = table["intensity.sum.value"][spot] * share
    return Exposures(spot[order], image[order], np.asarray(counts[order]))


def zeta(s1: Array, experiment: Experiment) -> Array:
    """Cosine of the angle between spindle and rocking direction, (N,), sign kept."""
    if experiment.goniometer is None:
        raise ValueError("a goniometer is needed")
    return prediction.zeta(s1, experiment.beam.s0, experiment.goniometer.laboratory_axis)


def lorentz_polarisation(s1: Array, experiment: Experiment) -> Array:
    """Lorentz factor times polarisation factor, (N,).

    L = 1 / (|zeta| sin(2 theta)) [Kabsch 1988, J. Appl. Cryst. 21, 916].
    """
    cosine = s1 @ experiment.beam.unit_s0 / np.linalg.norm(s1, axis=1)
    sine = np.sqrt(np.maximum(1.0 - cosine**2, 1e-12))
    lorentz = 1.0 / (np.maximum(np.abs(zeta(s1, experiment)), _LEAST_ZETA) * sine)
    return np.asarray(lorentz * polarisation(s1, experiment.beam))


def polarisation(s1: Array, beam: Beam) -> Array:
    """Polarisation factor, (N,).

    P = p (1 - (u1 . e)^2) + (1 - p)(1 - (u1 . n)^2), where u1 points along the diffracted beam, n is the
    normal of the plane of polarisation, e = n x u0 lies in it, and p is the fraction of the beam polarised
    along e [Kabsch 1988, J. Appl. Cryst. 21, 916].
    """
    u1 = s1 / np.linalg.norm(s1, axis=1)[:, None]
    in_plane = np.cross(np.array(beam.polarization_normal), beam.unit_s0)
    p = beam.polarization_fraction
    along_field = p * (1.0 - (u1 @ in_plane) ** 2)
    across_field = (1.0 - p) * (1.0 - (u1 @ np.array(beam.polarization_normal)) ** 2)
    return np.asarray(along_field + across_field)


def resolution_limit(experiment: Experiment) -> float:
    """Resolution at the furthest corner of the detector, Angstrom."""
    arrays = PanelArrays.of(experiment.detector)
    panel = np.repeat(np.arange(len(experiment.detector)), 4)
    corners = np.tile([[0, 0], [0, 1], [1, 0], [1, 1]], (len(experiment.detector), 1))
    rays = laboratory(corners * (arrays.image_size * arrays.pixel_size)[panel], panel, arrays)
    cosine = rays @ experiment.beam.unit_s0 / np.linalg.norm(rays, axis=1)
    theta = float(np.arccos(cosine.min())) / 2.0
    return experiment.beam.wavelength / (2.0 * float(np.sin(theta)))


def _extended(scan: Scan, margin: int) -> Scan:
    """Lengthen a scan at both ends; array indices of what was inside stay what they were."""
    first, last = scan.image_range
    start, width = scan.oscillation
    return Scan((first - margin, last + margin), (start - margin * width, width))

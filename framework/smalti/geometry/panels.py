"""Between pixels, millimetres on a panel, and rays in the laboratory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smalti.models import Detector

__all__ = [
    "PanelArrays",
    "absorption_depth",
    "find_panels",
    "intersect",
    "laboratory",
    "panel_bases",
    "panel_centres",
    "to_mm",
    "to_px",
    "wave_vectors",
]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class PanelArrays:
    """The panels of a detector as arrays, for numeric code.

    Attributes
    ----------
    d : (P, 3, 3)
        Columns fast, slow, origin (mm) in the laboratory.
    D : (P, 3, 3)
        Inverses of d.
    pixel_size : (P, 2) mm
    image_size : (P, 2) px
    thickness : (P,) mm, 0 where the panel does not correct for parallax
    mu : (P,) 1/mm
    """

    d: Array
    D: Array
    pixel_size: Array
    image_size: Array
    thickness: Array
    mu: Array

    @classmethod
    def of(cls, detector: Detector) -> PanelArrays:
        """Gather the arrays of a detector."""
        d = detector.stacked()
        panels = detector.panels
        return cls(
            d,
            np.asarray(np.linalg.inv(d)),
            np.array([p.pixel_size for p in panels], dtype=float),
            np.array([p.image_size for p in panels], dtype=float),
            np.array([p.thickness if p.parallax else 0.0 for p in panels], dtype=float),
            np.array([p.mu for p in panels], dtype=float),
        )

    @classmethod
    def joined(cls, detectors: Sequence[Detector]) -> PanelArrays:
        """Gather the arrays of several detectors, one after the other."""
        found = [cls.of(detector) for detector in detectors]
        return cls(*(np.concatenate([getattr(item, field.name) for item in found]) for field in fields(cls)))


def panel_bases(d: ArrayLike) -> Array:
    """Fast, slow and normal (fast x slow) of panels with d matrices (P, 3, 3), as columns, (P, 3, 3)."""
    frames = np.asarray(d, dtype=float)
    fast, slow = frames[:, :, 0], frames[:, :, 1]
    return np.stack([fast, slow, np.cross(fast, slow)], axis=2)


def panel_centres(d: ArrayLike, size: ArrayLike) -> Array:
    """Centres (P, 3) mm in the laboratory of panels with d matrices (P, 3, 3) and sizes (P, 2) mm."""
    half = 0.5 * np.asarray(size, dtype=float)
    return np.asarray(
        np.einsum("pij,pj->pi", np.asarray(d, dtype=float), np.column_stack([half, np.ones(len(half))]))
    )


def laboratory(mm: ArrayLike, panel: Index, arrays: PanelArrays) -> Array:
    """Laboratory positions (N, 3) mm of points (N, 2) mm on panels (N,)."""
    xy = np.asarray(mm, dtype=float)
    d = arrays.d[panel]
    return np.asarray(d[:, :, 0] * xy[:, :1] + d[:, :, 1] * xy[:, 1:2] + d[:, :, 2])


def wave_vectors(mm: ArrayLike, panel: Index, arrays: PanelArrays, wavelength: float) -> Array:
    """Diffracted wave vectors s1 (N, 3) 1/Angstrom towards points (N, 2) mm on panels (N,)."""
    ray = laboratory(mm, panel, arrays)
    return np.asarray(ray / (np.linalg.norm(ray, axis=1)[:, None] * wavelength))


def intersect(s1: ArrayLike, panel: Index, arrays: PanelArrays) -> tuple[Array, NDArray[np.bool_]]:
    """Where rays meet the planes of given panels.

    (u, v, w) = D s1, x = u/w, y = v/w; the ray goes forward where w > 0 [Waterman et al. 2016,
    Acta Cryst. D72, 558, equations of the prediction].

    Parameters
    ----------
    s1 : (N, 3)
    panel : (N,)

    Returns
    -------
    mm : (N, 2) mm on the panel (nan where the ray misses the plane)
    hit : (N,) bool
        Whether the ray meets the plane going forward (not whether inside the panel's edges).
    """
    uvw = np.einsum("nij,nj->ni", arrays.D[panel], np.asarray(s1, dtype=float))
    hit = uvw[:, 2] > 0.0
    w = np.where(hit, uvw[:, 2], np.nan)
    return uvw[:, :2] / w[:, None], hit


def absorption_depth(cosine: Array, thickness: Array, mu: Array) -> Array:
    """Mean depth along the ray (mm) at which dxtbx lets photons be absorbed, elementwise.

    depth = 1/mu - (L + 1/mu) exp(-mu L) with L = thickness/cosine; 0 where there is no sensor. The
    integral is, as in dxtbx, not normalised by the absorbed fraction; kept so that positions agree
    with those in files that DIALS wrote.
    """
    thick = (thickness > 0.0) & (mu > 0.0)
    inverse = 1.0 / np.where(thick, mu, 1.0)
    length = np.where(thick, thickness, 0.0) / cosine
    depth = inverse - (length + inverse) * np.exp(-length / inverse)
    return np.where(thick, depth, 0.0)


def _parallax(mm: Array, panel: Index, arrays: PanelArrays) -> Array:
    if not (arrays.thickness * arrays.mu).any():
        return np.zeros_like(mm)
    # In the frame of the panel a ray is the origin's place there plus (x, y, 0).
    fast, slow, origin = np.moveaxis(arrays.d, 2, 0)
    ray = np.einsum("kpi,pi->pk", np.stack([fast, slow, np.cross(fast, slow)]), origin)[panel]
    ray[:, :2] += mm
    ray /= np.sqrt(np.einsum("ni,ni->n", ray, ray))[:, None]
    depth = absorption_depth(np.abs(ray[:, 2]), arrays.thickness[panel], arrays.mu[panel])
    return np.asarray(depth[:, None] * ray[:, :2])


def to_mm(px: ArrayLike, panel: ArrayLike, arrays: PanelArrays) -> Array:
    """Millimetres (N, 2) on the panel of pixel positions (N, 2), corrected for parallax.

    mm = px * size - depth * (s1.fast, s1.slow), s1 towards the uncorrected position (as dxtbx).
    """
    index = np.asarray(panel, dtype=np.intp)
    mm = np.asarray(px, dtype=float) * arrays.pixel_size[index]
    return np.asarray(mm - _parallax(mm, index, arrays))


def to_px(mm: ArrayLike, panel: ArrayLike, arrays: PanelArrays) -> Array:
    """Pixel positions (N, 2) of millimetres (N, 2) on the panel: the inverse of :func:`to_mm`, as in dxtbx.

    px * size = mm + depth * (s1.fast, s1.slow), s1 towards the mm position; inverse to a few nm.
    """
    index = np.asarray(panel, dtype=np.intp)
    xy = np.asarray(mm, dtype=float)
    return np.asarray((xy + _parallax(xy, index, arrays)) / arrays.pixel_size[index])


def find_panels(s1: ArrayLike, arrays: PanelArrays) -> tuple[Index, Array]:
    """Find the panel that each ray hits within its edges.

    Parameters
    ----------
    s1 : (N, 3)

    Returns
    -------
    panel : (N,) intp
        -1 where a ray hits none. Where panels overlap, the one nearest to the sample.
    mm : (N, 2)
        Position on that panel (nan where none).
    """
    rays = np.asarray(s1, dtype=float)
    panel = np.full(len(rays), -1, dtype=np.intp)
    mm = np.full((len(rays), 2), np.nan)
    nearest = np.full(len(rays), np.inf)
    size = arrays.image_size * arrays.pixel_size
    for k in range(len(arrays.d)):
        uvw = rays @ arrays.D[k].T
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = uvw[:, 0] / uvw[:, 2], uvw[:, 1] / uvw[:, 2]
            inside = (uvw[:, 2] > 0) & (x >= 0) & (x < size[k, 0]) & (y >= 0) & (y < size[k, 1])
            # s1 * (1/w) ends on the panel: a smaller 1/w is nearer.
            closer = inside & (1.0 / uvw[:, 2] < nearest)
        panel[closer] = k
        mm[closer, 0], mm[closer, 1] = x[closer], y[closer]
        nearest[closer] = 1.0 / uvw[closer, 2]
    return panel, mm

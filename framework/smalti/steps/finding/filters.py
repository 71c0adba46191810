"""Which groups of strong pixels are taken for spots, with a count for each reason they are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.steps.finding.measuring import Spots
from smalti.steps.finding.options import FindOptions

__all__ = ["FilterCount", "added", "filtered", "ice_rings"]

HEXAGONAL_ICE = (gemmi.UnitCell(4.498, 4.498, 7.338, 90.0, 90.0, 120.0), "P 63/m m c")
"""Ice Ih at about 100 K, the cell that DIALS takes for its ice rings."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FilterCount:
    """How many groups one filter took away, and how many it left."""

    reason: str
    removed: int
    left: int


def filtered(
    spots: Spots, d: NDArray[np.float64], detector: Detector, options: FindOptions
) -> tuple[Mask, tuple[FilterCount, ...]]:
    """Tell spots from other groups, (S,) bool, with the counts in the order of the filters.

    Parameters
    ----------
    d : (S,) Angstrom
        Resolution of each group's centroid.
    """
    smallest = options.min_spot_size or smallest_spot(detector)
    separation = np.linalg.norm(spots.peak - spots.centroid, axis=1)
    filters: list[tuple[str, Mask]] = [
        (f"fewer than {smallest} pixels", spots.size < smallest),
        (f"more than {options.max_spot_size} pixels", spots.size > options.max_spot_size),
        (
            f"brightest pixel over {options.max_separation:g} px from centroid",
            separation > options.max_separation,
        ),
    ]
    if options.d_min is not None:
        filters.append((f"beyond {options.d_min:g} A resolution", d < options.d_min))
    if options.d_max is not None:
        filters.append((f"below {options.d_max:g} A resolution", d > options.d_max))
    if options.ice_rings:
        filters.append(("on an ice ring", ice_rings(d, options.ice_width)))
    keep = np.ones(len(d), dtype=bool)
    counts = []
    for reason, bad in filters:
        removed = int(np.count_nonzero(keep & bad))
        keep &= ~bad
        counts.append(FilterCount(reason, removed, int(np.count_nonzero(keep))))
    return keep, tuple(counts)


def added(groups: Sequence[tuple[FilterCount, ...]]) -> tuple[FilterCount, ...]:
    """Add the counts of several runs, reason by reason."""
    removed: dict[str, int] = {}
    left: dict[str, int] = {}
    for counts in groups:
        for count in counts:
            removed[count.reason] = removed.get(count.reason, 0) + count.removed
            left[count.reason] = left.get(count.reason, 0) + count.left
    return tuple(FilterCount(reason, removed[reason], left[reason]) for reason in removed)


def smallest_spot(detector: Detector) -> int:
    """Fewest pixels of a spot: 3 on sensors that count photons, 6 on those that smear charge or light."""
    return 3 if all(panel.type == "SENSOR_PAD" for panel in detector.panels) else 6


def ice_rings(d: NDArray[np.float64], width: float) -> Mask:
    """Whether a resolution (Angstrom) lies on a powder ring of hexagonal ice, half-width in 1/d^2, (S,)."""
    if d.size == 0:
        return np.zeros(0, dtype=bool)
    cell, name = HEXAGONAL_ICE
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup(name), float(d.min()) * 0.95)
    rings = np.unique(np.round(np.asarray(cell.calculate_1_d2_array(hkl)), 9))
    if rings.size == 0:
        return np.zeros(d.size, dtype=bool)
    position = 1.0 / d**2
    place = np.clip(np.searchsorted(rings, position), 1, max(rings.size - 1, 1))
    nearest = np.minimum(
        np.abs(position - rings[np.minimum(place, rings.size - 1)]), np.abs(position - rings[place - 1])
    )
    return np.asarray(nearest <= width)

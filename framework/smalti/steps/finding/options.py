"""Options of spot finding that do not depend on the finder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["PATIENCE", "SKIP", "FindOptions"]

SKIP = "To go on without such images: find-spots.on_bad_image=skip."

PATIENCE = 60.0
"""Seconds to wait for an image that is not there yet."""


@dataclass(frozen=True)
class FindOptions:
    """What is kept as a spot, and how the work is spread."""

    min_spot_size: int | None = option(
        None,
        "Fewest strong pixels in a spot; none: 3 for photon-counting sensors, 6 for others.",
        unit="px",
        ge=1,
    )
    false_spots: float | None = option(
        None,
        "Choose min_spot_size from the images: the smallest size of which noise alone gives at most this "
        "fraction of what is found, such as 0.01.",
        gt=0,
        lt=1,
    )
    max_spot_size: int = option(1000, "Most strong pixels in a spot.", unit="px", ge=1)
    centroid: Literal["net", "dials"] = option(
        "net",
        "What weighs a pixel: 'net' its count less the background, with the variance that centroids really "
        "have; 'dials' its count, with 1/12 px^2 besides the scatter of photons.",
    )
    max_separation: float = option(
        2.0, "Greatest distance between brightest pixel and centroid, in pixels and images.", unit="px", gt=0
    )
    d_min: float | None = option(None, "Drop spots of higher resolution than this.", unit="Angstrom", gt=0)
    d_max: float | None = option(None, "Drop spots of lower resolution than this.", unit="Angstrom", gt=0)
    ice_rings: bool = option(False, "Drop spots on the powder rings of hexagonal ice.")
    ice_width: float = option(0.002, "Half-width of an ice ring in 1/d^2.", unit="1/Angstrom^2", gt=0)
    mask: str = option("", "File of a mask to use besides that of the images, as smalti view saves it.")
    max_strong_fraction: float = option(
        0.25, "Refuse an image in which a larger part of the usable pixels is strong.", gt=0, le=1
    )
    hot_pixels: Literal["remove", "keep"] = option(
        "remove", "What to do with lone pixels that are strong in every image (of at least 8)."
    )
    on_bad_image: Literal["stop", "skip"] = option(
        "stop", "What to do with an image that cannot be read or used."
    )
    jobs: int = option(0, "Images worked on at once; 0: as many as there are cores.", ge=0)

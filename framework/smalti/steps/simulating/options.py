"""What can be simulated: the options, and the two data sets of the demonstration."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from typing import Literal

from smalti.errors import UsageError
from smalti.options import option

__all__ = ["FULL_DEMO", "QUICK_DEMO", "SimulateOptions", "check_options"]

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class SimulateOptions:
    """Crystal, detector, scan and exposure of a simulated data set, and what is wrong with them."""

    output: Literal["images", "strong", "indexed"] = option(
        "images", "What to make: image files, a table of found spots, or a table of indexed spots."
    )
    prefix: str = option("simulated", "Start of the names of the image files.", min_length=1)
    image_format: Literal["cbf", "nxmx"] = option(
        "cbf", "Files of images: one miniCBF for each, or NXmx with a master file."
    )
    nxmx_layout: Literal["virtual", "external", "single"] = option(
        "virtual", "Where an NXmx file has its images: data files put together or linked, or in itself."
    )
    seed: int = option(1, "Start of all random numbers: the same seed gives the same bytes.", ge=0, le=2**63)

    unit_cell: tuple[float, float, float, float, float, float] = option(
        (57.834, 57.834, 150.022, 90.0, 90.0, 90.0), "Unit cell a,b,c,alpha,beta,gamma.", unit="Angstrom, deg"
    )
    space_group: str = option("P 41 21 2", "Space group; reflections that it extinguishes are left out.")
    orientation: Triple | None = option(
        None, "Turns of the crystal about x, y and z, in this order; none: at random.", unit="deg"
    )
    mosaicity: float = option(
        0.15, "Spread of the crystal's orientation (standard deviation).", unit="deg", gt=0.0, le=5.0
    )
    d_min: float = option(
        0.0, "Resolution limit; 0 goes to the corners of the detector.", unit="Angstrom", ge=0.0
    )
    b_factor: float = option(
        20.0, "Fall-off of intensity with resolution (Wilson B).", unit="Angstrom^2", ge=0.0
    )

    layout: str = option("PILATUS 6M", "Detector, by the name of its module layout.")
    sensor_thickness: float = option(0.32, "Thickness of the silicon sensor.", unit="mm", gt=0.0, le=5.0)
    distance: float = option(400.0, "True distance from sample to detector.", unit="mm", gt=0.0)
    beam_centre: tuple[float, float] | None = option(
        None, "True beam centre, fast,slow; none: the middle of the frame.", unit="px"
    )
    wavelength: float = option(0.9686, "Wavelength.", unit="Angstrom", gt=0.2, lt=5.0)
    detector_seed: int | None = option(
        None, "Start of the random numbers of the misplacement alone; none: seed.", ge=0, le=2**63
    )
    shift: Triple = option(
        (0.06, 0.06, 0.03), "Misplacement of panels along fast, slow and normal (RMS).", unit="mm"
    )
    turn: Triple = option(
        (0.15, 0.15, 0.5), "Misplacement of panels about fast, slow and normal (RMS).", unit="mrad"
    )
    header_beam_error: tuple[float, float] = option(
        (0.0, 0.0), "What the image headers add to the true beam centre, fast,slow.", unit="px"
    )
    header_distance_error: float = option(0.0, "What the image headers add to the true distance.", unit="mm")

    n_images: int = option(180, "Number of images.", ge=1, le=100_000)
    width: float = option(0.5, "Rotation per image.", unit="deg", gt=0.0, le=20.0)
    start: float = option(0.0, "Rotation angle at the start of the first image.", unit="deg")

    stills: int = option(
        0, "Number of still crystals, each in an orientation of its own; 0: one crystal that turns.", ge=0
    )
    files_of: int = option(1000, "Stills in each experiment list and table.", ge=1, le=100_000)
    spots_per_still: int = option(
        200, "Most spots of a still, drawn from all it shows; 0: all of them.", ge=0, le=100_000
    )
    bandwidth: float = option(
        0.0, "Spread of the wavelength (standard deviation), as a fraction; stills.", ge=0.0, le=0.05
    )
    cell_spread: float = option(
        0.0, "Spread of the axes from crystal to crystal (RMS), as a fraction; stills.", ge=0.0, le=0.05
    )
    orientation_error: float = option(
        0.03,
        "Error of the orientations given with indexed stills (RMS about each axis).",
        unit="deg",
        ge=0.0,
        le=1.0,
    )

    counts: float = option(
        300.0, "Photons of a reflection, mean over all reflections.", unit="counts", gt=0.0
    )
    background: float = option(
        0.5, "Background per pixel, mean over the detector.", unit="counts", ge=0.0, le=1e5
    )
    spot_sigma: float = option(
        0.8, "Size of a spot on the detector (standard deviation).", unit="px", gt=0.05, le=25.0
    )
    beam_stop: float = option(3.0, "Radius of the beam stop's shadow; 0 for none.", unit="mm", ge=0.0)
    dead_pixels: int = option(300, "Pixels that do not count; images mark them with -2.", ge=0)
    hot_pixels: int = option(0, "Pixels that count far too much in every image.", ge=0)
    outliers: float = option(
        0.02, "Spots that belong to no reflection, as a fraction of the reflections.", ge=0.0, le=1.0
    )
    mislabelled: float = option(
        0.0, "Indexed stills: fraction of spots whose index is off by one.", ge=0.0, le=1.0
    )


QUICK_DEMO = SimulateOptions(
    prefix="demo",
    n_images=45,
    width=1.0,
    mosaicity=0.3,
    counts=200.0,
    header_beam_error=(1.3, -0.8),
    header_distance_error=0.4,
    hot_pixels=5,
)
"""The demonstration that ends within a minute on two cores: few, wide images."""

FULL_DEMO = replace(QUICK_DEMO, n_images=240, width=0.5, mosaicity=0.15)
"""The demonstration that ends within five minutes on two cores."""


def check_options(options: SimulateOptions) -> None:
    """Check what the range of a single number cannot say.

    Raises
    ------
    UsageError
        A misplacement is negative, a number is not finite, or the prefix is no file name.
    """
    for name in ("shift", "turn"):
        if min(getattr(options, name)) < 0.0:
            raise UsageError(
                f"Negative {name} {','.join(f'{value:g}' for value in getattr(options, name))}.",
                "The three values are root mean squares.",
                "Give 0 or more for each direction.",
            )
    numbers = (*options.shift, *options.turn, *(options.orientation or ()), *(options.beam_centre or ()))
    numbers += (*options.header_beam_error, options.header_distance_error, options.start)
    if not all(math.isfinite(value) for value in numbers):
        raise UsageError("Not a number among the options.", "Infinite or undefined.", "Give plain numbers.")
    if os.path.basename(options.prefix) != options.prefix or set("#*?[]") & set(options.prefix):
        raise UsageError(
            f"'{options.prefix}' cannot start the names of images.",
            "It holds a folder or a character that stands for others in templates.",
            "Give the folder with -o and a plain name here.",
        )

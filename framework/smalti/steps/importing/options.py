"""The options of importing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["ImportOptions"]


@dataclass(frozen=True)
class ImportOptions:
    """How images become experiments; what the headers lack or have wrong can be told here."""

    panels: Literal["modules", "single"] = option(
        "modules", "Model the detector as its modules, or as one flat panel."
    )
    reader: str = option("", "Use this reader instead of the one that matches best.")
    wavelength: float | None = option(None, "Wavelength, instead of the header's.", unit="Angstrom", gt=0)
    distance: float | None = option(
        None,
        "Distance from the sample to the plane of the detector, instead of the header's.",
        unit="mm",
        gt=0,
    )
    beam_centre: tuple[float, float] | None = option(
        None, "Where the beam meets the detector (fast, slow), instead of the header's.", unit="px"
    )
    axis: tuple[float, float, float] | None = option(
        None, "Rotation axis in the laboratory (x, y, z), instead of the header's."
    )
    start: float | None = option(None, "Angle at the start of the first image of a sweep.", unit="deg")
    width: float | None = option(None, "Rotation per image.", unit="deg", gt=0)
    stills: bool = option(False, "Take every image as a still, whatever its header says.")
    mask: str = option("", "File of a mask that all later steps use, as smalti view saves it.")
    expect: int | None = option(
        None, "Images that the sweep will have once all are written, for find-spots --follow.", ge=1
    )
    check: bool = option(True, "Read the first and last image of each series whole, to see damage early.")
    on_bad_image: Literal["stop", "skip"] = option(
        "stop", "What to do with an image whose header cannot be read: stop, or leave it out."
    )
    jobs: int = option(0, "Threads that read headers; 0 is one for each core.", ge=0)

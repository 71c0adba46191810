"""The options of refining a stream of crystals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["StreamOptions"]


@dataclass(frozen=True)
class StreamOptions:
    """How many crystals are read at a time, what begins the refinement, and what is written."""

    batch: int = option(512, "Crystals that a worker is given at a time.", ge=1)
    sample: int = option(
        1000, "Crystals, taken evenly from all, that the noise and a first detector are found with.", ge=1
    )
    detector: Literal["same", "first"] = option(
        "same",
        "Files must agree about the detector as it came; or that of the first stands for all of them.",
    )
    beam: Literal["held", "common"] = option(
        "held", "Beams are held as they came; or all experiments have one beam, which is refined."
    )
    write: Literal["all", "models", "none"] = option(
        "all", "Which refined files are written: models and reflections, models only, or neither."
    )
    automatic: int = option(
        20_000, "Stream one pair of files, too, where it has more experiments than this.", ge=1
    )

"""The options of combining and splitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from smalti.options import option

__all__ = ["CombineOptions", "SplitOptions"]


@dataclass(frozen=True)
class CombineOptions:
    """Which models of several data sets become one."""

    share: tuple[Literal["beam", "detector", "goniometer", "crystal"], ...] = option(
        (),
        "Models of the first that all share from now on: beam, detector, goniometer, crystal.",
    )
    join_equal: bool = option(True, "Share beams, detectors and goniometers that are equal anyway.")


@dataclass(frozen=True)
class SplitOptions:
    """What is kept together when experiments are split."""

    by: Literal["experiment", "detector", "crystal", "wavelength"] = option(
        "experiment",
        "One pair of files for each experiment, or for all that share a detector, a crystal or a wavelength.",
    )

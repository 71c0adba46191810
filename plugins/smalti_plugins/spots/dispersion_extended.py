"""Strong pixels by the index of dispersion, with the background taken from around the spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_ext.dispersion import dispersion_extended
from smalti_plugins.spots._maps import stands_out, windows, worn_down
from smalti_plugins.spots._window import check_window

SMALTI_API = API


@dataclass(frozen=True)
class DispersionExtended:
    """Pixels of a dispersed area, worn down at its rim, above the mean of their surroundings.

    The same test as DIALS's ``dispersion_extended``, its default; it keeps the flanks of strong spots.
    """

    name: ClassVar[str] = "dispersion_extended"

    gain: float = option(1.0, "Counts that one photon makes.", gt=0)
    kernel_size: tuple[int, int] = option(
        (3, 3), "Half-widths of the window along fast and slow; 3,3 is a window of 7 x 7.", unit="px"
    )
    sigma_background: float = option(
        6.0, "Standard deviations by which variance over mean must exceed that of background.", ge=0
    )
    sigma_strong: float = option(
        3.0, "Standard deviations by which a pixel must exceed the mean of its surroundings.", ge=0
    )
    min_local: int = option(2, "Fewest usable pixels in a window; 0 asks for a full window.", ge=0)
    global_threshold: float = option(0.0, "Strong pixels hold more counts than this.", unit="counts")
    masked_neighbours: Literal["flagged", "unflagged"] = option(
        "flagged",
        "How masked pixels count where the rim is worn down: 'flagged' keeps spots beside gaps whole, "
        "'unflagged' is the rule of DIALS before dials#2790, which takes a rim of 2 px off them.",
    )

    def __post_init__(self) -> None:
        """Refuse a window that the kernel cannot take."""
        check_window(self.name, self.kernel_size)

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Give the flat indices of the strong pixels of a frame (slow, fast), ascending."""
        return dispersion_extended(
            counts,
            mask,
            kernel_size=self.kernel_size,
            gain=self.gain,
            sigma_background=self.sigma_background,
            sigma_strong=self.sigma_strong,
            min_local=self.min_local,
            global_threshold=self.global_threshold,
            masked_flagged=self.masked_neighbours == "flagged",
        )

    def explain(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> Mapping[str, NDArray[Any]]:
        """Give the images that lead to the strong pixels, (slow, fast) each."""
        kx, ky = self.kernel_size
        found = windows(counts, mask, self.kernel_size)
        flags = found.dispersed(self.gain, self.sigma_background, self.min_local, (2 * kx + 1) * (2 * ky + 1))
        rule = self.masked_neighbours == "flagged"
        foreground = worn_down(flags, found.good, min(kx, ky) - 1, rule)
        around = windows(counts, found.good & ~foreground, (kx + 2, ky + 2))
        background = np.where(around.n >= 2, around.mean, 0.0)
        strong = stands_out(counts, background, self.gain, self.sigma_strong, self.global_threshold)
        return {
            "mean": found.mean,
            "dispersion": found.dispersion,
            "flags": flags,
            "foreground": foreground,
            "background": background,
            "strong": foreground & strong,
        }


@hookimpl
def smalti_spot_finders() -> Sequence[type[DispersionExtended]]:
    """Bring the extended dispersion finder."""
    return [DispersionExtended]

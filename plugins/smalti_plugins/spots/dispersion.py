"""Strong pixels by the index of dispersion: each window is its own background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl
from smalti.options import option
from smalti_ext.dispersion import dispersion
from smalti_plugins.spots._maps import windows
from smalti_plugins.spots._window import check_window

SMALTI_API = API


@dataclass(frozen=True)
class Dispersion:
    """Pixels in a window that scatters more than Poisson statistics, above the mean of that window.

    The same test as DIALS's ``dispersion``; quicker than ``dispersion_extended``, but blind to the flanks
    of strong spots, since the spot itself raises the mean.
    """

    name: ClassVar[str] = "dispersion"

    gain: float = option(1.0, "Counts that one photon makes.", gt=0)
    kernel_size: tuple[int, int] = option(
        (3, 3), "Half-widths of the window along fast and slow; 3,3 is a window of 7 x 7.", unit="px"
    )
    sigma_background: float = option(
        6.0, "Standard deviations by which variance over mean must exceed that of background.", ge=0
    )
    sigma_strong: float = option(3.0, "Standard deviations by which a pixel must exceed the mean.", ge=0)
    min_local: int = option(2, "Fewest usable pixels in a window; 0 asks for a full window.", ge=0)
    global_threshold: float = option(0.0, "Strong pixels hold more counts than this.", unit="counts")

    def __post_init__(self) -> None:
        """Refuse a window that the kernel cannot take."""
        check_window(self.name, self.kernel_size)

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Give the flat indices of the strong pixels of a frame (slow, fast), ascending."""
        return dispersion(
            counts,
            mask,
            kernel_size=self.kernel_size,
            gain=self.gain,
            sigma_background=self.sigma_background,
            sigma_strong=self.sigma_strong,
            min_local=self.min_local,
            global_threshold=self.global_threshold,
        )

    def explain(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> Mapping[str, NDArray[Any]]:
        """Give the images that lead to the strong pixels, (slow, fast) each."""
        kx, ky = self.kernel_size
        found = windows(counts, mask, self.kernel_size)
        flags = found.dispersed(self.gain, self.sigma_background, self.min_local, (2 * kx + 1) * (2 * ky + 1))
        spread = np.sqrt(self.gain * np.maximum(found.x, 0).astype(np.float64) * found.n)
        excess = (found.n * counts.astype(np.int64) - found.x).astype(np.float64)
        strong = flags & (counts > self.global_threshold) & (excess > self.sigma_strong * spread)
        return {"mean": found.mean, "dispersion": found.dispersion, "flags": flags, "strong": strong}


@hookimpl
def smalti_spot_finders() -> Sequence[type[Dispersion]]:
    """Bring the plain dispersion finder."""
    return [Dispersion]

"""No judging of residuals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from smalti.hookspecs import API, hookimpl

SMALTI_API = API


@dataclass(frozen=True)
class NoOutliers:
    """Keep every reflection at full weight."""

    name: ClassVar[str] = "none"

    def weights(
        self, residuals: NDArray[np.float64], sigmas: NDArray[np.float64], strata: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Give weight 1 to all, (N,)."""
        return np.ones(len(residuals))


@hookimpl
def smalti_outlier_rejectors() -> Sequence[type[NoOutliers]]:
    """Bring the rejector that rejects nothing."""
    return [NoOutliers]

"""The block of parameters of one detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.arrangement import with_arrangement
from smalti.models import Detector
from smalti.roles import DetectorParameterisation
from smalti.solution import PanelDerivatives, Parameter, Prior
from smalti.steps.answers import derivatives_of, displaced_by, parameters_of, prior_of

__all__ = ["DetectorBlock"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DetectorBlock:
    """The parameters that a plugin gives one detector.

    Several detectors that are one and the same share their tiles: ``leader`` is the number of the first (0:
    the detector is alone), ``below`` tells which parameters move tiles within the frame of the root, and
    ``arrangement`` is what they start from in all.
    """

    detector: Detector
    parameterisation: DetectorParameterisation
    number: int
    leader: int = 0
    arrangement: Detector | None = None
    below: tuple[bool, ...] = ()

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Name them Detector1Group12Tau2, ..."""
        own = parameters_of(self.parameterisation, self.detector)
        return tuple(replace(item, name=f"Detector{self.number}{item.name}") for item in own)

    @property
    def start(self) -> Array:
        """All are increments."""
        return np.zeros(len(self.parameters))

    @cached_property
    def prior(self) -> Prior:
        """What the plugin says; groups are those of one detector."""
        own = prior_of(self.parameterisation, self.detector, len(self.parameters))
        return replace(own, groups=tuple(g and f"detector {self.number}, {g}" for g in own.groups))

    def compose(self, p: Array) -> Detector:
        """Give the detector at p (n,)."""
        if not p.any():
            return self.detector
        if self.arrangement is None:
            return displaced_by(self.parameterisation, self.detector, p)
        # Tiles are worked out where the first detector stands: the same numbers to the last bit in all.
        tiles = displaced_by(self.parameterisation, self.arrangement, np.where(self.below, p, 0.0))
        whole = displaced_by(self.parameterisation, self.detector, np.where(self.below, 0.0, p))
        return with_arrangement(whole, tiles)

    def derivatives(self, p: Array) -> PanelDerivatives:
        """Give the derivatives of its panel frames."""
        return derivatives_of(self.parameterisation, self.detector, p)

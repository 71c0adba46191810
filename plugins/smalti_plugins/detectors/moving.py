"""What every parameterisation of rigid bodies does, once it has said which bodies and how they are held."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.solution import PanelDerivatives, Parameter, Prior
from smalti_plugins.detectors import motion
from smalti_plugins.detectors.holding import Priors, Widths, hold
from smalti_plugins.detectors.rigid_bodies import Bodies

__all__ = ["MovingBodies"]

Array = NDArray[np.float64]


class MovingBodies:
    """The methods of a detector parameterisation, for bodies that a component chooses by its options."""

    priors: Priors

    @abstractmethod
    def _bodies(self, detector: Detector) -> Bodies:
        """Choose the bodies of a detector."""

    @abstractmethod
    def _widths(self) -> Widths:
        """Give the tolerances that the user set."""

    def parameters(self, detector: Detector) -> tuple[Parameter, ...]:
        """Name the parameters: Dist ... Tau3 of the root, Group12Dist ... of what is below."""
        return motion.parameters(self._bodies(detector))

    def compose(self, detector: Detector, p: Array) -> Detector:
        """Give the detector displaced by parameters p (n,)."""
        return motion.compose(detector, self._bodies(detector), p)

    def derivatives(self, detector: Detector, p: Array) -> PanelDerivatives:
        """Give the derivatives of all panel frames at p (n,); a panel moves with all its ancestors."""
        return motion.derivatives(detector, self._bodies(detector), p)

    def prior(self, detector: Detector) -> Prior:
        """Give the tolerances as a Gaussian prior about the detector as it is."""
        return hold(detector, self._bodies(detector), self._widths(), self.priors)

    def gauge(self, detector: Detector) -> Array:
        """Give the motions in which a parent goes one way and all its children go back, (g, n)."""
        return motion.gauge(self._bodies(detector))

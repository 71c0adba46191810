"""A detector parameterisation that is asked the same for every group of crystals, and answers once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.roles import DetectorParameterisation
from smalti.solution import PanelDerivatives, Parameter, Prior

__all__ = ["Remembered"]

Array = NDArray[np.float64]
T = TypeVar("T")

_KEPT = 8


@dataclass
class Remembered:
    """Stands in for a parameterisation and keeps its last answers; all are about one detector.

    Attributes
    ----------
    own : DetectorParameterisation
    """

    name: ClassVar[str] = "remembered"

    own: DetectorParameterisation
    _answers: OrderedDict[tuple[Any, ...], Any] = field(default_factory=OrderedDict, repr=False)

    def _once(self, key: tuple[Any, ...], ask: Callable[[], T]) -> T:
        if key not in self._answers:
            self._answers[key] = ask()
            while len(self._answers) > _KEPT:
                self._answers.popitem(last=False)
        answer: T = self._answers[key]
        return answer

    def parameters(self, detector: Detector) -> tuple[Parameter, ...]:
        """As the own one."""
        return self._once(("parameters", id(detector)), lambda: self.own.parameters(detector))

    def compose(self, detector: Detector, p: Array) -> Detector:
        """As the own one."""
        return self._once(("compose", id(detector), p.tobytes()), lambda: self.own.compose(detector, p))

    def derivatives(self, detector: Detector, p: Array) -> PanelDerivatives:
        """As the own one."""
        return self._once(("slopes", id(detector), p.tobytes()), lambda: self.own.derivatives(detector, p))

    def prior(self, detector: Detector) -> Prior:
        """As the own one."""
        return self._once(("prior", id(detector)), lambda: self.own.prior(detector))

    def gauge(self, detector: Detector) -> Array:
        """As the own one."""
        return self._once(("gauge", id(detector)), lambda: self.own.gauge(detector))

"""A source that remembers its last linearisation, so that nobody makes it twice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.roles import NormalSource
from smalti.solution import NormalEquations

__all__ = ["Remembering"]

Array = NDArray[np.float64]


@dataclass
class Remembering:
    """Stands in for a source; where a minimiser ends it has usually linearised last.

    Attributes
    ----------
    source : NormalSource
    last : NormalEquations or None
    """

    source: NormalSource
    last: NormalEquations | None = field(default=None, init=False)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return self.source.n_parameters

    def objective(self, p: Array) -> float:
        """As the source."""
        return self.source.objective(p)

    def normal_equations(self, p: Array) -> NormalEquations:
        """As the source; those of the same point (n,) as last time are given again.

        Where spots are predicted so far off that derivatives overflow the objective is infinite, as where
        they cannot be predicted at all: a trial step that leads there is refused.
        """
        if self.last is None or not np.array_equal(self.last.parameters, p):
            now = self.source.normal_equations(p)
            finite = np.isfinite(now.matrix).all() and np.isfinite(now.gradient).all()
            self.last = now if finite else replace(now, objective=np.inf)
        return self.last

    def residuals(self, p: Array) -> Array:
        """As the source."""
        return self.source.residuals(p)

    def jacobian(self, p: Array) -> Any:
        """As the source."""
        return self.source.jacobian(p)

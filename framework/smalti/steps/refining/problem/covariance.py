"""The covariance of very many parameters in the blocks that are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.partition import Partition

__all__ = ["Covariance"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Covariance:
    """Covariance of n parameters: of all shared ones together, and of each crystal's own.

    What a crystal's own have in common with shared ones and with those of other crystals is in neither block;
    nothing that is told depends on parameters of both kinds. Where no crystal was eliminated
    all parameters are shared.

    Attributes
    ----------
    partition : Partition
    shared : (g, g)
    own : (K, m, m)
        Rows and columns that a crystal does not have are 0.
    """

    partition: Partition
    shared: Array
    own: Array

    @classmethod
    def joint(cls, matrix: Array) -> Covariance:
        """Take the covariance (n, n) of parameters that are all shared."""
        return cls(Partition.joint(len(matrix)), matrix, np.zeros((0, 0, 0)))

    @cached_property
    def variances(self) -> Array:
        """Variance of each parameter, (n,)."""
        out = np.empty(self.partition.n)
        out[self.partition.shared] = np.diag(self.shared)
        return self.partition.with_crystals(out, np.einsum("kii->ki", self.own))

    def of(self, slopes: Array, columns: NDArray[np.intp]) -> Array:
        """Give the covariance (r, r) of what depends on some parameters.

        Parameters
        ----------
        slopes : (r, c)
            Derivatives by these parameters.
        columns : (c,) intp
            Which they are: all shared, or all of one crystal.
        """
        place, owner = self.partition.place[columns], self.partition.owner[columns]
        if not len(columns) or owner[0] < 0:
            block = self.shared
        else:
            block = self.own[owner[0]]
        assert (owner == owner[:1]).all()
        return np.asarray(slopes @ block[np.ix_(place, place)] @ slopes.T)

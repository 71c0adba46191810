"""What a refinement knows of its own errors, saved beside the models that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.storage.records import Record

__all__ = [
    "COVARIANCE_SUFFIX",
    "Covariances",
    "CrystalBlocks",
    "Motions",
    "read_covariances",
    "write_covariances",
]

Array = NDArray[np.float64]

COVARIANCE_SUFFIX = ".covariance.h5"


@dataclass(frozen=True)
class Motions:
    """Motions of P panels and their joint covariance.

    Attributes
    ----------
    values : (P, 6) mm, rad
    covariance : (6 P, 6 P)
        Panel by panel.
    """

    values: Array
    covariance: Array

    def of_panel(self, k: int) -> Array:
        """Give the covariance of one panel, (6, 6)."""
        return self.covariance[6 * k : 6 * k + 6, 6 * k : 6 * k + 6]


@dataclass(frozen=True)
class CrystalBlocks:
    """Parameters of K crystals that were eliminated, each with up to m of its own.

    Attributes
    ----------
    names : (K,) tuple of tuple of str
        Empty strings where a crystal has fewer.
    values : (K, m)
    covariance : (K, m, m)
        Of each crystal's own; with others they have no block.
    """

    names: tuple[tuple[str, ...], ...]
    values: Array
    covariance: Array


@dataclass(frozen=True)
class Covariances:
    """What a refinement knows of its own errors.

    Attributes
    ----------
    names, units : tuple of str
        Of the n free parameters; without those of crystals that were eliminated.
    values, shifts, prior_share : (n,)
    covariance : (n, n)
        In the units of the parameters.
    panels : tuple of (int, int, str)
        Number of the detector (from 1), flat number of the panel in it, name.
    relative : Motions
        Beyond the motion of the detector as a whole, in the axes of each panel before.
    laboratory : Motions
        From where the panels were, laboratory axes.
    cells : (C, 7)
        a, b, c, alpha, beta, gamma, volume of each crystal.
    cell_covariance : (C, 7, 7)
    crystals : CrystalBlocks or None
        What was eliminated.
    history : tuple of Record
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    values: Array
    shifts: Array
    prior_share: Array
    covariance: Array
    panels: tuple[tuple[int, int, str], ...]
    relative: Motions
    laboratory: Motions
    cells: Array
    cell_covariance: Array
    crystals: CrystalBlocks | None = None
    history: tuple[Record, ...] = field(default=())


def write_covariances(path: Path, what: Covariances, history: Sequence[Mapping[str, Any]] = ()) -> None:
    """Write covariances as HDF5, whole or not at all.

    Parameters
    ----------
    path : Path
    what : Covariances
    history : sequence of Mapping
        What led here; the one of ``what`` itself is not looked at.
    """
    # As for tables: the library takes longer to load than most commands take to run.
    from smalti.storage.covariances_hdf5 import write

    write(path, what, history)


def read_covariances(path: Path) -> Covariances:
    """Read what :func:`write_covariances` wrote.

    Raises
    ------
    InputError
        The file is damaged, or something else.
    """
    from smalti.storage.covariances_hdf5 import read

    return read(path)

"""Values that roles hand to one another: candidates, normal equations, solutions."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Beam, Detector, Goniometer

__all__ = [
    "Candidate",
    "Ended",
    "FrameHeader",
    "Match",
    "NormalEquations",
    "PanelDerivatives",
    "Parameter",
    "PointCloud",
    "Prior",
    "Solution",
    "Step",
]

Array = NDArray[np.float64]


class Match(IntEnum):
    """How well a reader understands a file; the highest wins."""

    NO = 0
    CONTAINER = 1
    """The bytes can be read, the geometry is a guess from general header words."""
    FORMAT = 2
    """The format is known and its header says where the detector was."""
    INSTRUMENT = 3
    """Made for this very instrument."""


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What the header of one image says.

    Attributes
    ----------
    beam, detector, goniometer
        Equal models (``==``) in consecutive images belong to one sweep. The detector is the panel
        tree, each panel with its window on the raw frame.
    start, width : float
        Rotation at the start of the image and width of the image, radians; a still has width 0.
    exposure : float
        Seconds.
    epoch : float
        Seconds since 1970, 0 when unknown.
    size : tuple of int
        Fast and slow size of the raw frame, pixels.
    notes : tuple of str
        What the reader had to assume because the header does not say it; shown once per sweep.

    A wavelength of 0, and a detector through the sample (distance 0), mean that the header says
    nothing of them: the user has to.
    """

    beam: Beam
    detector: Detector
    goniometer: Goniometer | None
    start: float
    width: float
    exposure: float
    epoch: float
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointCloud:
    """Spots in reciprocal space, for an indexer.

    Attributes
    ----------
    points : (N, 3) 1/Angstrom
        Reciprocal-lattice points turned back to rotation angle 0.
    angles : (N,) rad
        Rotation angle at which each was seen.
    sweeps : (N,) int
        Number of the experiment (sweep) of each.
    axis : (3,)
        Unit rotation axis in the frame of the points.
    smear : float
        Expected error of a point, 1/Angstrom (0: unknown).
    """

    points: Array
    angles: Array
    sweeps: NDArray[np.intp]
    axis: Array
    smear: float = 0.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A lattice that an indexer proposes.

    Attributes
    ----------
    A : (3, 3) 1/Angstrom
        Columns a*, b*, c*, at rotation angle 0.
    score : float
        The indexer's own figure of merit; higher is better.
    notes : str
        Anything the log should say.
    """

    A: Array
    score: float
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Name, unit and meaning of one refined parameter.

    Attributes
    ----------
    name : str
        ``Detector1Group12Tau2``: model, group (from 1), parameter.
    unit : str
        "mm", "mrad", "1/Angstrom", ...; the unit of the parameter's value.
    panels : tuple of int
        The panels that it moves; empty for beam and crystal.
    label : str
        Name for people: ``p12 Tau2``.
    """

    name: str
    unit: str
    panels: tuple[int, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Prior:
    """Independent Gaussian priors.

    Attributes
    ----------
    mean : (n,)
        In the unit of each parameter.
    precision : (n,)
        1/sigma^2; 0 is no prior.
    groups : tuple of str
        Empty, or for each parameter the name of those that are alike ("level 1, in plane"); "" for one
        that is like no other.
    learn : bool
        Whether the data may tell the common width of each group.
    """

    mean: Array
    precision: Array
    groups: tuple[str, ...] = ()
    learn: bool = False


@dataclass(frozen=True, slots=True)
class PanelDerivatives:
    """Derivatives of panel frames with respect to the few parameters each depends on.

    Attributes
    ----------
    columns : (P, k) int32
        Number of the parameter, -1 for an unused place.
    values : (P, k, 3, 3)
        d(fast | slow | origin)/dp in the laboratory; columns of the last two axes as in
        ``Detector.stacked`` (origin in mm, per unit of the parameter).
    """

    columns: NDArray[np.int32]
    values: Array


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """The weighted least-squares problem, linearised at one point.

    With residuals r = calc - obs and weights w: ``objective`` = 1/2 sum w r^2 (+ priors),
    ``gradient`` = J^T W r, ``matrix`` = J^T W J.

    Attributes
    ----------
    parameters : (n,)
        The point of linearisation.
    objective : float
    gradient : (n,)
    matrix : (n, n)
        Symmetric. Whatever was eliminated (crystals of a many-crystal solve) is already folded in.
    rmsd : tuple of float
        RMS residuals: mm, mm, rad.
    n_reflections : int
    """

    parameters: Array
    objective: float
    gradient: Array
    matrix: Array
    rmsd: tuple[float, float, float]
    n_reflections: int


class Ended(Enum):
    """Why a minimiser stopped, in the words shown to users."""

    RMSD_CONVERGED = "RMSD no longer decreasing"
    STEP_TOO_SMALL = "The step became too small to matter"
    GRADIENT_TOO_SMALL = "The gradient vanished"
    RMSD_TARGET = "RMSD target achieved"
    MAX_STEPS = "The maximum number of steps was reached"
    OBJECTIVE_INCREASED = "The objective increased"
    DAMPING_LIMIT = "No damping gives a better point"
    NOTHING_TO_REFINE = "There are no free parameters"

    @property
    def converged(self) -> bool:
        """Whether the end is a minimum, not an exhaustion."""
        return self not in (Ended.MAX_STEPS, Ended.OBJECTIVE_INCREASED, Ended.DAMPING_LIMIT)


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the table of steps."""

    number: int
    n_reflections: int
    rmsd: tuple[float, float, float]
    objective: float
    step_norm: float = 0.0
    damping: float = 0.0


@dataclass(frozen=True, slots=True)
class Solution:
    """What a minimiser found.

    Attributes
    ----------
    parameters : (n,)
    objective : float
    steps : tuple of Step
        Step 0 is the start.
    ended : Ended
    covariance : (n, n) or None
        Inverse of the undamped normal matrix at the end, *not* scaled by reduced chi-squared; None
        leaves it to the core.
    details : Mapping
        Anything worth keeping in the JSON.
    """

    parameters: Array
    objective: float
    steps: tuple[Step, ...]
    ended: Ended
    covariance: Array | None = None
    details: dict[str, Any] = field(default_factory=dict)

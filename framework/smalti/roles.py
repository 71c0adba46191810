"""What the objects that plugins bring can do: one Protocol per role.

A component is a frozen dataclass with ``name: ClassVar[str]``; its fields, declared with
:func:`smalti.options.option`, are its options and all have defaults. A component holds no state:
everything it needs comes in, everything it makes goes out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from smalti.charts import Section
from smalti.models import Detector, Experiments
from smalti.solution import (
    Candidate,
    FrameHeader,
    Match,
    NormalEquations,
    PanelDerivatives,
    Parameter,
    PointCloud,
    Prior,
    Solution,
)
from smalti.tables import Reflections

__all__ = [
    "ROLES",
    "Choosable",
    "DetectorParameterisation",
    "Explaining",
    "Growing",
    "Indexer",
    "Linking",
    "Minimiser",
    "NormalSource",
    "OutlierRejector",
    "Reader",
    "ReportSection",
    "Series",
    "SpotFinder",
]

Array = NDArray[np.float64]


class Series(Protocol):
    """Images that a reader has opened; frames and headers are read when asked for."""

    def __len__(self) -> int:
        """Number of frames."""

    def header(self, index: int) -> FrameHeader:
        """Give the models of one frame (index from 0)."""

    def read(self, index: int) -> NDArray[Any]:
        """Give the raw counts of one frame: (slow, fast), an integer type, C-contiguous.

        Values below the trusted range mark pixels without a measurement. Safe to call from several
        threads at once.
        """

    def mask(self) -> NDArray[np.bool_] | None:
        """Give the pixels that the file declares good (True), (slow, fast); None when it says nothing."""


@runtime_checkable
class Growing(Protocol):
    """A series whose files may still be written: readers of containers add this to :class:`Series`."""

    def refreshed(self) -> Series:
        """Give the series as its files are now; nothing that was read of them before is remembered."""


@runtime_checkable
class Linking(Protocol):
    """A reader of files that name others for their pixels: it adds this to :class:`Reader`."""

    def linked(self, path: Path) -> Sequence[Path]:
        """Give the files that a file names for its pixels, whether they are there or not.

        Of a folder or pattern that holds both, only the file that names the others is imported.
        """


@runtime_checkable
class Reader(Protocol):
    """Understands one image format."""

    name: ClassVar[str]

    def match(self, path: Path, head: bytes) -> Match:
        """Tell how well this reader understands a file.

        Parameters
        ----------
        path : Path
            The file; ``.gz`` and ``.bz2`` are already undone in ``head``.
        head : bytes
            The first bytes of its (decompressed) contents, at least 4096 where there are as many.
        """

    def open(self, paths: Sequence[Path]) -> Series:
        """Open the images of one series, in order; does not read pixels yet.

        Raises
        ------
        InputError
            The file is truncated or corrupted; names file and place.
        """


@runtime_checkable
class SpotFinder(Protocol):
    """Finds the strong pixels of one frame."""

    name: ClassVar[str]

    def find(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Give the strong pixels of one frame.

        Parameters
        ----------
        counts : (slow, fast) int32
        mask : (slow, fast) bool
            True where a pixel may be used.

        Returns
        -------
        (M,) intp
            Flat indices slow * n_fast + fast, ascending.
        """


@runtime_checkable
class Explaining(Protocol):
    """What a spot finder may offer besides: the images that lead to its strong pixels."""

    def explain(self, counts: NDArray[np.int32], mask: NDArray[np.bool_]) -> Mapping[str, NDArray[Any]]:
        """Give images by name, (slow, fast) each: of numbers, or bool; "strong" is what ``find`` finds."""


@runtime_checkable
class Indexer(Protocol):
    """Finds lattices in a cloud of reciprocal-lattice points."""

    name: ClassVar[str]

    def candidates(
        self, cloud: PointCloud, max_cell: float, known_cell: tuple[float, ...] | None = None
    ) -> Sequence[Candidate]:
        """Propose lattices, best first.

        Parameters
        ----------
        cloud : PointCloud
        max_cell : float
            Longest cell axis to look for, Angstrom.
        known_cell : tuple of six float, optional
            a b c (Angstrom) alpha beta gamma (degrees) of the primitive cell, where known.
        """


@runtime_checkable
class DetectorParameterisation(Protocol):
    """Turns a few numbers into displacements of the panels of a detector."""

    name: ClassVar[str]

    def parameters(self, detector: Detector) -> tuple[Parameter, ...]:
        """Name the n parameters of this detector."""

    def compose(self, detector: Detector, p: Array) -> Detector:
        """Give the detector displaced by parameters p (n,); p = 0 is the detector itself."""

    def derivatives(self, detector: Detector, p: Array) -> PanelDerivatives:
        """Give the derivatives of all panel frames at p (n,)."""

    def prior(self, detector: Detector) -> Prior:
        """Give the Gaussian prior of the parameters (precision 0 where there is none)."""

    def gauge(self, detector: Detector) -> Array:
        """Give the directions in parameter space that no data can see, (g, n)."""


@runtime_checkable
class Choosable(Protocol):
    """What a detector parameterisation may offer besides: forms of itself that the data choose from."""

    def alternatives(self, detector: Detector) -> Mapping[str, DetectorParameterisation]:
        """Give the forms worth comparing on this detector, simplest first, by names for people.

        Each must be ready for use as it is; options that are no matter of choice (tolerances, priors)
        are those of this component. A refinement compares them by reflections that it holds out.
        """


class NormalSource(Protocol):
    """The problem that a minimiser solves."""

    @property
    def n_parameters(self) -> int:
        """Number of free parameters n."""

    def objective(self, p: Array) -> float:
        """Give 1/2 sum w r^2 plus priors at p (n,); infinite where a prediction is impossible."""

    def normal_equations(self, p: Array) -> NormalEquations:
        """Linearise at p (n,)."""

    def residuals(self, p: Array) -> Array:
        """Give sqrt(w) r, (m,), priors included: for solvers that want them."""

    def jacobian(self, p: Array) -> Any:
        """Give d(residuals)/dp as a scipy sparse matrix (m, n): for solvers that want it."""


@runtime_checkable
class Minimiser(Protocol):
    """Finds the minimum of a least-squares problem."""

    name: ClassVar[str]

    def minimise(self, source: NormalSource, start: Array) -> Solution:
        """Minimise from ``start`` (n,)."""


@runtime_checkable
class OutlierRejector(Protocol):
    """Judges residuals; the core says which belong together."""

    name: ClassVar[str]

    def weights(self, residuals: Array, sigmas: Array, strata: NDArray[np.intp]) -> Array:
        """Give each reflection a weight in [0, 1]; 0 is rejected.

        Parameters
        ----------
        residuals : (N, k)
            calc - obs, in the units of ``sigmas``.
        sigmas : (N, k)
            Standard deviations.
        strata : (N,) int
            Reflections with the same number are judged together (experiment x panel x phi block).
        """


@runtime_checkable
class ReportSection(Protocol):
    """Adds a section to the report, as data: the page draws it."""

    name: ClassVar[str]

    def section(
        self, experiments: Experiments, reflections: Reflections, figures: Mapping[str, Any]
    ) -> Section | None:
        """Give a section; None where the data have nothing for it.

        Parameters
        ----------
        experiments, reflections
            As the report got them.
        figures : Mapping
            What the report says itself: the contents of its JSON file.
        """


ROLES: dict[str, type[Any]] = {
    "reader": Reader,
    "spot_finder": SpotFinder,
    "indexer": Indexer,
    "detector_parameterisation": DetectorParameterisation,
    "minimiser": Minimiser,
    "outlier_rejector": OutlierRejector,
    "report_section": ReportSection,
}
"""The roles by the name used on the command line and in reports."""

"""The tutorial's thaumatin as ``smalti simulate`` makes it, with headers that are wrong in many ways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from smalti.errors import DataError
from smalti.geometry.lattice import cell_of, multiple, niggli
from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Experiments
from smalti.models.frames import vector
from smalti.steps.indexing import IndexOptions, index
from smalti.steps.simulating.instrument import nominal
from smalti.steps.simulating.options import SimulateOptions
from smalti.steps.simulating.simulator import simulate
from smalti.storage import read_reflections
from smalti.tables import Reflections
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.indexers.wedge_fft import WedgeFFT
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.mcd import MinimumCovarianceDeterminant

COMPONENTS = (WedgeFFT(), Hierarchical(), LevenbergMarquardt(), MinimumCovarianceDeterminant())
DISTANCE = 400.0


@dataclass(frozen=True)
class Case:
    """What is wrong with a data set.

    Attributes
    ----------
    off : px
        Of the beam centre; its direction turns with the seed unless ``towards`` gives it (fast, slow).
    scale : float
        The header's distance over the true one.
    tilt : deg
        Of the spindle, in a direction that turns with the seed.
    spurious : float
        Part of the spots.
    spots : int
        Keep so many; 0 keeps all.
    images : int
        Of one degree.
    panels : float
        Size of the misplacement of panels, in that of ``smalti simulate``. Without any, the place of the beam
        is defined to better than the tenth of a pixel that is asked for.
    """

    off: float = 13.0
    towards: tuple[float, float] | None = None
    scale: float = 1.0
    tilt: float = 0.0
    spurious: float = 0.17
    spots: int = 0
    images: int = 360
    panels: float = 0.0


CASES = {
    "beam right": Case(0.0),
    "beam 12 px off": Case(12.0),
    "beam 20 px off": Case(20.0),
    "beam 30 px off": Case(30.0),
    "beam 36 px off": Case(36.0),
    "(12, 5) px and distance +1.5 %": Case(towards=(12.0, 5.0), scale=1.015),
    "distance -8 %": Case(scale=0.92),
    "distance +6 %": Case(scale=1.06),
    "spindle tilted by 0.5 deg": Case(tilt=0.5),
    "half of the spots spurious": Case(spurious=0.5),
    "300 spots": Case(spots=300),
    "20 deg": Case(images=20),
    "panels misplaced by 60 um": Case(panels=1.0),
}


@dataclass(frozen=True)
class Twin:
    """A data set as imported and found, and what it really is."""

    experiments: Experiments
    spots: Reflections
    crystal: Crystal
    push: tuple[float, float]


@dataclass(frozen=True)
class Outcome:
    """What indexing made of a twin.

    Attributes
    ----------
    right : bool
        The primitive lattice, its orientation included, is the true one.
    cell : float
        Largest relative error of an axis.
    errors, esds : (2,) px
        Of the place of the beam as found from the phases, and what was stated of them.
    certain : bool
        Whether the shift was said to be the only one.
    remark : str
        The error, where there was one.
    """

    right: bool
    cell: float = np.nan
    errors: tuple[float, ...] = ()
    esds: tuple[float, ...] = ()
    certain: bool = False
    remark: str = ""

    @property
    def shift(self) -> float:
        """Largest error of the place of the beam, px."""
        return max(map(abs, self.errors), default=float("inf"))


def made(case: Case, seed: int) -> Twin:
    """Simulate one data set."""
    direction = np.radians(47.0 * seed + 10.0)
    push = case.towards or (
        round(case.off * float(np.cos(direction)), 2),
        round(case.off * float(np.sin(direction)), 2),
    )
    options = replace(_options(seed, case), header_beam_error=push)
    item = nominal(replace(options, header_distance_error=round(DISTANCE * (case.scale - 1.0), 2)))
    if case.tilt:
        across = np.array([0.0, np.cos(direction), np.sin(direction)])
        axis = rotation(across, np.radians(case.tilt)) @ np.array([1.0, 0.0, 0.0])
        assert item.goniometer is not None
        item = replace(item, goniometer=replace(item.goniometer, rotation_axis=vector(axis)))
    spots, crystal = _simulated(options.n_images, case.panels, seed)
    return Twin(Experiments((item,)), _chosen(spots, case, seed), crystal, push)


def _options(seed: int, case: Case) -> SimulateOptions:
    standard = SimulateOptions()
    fast, slow, normal = (case.panels * value for value in standard.shift)
    about_fast, about_slow, about_normal = (case.panels * value for value in standard.turn)
    return SimulateOptions(
        output="strong", n_images=case.images, width=1.0, counts=10.0, d_min=2.6, outliers=0.5, seed=seed + 1,
        shift=(fast, slow, normal), turn=(about_fast, about_slow, about_normal),
    )  # fmt: skip


@lru_cache(maxsize=3)
def _simulated(images: int, panels: float, seed: int) -> tuple[Reflections, Crystal]:
    """Spots and crystal: headers that are wrong change neither."""
    with TemporaryDirectory() as folder:
        path = Path(folder)
        simulated = simulate(_options(seed, Case(images=images, panels=panels)), path)
        assert simulated.truth.crystal is not None
        return read_reflections(path / "strong.refl"), simulated.truth.crystal


def _chosen(spots: Reflections, case: Case, seed: int) -> Reflections:
    """Keep so many spurious spots, and of all so many, as the case asks for."""
    rng = np.random.default_rng([seed, 9])
    # centroids of spurious spots have the variance of a single image
    spurious = np.abs(spots["xyzobs.px.value"][:, 2] % 1.0 - 0.5) < 1e-9
    spurious &= np.abs(spots["xyzobs.px.variance"][:, 2] * spots["intensity.sum.value"] - 1.0 / 12.0) < 1e-6
    real, junk = np.flatnonzero(~spurious), np.flatnonzero(spurious)
    want = round(real.size * case.spurious / (1.0 - case.spurious))
    rows = np.concatenate([real, rng.choice(junk, want, replace=False)])
    if case.spots:
        rows = rng.choice(rows, case.spots, replace=False)
    return spots.take(np.sort(rows))


def outcome(twin: Twin, options: IndexOptions | None = None) -> Outcome:
    """Index a twin and compare with its truth."""
    try:
        result = index(twin.experiments, twin.spots, *COMPONENTS, options or IndexOptions())
    except DataError as error:
        return Outcome(False, remark=f"{error.what} {error.why}")
    truth, found = np.array(twin.crystal.real_space), np.array(result.crystal.real_space)
    axes = np.array(cell_of(niggli(found)[0])[:3]) / np.array(cell_of(niggli(truth)[0])[:3])
    (shift,) = result.shifts
    return Outcome(
        multiple(found, truth, 0.05) == 1,
        float(np.abs(axes - 1.0).max()),
        tuple(np.subtract(shift.pixels, twin.push).tolist()),
        shift.esd,
        shift.alternatives == 1,
    )

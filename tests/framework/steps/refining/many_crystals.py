"""Small problems of several crystals, sweeps and stills, for tests: sources without tables."""

from dataclasses import replace
from functools import cache

import numpy as np

from smalti.geometry.derivatives import Spots, predict
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Experiment, Experiments, Goniometer, Scan
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations, Traits
from smalti.steps.refining.problem.restraints import restraints_of
from smalti.steps.refining.problem.source import RotationSource
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical

SIGMA = np.array([0.02, 0.02, 1e-3])

CELL = (156.0, 157.0, 76.0, 90.0, 91.0, 90.0)


def experiments_of(kind: str, count: int = 5) -> Experiments:
    """Make experiments of one detector: wedges, stills, mixed, several (sweeps of a crystal), apart.

    Apart have beams and goniometers of their own.
    """
    detector = synthetic.detector("PILATUS 300K", 120.0)
    beam, goniometer = Beam((0.0, 0.003, 0.9999955), 0.98), Goniometer((1.0, 0.0, 0.0))
    out = []
    for k in range(count):
        crystal = synthetic.crystal(CELL, " P 2y", (0.3 + 0.7 * k, 1.1 - 0.4 * k, 2.0 + 0.2 * k))
        own = replace(beam) if kind == "apart" else beam
        turning = replace(goniometer, setting_rotation=_setting(k)) if kind == "apart" else goniometer
        scan = Scan((1, 20), (0.1 * k, np.radians(0.2)))
        still = kind == "stills" or (kind == "mixed" and k % 2)
        if still:
            out.append(Experiment(own, detector, None, None, crystal))
            continue
        out.append(Experiment(own, detector, turning, scan, crystal))
        if kind == "several" and k % 2:
            other = replace(goniometer, setting_rotation=_setting(k))
            out.append(Experiment(own, detector, other, Scan((1, 20), (1.0, np.radians(0.2))), crystal))
    return Experiments(tuple(out))


def _setting(k):
    turn = rotation([0.0, 0.6, 0.8], 0.05 * (k + 1))
    return tuple(tuple(float(x) for x in row) for row in turn)


@cache
def source_of(kind="wedges", count=5, per_crystal=60, level=1, noise=1.0, **options) -> RotationSource:
    """Make a source at p = 0, of models that are a little wrong, and data of others."""
    chosen = RefineOptions(n_threads=1, **options)
    layout = Layout.of(experiments_of(kind, count), Hierarchical(level=level), chosen)
    rng = np.random.default_rng(7)
    truth = layout.state(_displacement(layout, rng))
    parts = [_spots(truth, layout, e, per_crystal, rng) for e in range(len(layout.uses))]
    spots = Spots(*(np.concatenate([getattr(part, name) for part in parts]) for name in Spots.__slots__))
    observed, _ = predict(truth, spots)
    observed = observed + noise * SIGMA * rng.normal(size=observed.shape)
    observed[truth.stills[spots.experiment], 2] = 0.0
    n = len(observed)
    still = truth.stills[spots.experiment]
    traits = Traits(
        unit=np.ones((n, 3)), intensity=np.ones(n), zeta=np.ones(n), unseen=np.zeros(n),
        single=np.zeros(n, dtype=bool), still=still, theta=np.full(n, 0.1),
    )  # fmt: skip
    angle = np.where(still, 0.0, observed[:, 2])
    spots = replace(spots, angle=angle)
    data = Observations.of(np.arange(n), spots, observed, np.tile(SIGMA**2, (n, 1)), traits)
    return RotationSource(layout, data, 1.0 / data.variance, layout.prior, 1, restraints_of(layout, chosen))


def _displacement(layout, rng):
    """A point a little away from p = 0, in the units of each kind of parameter."""
    size = {"mm": 0.03, "mrad": 0.3, "1/Angstrom": 0.0}
    p = np.array([size.get(item.unit, 0.02) for item in layout.parameters])
    return p * rng.normal(size=len(p))


def _spots(state, layout, e, count, rng) -> Spots:
    """Reflections of one experiment that hit the detector, within a little of the Ewald sphere for stills."""
    many = 160_000 if state.stills[e] else 60_000
    h = rng.integers(-40, 41, (many, 3)).astype(float)
    h[:, 2] = np.rint(h[:, 2] / 2.0)
    number = np.full(many, e)
    first = layout.panel_offset[layout.uses[e]["detector"]]
    panel = first + rng.integers(0, layout.n_panels, many)
    middle = 0.0 if state.stills[e] else 0.1 * e
    spots = Spots(h, rng.random(many) < 0.5, np.full(many, middle), number, panel)
    with np.errstate(invalid="ignore", divide="ignore"):
        xyz, _ = predict(state, spots)
        size = np.array([item.size_mm for item in layout.experiments[e].detector.panels])[panel - first]
        good = (xyz[:, :2] > 1.0).all(axis=1) & (xyz[:, :2] < size - 1.0).all(axis=1)
        good &= np.abs(xyz[:, 2]) < 0.003 if state.stills[e] else np.isfinite(xyz[:, 2])
        good &= h.any(axis=1)
    chosen = np.flatnonzero(good)[:count]
    assert len(chosen) == count
    return spots.take(chosen)

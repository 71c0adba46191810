"""Made-up sweeps for the tests of indexing: strong spots as a finder leaves them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.models import Experiments
from smalti.steps.indexing.centre import plane_axes
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.indexers.wedge_fft import WedgeFFT
from smalti_plugins.minimisers.levenberg_marquardt import LevenbergMarquardt
from smalti_plugins.outliers.tukey import Tukey

COMPONENTS = (Hierarchical(), LevenbergMarquardt(), Tukey())
FAST = WedgeFFT(grid=160)
SMALL_CELL = (31.2, 42.5, 55.1, 90.0, 90.0, 90.0)


def pushed(experiments, pixels):
    """Move the detector across the beam by (fast, slow) pixels, as a header with a wrong beam centre does."""
    detector, beam = experiments[0].detector, experiments[0].beam
    fast, slow = plane_axes(detector, beam)
    size = detector.panels[0].pixel_size[0]
    moved = detector.moved({(): (np.eye(3), size * (pixels[0] * fast + pixels[1] * slow))})
    return replace(experiments, items=tuple(replace(item, detector=moved) for item in experiments))


def strong(reflections, n_sweeps=1):
    """Take from a table everything that indexing has to find out."""
    keep = ("panel", "xyzobs.px.value", "xyzobs.px.variance", "intensity.sum.value")
    sweep = reflections["id"] if n_sweeps > 1 else np.zeros(reflections.n_rows, dtype=np.int32)
    return Reflections({name: reflections[name] for name in keep} | {"id": sweep, "imageset_id": sweep})


def sweep(
    rng,
    cell=SMALL_CELL,
    *,
    n=2500,
    images=300,
    push=(0.0, 0.0),
    d_min=2.5,
    spurious=0.0,
    goniometer=None,
    rule=None,
):
    """Give an experiment with the nominal detector, its strong spots, and the true crystal."""
    crystal = synthetic.crystal(cell, " P 1")
    truth = synthetic.experiment(
        synthetic.detector("PILATUS 2M", 250.0), crystal, n_images=images, width=np.radians(0.3)
    )
    if goniometer is not None:
        truth = replace(truth, goniometer=goniometer)
    experiments, table = synthetic.observations(truth, truth, rng, d_min=d_min)
    if rule is not None:
        table = table.where(rule(table["miller_index"]))
    rows = np.sort(rng.choice(table.n_rows, min(n, table.n_rows), replace=False))
    spots = strong(table.take(rows))
    extra = round(spots.n_rows * spurious / (1.0 - spurious))
    if extra:
        junk = spots.take(rng.integers(0, spots.n_rows, extra))
        width, height = truth.detector.panels[0].image_size
        place = np.column_stack(
            [rng.uniform(0, width, extra), rng.uniform(0, height, extra), rng.uniform(0, images, extra)]
        )
        spots = Reflections.concatenate([spots, junk.with_columns({"xyzobs.px.value": place})])
    bare = Experiments(tuple(replace(item, crystal=None) for item in experiments))
    return pushed(bare, push) if any(push) else bare, spots, crystal

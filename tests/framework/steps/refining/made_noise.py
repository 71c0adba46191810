"""Reflections with noise of a known shape: by intensity, panel and nearness to the spindle."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, panel_centres, to_mm, to_px
from smalti.geometry.rotation import rotation
from smalti.models import Crystal, Detector, Experiments
from smalti.steps.predicting import predict_sweep
from smalti.steps.simulating.spots import zeta
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic

LEAST_ZETA = 0.01


@dataclass(frozen=True)
class Made:
    """Truth, what a program starts from, and the true standard deviations (N, 3) mm, mm, rad."""

    truth: Detector
    experiments: Experiments
    table: Reflections
    sigma: NDArray[np.float64]
    zeta: NDArray[np.float64]
    panel_factor: NDArray[np.float64]


def made(seed, n, layout, distance, *, d_min=1.9, n_images=400, widest=3.5, turned=3e-4):
    """Displaced modules, a crystal out by some tenths of a milliradian, and spots down to the spindle.

    Standard deviations of the strongest spots are 0.04 px, of the weakest 0.5 px; variances of the outermost
    panels are ``widest`` times those of the innermost; in the angle they grow with 1/zeta^2, and a little
    along x and y.
    """
    rng = np.random.default_rng(seed)
    detector = synthetic.detector(layout, distance)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=n_images)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.05, 0.042, 0.04)))
    table = predict_sweep(truth, d_min)
    table = table.take(np.sort(rng.choice(table.n_rows, min(n, table.n_rows), replace=False)))
    near, panel = np.abs(zeta(table["s1"], truth)), table["panel"].astype(np.intp)
    factor = panel_factor(truth, widest)
    intensity = rng.lognormal(6.0, 1.2, table.n_rows) + 20.0
    slow = 1.0 / np.maximum(near, LEAST_ZETA) ** 2
    place, angle = 0.04**2 + 6.0 / intensity + 0.005**2 * slow, 0.05**2 + 8.0 / intensity + 0.03**2 * slow
    variance = factor[panel][:, None] * np.column_stack([place, 1.3 * place, angle])
    arrays = PanelArrays.of(truth.detector)
    px = np.column_stack([to_px(table["xyzcal.mm"][:, :2], panel, arrays), table["xyzcal.px"][:, 2]])
    px += rng.normal(size=px.shape) * np.sqrt(variance)
    unit = np.column_stack(
        [arrays.pixel_size[panel], np.full(table.n_rows, abs(nominal.scan.oscillation[1]))]
    )
    said = (1.0 / 12.0 + 1.0 / intensity)[:, None] * np.ones(3)
    columns = positions(px, panel, nominal) | {
        "xyzobs.px.variance": said,
        "xyzobs.mm.variance": said * unit**2,
        "intensity.sum.value": intensity,
        "flags": np.full(table.n_rows, int(Flag.STRONG | Flag.INDEXED), dtype=np.uint64),
    }
    crystal = nominal.crystal
    A = rotation((1.0, 0.0, 0.0), turned) @ rotation((0.0, 1.0, 0.0), -turned) @ crystal.A
    start = replace(nominal, crystal=Crystal.from_A(A, crystal.space_group))
    return Made(
        truth.detector,
        Experiments((start,)),
        table.without("xyzcal.mm", "xyzcal.px").with_columns(columns),
        np.sqrt(variance) * unit,
        near,
        factor,
    )


def panel_factor(experiment, widest):
    arrays = PanelArrays.of(experiment.detector)
    centre = panel_centres(arrays.d, arrays.image_size * arrays.pixel_size)
    angle = np.arccos(centre @ experiment.beam.unit_s0 / np.linalg.norm(centre, axis=1))
    return 1.0 + (widest - 1.0) * (angle / angle.max()) ** 2


def positions(px, panel, experiment):
    """Observed positions in pixels and, by the detector as it is believed to be, in millimetres."""
    mm = to_mm(px[:, :2], panel, PanelArrays.of(experiment.detector))
    return {
        "xyzobs.px.value": px,
        "xyzobs.mm.value": np.column_stack([mm, experiment.scan.angle(px[:, 2])]),
    }


def spoilt(problem, seed, gross=0.1, wrong=0.03):
    """Throw some spots off to one side, and give others the index of a neighbour; tell which are which."""
    rng = np.random.default_rng(1000 + seed)
    table, experiment = problem.table, problem.experiments[0]
    off = rng.random(table.n_rows) < gross
    mislabelled = (rng.random(table.n_rows) < wrong) & ~off
    px, index = np.array(table["xyzobs.px.value"]), np.array(table["miller_index"])
    px[off] += rng.uniform(0.5, 10.0, (int(off.sum()), 3)) * (1.0, 1.0, 0.5)
    step = np.eye(3, dtype=index.dtype)[rng.choice([0, 1, 2, 2], int(mislabelled.sum()))]
    index[mislabelled] += step
    columns = positions(px, table["panel"].astype(np.intp), experiment)
    return table.with_columns(columns | {"miller_index": index}), off, mislabelled

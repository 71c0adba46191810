"""Directions that no data see, released one gauge after the other, and their names."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Experiments
from smalti.solution import PanelDerivatives, Parameter, Prior
from smalti.steps.refining import RefineOptions
from smalti.steps.refining.certainty.modes import determination
from smalti.steps.refining.certainty.reaching import Seen
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.problem.source import RotationSource
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical

GAUGE = ("in_spindle_plane", "wavelength")
SPINDLE = "rotation of everything about the spindle"
BEAM = "rotation of everything about the beam, spindle and all"
TILT = "tilt of everything, spindle and all"
SCALE = "scale of all lengths: wavelength with cell"


def linearised(experiments, table, component, **options):
    """Source at p, layout, and the matrices of the data and of what holds the parameters."""
    settings = RefineOptions(free_fraction=0.0, **options)
    layout = Layout.of(experiments, component, settings)
    data = select(table, layout, settings).observations
    source = RotationSource(layout, data, 1.0 / data.variance, layout.prior)
    p = np.zeros(layout.n)
    held = np.diag(layout.prior.precision)
    with_data = np.bincount(data.spots.panel, minlength=layout.n_panels) > 0
    seen = Seen(with_data, np.ones(len(experiments), dtype=bool))
    N = source.normal_equations(p).matrix - held
    return source, layout, determination(layout, Partition.joint(layout.n), p, N, held, seen)


@pytest.fixture(scope="module")
def sweep():
    """A sweep whose beam is not along an axis, as beams are not, and 1,500 reflections of it."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=300)
    beam = replace(nominal.beam, direction=(0.003, 0.002, np.sqrt(1.0 - 1.3e-5)))
    nominal = replace(nominal, beam=beam)
    return synthetic.observations(nominal, nominal, rng, d_min=2.2, n=1500)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(
    ("released", "expected"),
    [
        ({}, set()),
        ({"fix_beam": ("wavelength",)}, {SPINDLE}),
        ({"fix_beam": ("in_spindle_plane",)}, {SCALE}),
        ({"refine_setting": True}, {BEAM, TILT}),
        ({"fix_beam": (), "refine_setting": True}, {SPINDLE, SCALE, BEAM, TILT}),
    ],
)
def test_null_modes_are_those_of_the_gauges_that_are_released(sweep, level, released, expected):
    source, layout, found = linearised(*sweep, Hierarchical(level=level), **({"fix_beam": GAUGE} | released))
    null = {mode.name: mode for mode in found.modes if mode.null}
    assert set(null) == expected
    assert all(mode.kind == "gauge" for mode in null.values())
    weakest = [mode.eigenvalue for mode in found.modes if not mode.null]
    assert min(weakest) > 1e-6  # far from null: there is nothing between
    assert found.smallest == pytest.approx(0.0 if expected else min(weakest), abs=1e-12)
    start = source.calc_minus_obs(np.zeros(layout.n))
    for mode in null.values():
        step = mode.direction / np.abs(mode.direction).max()
        moved = [source.calc_minus_obs(sign * 1e-3 * step) - start for sign in (1.0, -1.0)]
        slopes = np.abs(0.5 * (moved[0] - moved[1])).max(axis=0)
        one = np.zeros(layout.n)
        one[np.abs(step).argmax()] = 1e-3
        alone = np.abs(source.calc_minus_obs(one) - start).max(axis=0)
        assert slopes.max() < 1e-6 * alone.max(), mode.name


def test_the_number_of_null_eigenvalues_is_that_of_the_modes(sweep):
    """Counted by an ordinary decomposition, where no parent moves with its children."""
    settings = {"fix_beam": (), "refine_setting": True, "weak_priors": False}
    source, layout, found = linearised(*sweep, Hierarchical(level=1, priors=False), **settings)
    N = source.normal_equations(np.zeros(layout.n)).matrix
    scale = 1.0 / np.sqrt(np.diag(N))
    values = np.linalg.eigvalsh(N * np.outer(scale, scale))
    assert np.sum(values < 1e-10) == 4 == sum(mode.null for mode in found.modes)
    assert found.condition > 1e10


def test_smallest_eigenvalue_is_that_of_an_ordinary_decomposition(sweep):
    source, layout, found = linearised(*sweep, Hierarchical(level=0, priors=False), weak_priors=False)
    N = source.normal_equations(np.zeros(layout.n)).matrix
    scale = 1.0 / np.sqrt(np.diag(N))
    values = np.linalg.eigvalsh(N * np.outer(scale, scale))
    assert found.smallest == pytest.approx(values[0], rel=1e-6)
    assert found.condition == pytest.approx(values[-1] / values[0], rel=1e-6)


def test_what_a_narrow_wedge_tells_badly_is_named(sweep):
    experiments, table = sweep
    narrow = table.where(np.abs(table["xyzobs.mm.value"][:, 2] - 0.5) < 0.04)
    _, _, found = linearised(experiments, narrow, Hierarchical(level=0))
    weakest = found.modes[0]
    assert not weakest.null and weakest.kind == "weak"
    assert " against " in weakest.name
    assert sum(share for _, share in weakest.shares) == pytest.approx(1.0, abs=0.02)


def test_distance_and_cell_are_named_as_what_trades(sweep):
    experiments, table = sweep
    options = {"fix_detector": ("orientation",), "fix_crystal": (), "fix": ("Shift", "Mu2", "Phi")}
    _, _, found = linearised(experiments, table, Hierarchical(level=0), **options)
    names = set(found.modes[0].name.split(" against "))
    assert {"distance of the detector", "size of the cell"} <= names


def test_a_panel_without_reflections_is_said_to_have_none(sweep):
    experiments, table = sweep
    _, _, found = linearised(experiments, table.where(table["panel"] != 1), Hierarchical(level=1))
    unseen = [mode for mode in found.modes if mode.kind == "unseen"]
    assert [mode.name for mode in unseen] == ["panel 1: no reflection"]
    assert unseen[0].held == 1.0 and unseen[0].of_panels
    assert not any(mode.null for mode in found.modes if mode.kind != "unseen")
    assert found.smallest > 1e-6 and np.isfinite(found.condition)


class Bellows:
    """A made-up detector that only widens its panels' frames: no motion that has a name."""

    name = "bellows"

    def parameters(self, detector):
        return (Parameter("Width", "%", tuple(range(len(detector)))),)

    def compose(self, detector, p):
        frames = detector.stacked()
        frames[:, :, 2] *= 1.0 + 0.01 * p[0] * np.linspace(-1, 1, len(frames))[:, None] ** 3
        return detector.with_panel_frames(frames)

    def derivatives(self, detector, p):
        slopes = np.zeros((len(detector), 1, 3, 3))
        slopes[:, 0, :, 2] = (
            0.01 * np.linspace(-1, 1, len(detector))[:, None] ** 3 * detector.stacked()[:, :, 2]
        )
        return PanelDerivatives(np.zeros((len(detector), 1), dtype=np.int32), slopes)

    def prior(self, detector):
        return Prior(np.zeros(1), np.zeros(1))

    def gauge(self, detector):
        return np.zeros((0, 1))


def test_what_has_no_name_is_said_to_have_none(sweep):
    held = {"fix_beam": ("all",), "fix_crystal": ("all",)}
    _, layout, found = linearised(*sweep, Bellows(), **held)
    assert layout.n == 1
    assert [mode.name for mode in found.modes] == ["motions without a name"]


def test_two_sweeps_share_what_their_models_share(sweep):
    """Two crystals in front of one detector: everything still turns together, in four ways and no more."""
    experiments, table = sweep
    first = experiments[0]
    other = replace(first, crystal=synthetic.crystal(orientation=(1.0, 0.2, 0.7)), identifier="other")
    rng = np.random.default_rng(6)
    _, second = synthetic.observations(other, other, rng, d_min=2.2, n=1500)
    columns = ("id", "miller_index", "panel", "xyzobs.mm.value", "xyzobs.mm.variance", "entering", "flags")
    both = {name: np.concatenate([table[name], second[name]]) for name in columns}
    both["id"] = np.repeat(np.array([0, 1], dtype=np.int32), [table.n_rows, second.n_rows])
    joined = type(table)(both)
    _, _, found = linearised(
        Experiments((first, other)), joined, Hierarchical(level=0), fix_beam=(), refine_setting=True
    )
    assert {mode.name for mode in found.modes if mode.null} == {SPINDLE, SCALE, BEAM, TILT}


def test_panels_with_few_reflections_do_not_hide_what_is_weak_of_the_whole(sweep):
    experiments, table = sweep
    keep = table["panel"] == 1
    for panel in (0, 2):
        keep[np.flatnonzero(table["panel"] == panel)[:2]] = True
    _, _, found = linearised(experiments, table.where(keep), Hierarchical(level=1))
    weak = [mode for mode in found.modes if mode.kind == "weak"]
    of_panels = [mode for mode in weak if mode.of_panels]
    assert len(of_panels) >= 4 and all("panel" in mode.name for mode in of_panels)
    assert any(not mode.of_panels for mode in weak)
    assert [mode.eigenvalue for mode in weak] == sorted(mode.eigenvalue for mode in weak)

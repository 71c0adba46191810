"""One detector in several places: its tiles are shared, its frame is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.derivatives import PANEL
from smalti.geometry.rotation import rotation
from smalti.models import Detector, Experiments, Group
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.certainty.gauges import tied_detectors
from smalti.steps.refining.certainty.naming import groups_of
from smalti.steps.refining.certainty.reaching import Seen, reach_of
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.tiles import ALIKE, why_apart
from smalti.steps.simulating.cspad import cspad
from smalti.storage import read_experiments, write_experiments
from smalti.tables import Reflections
from smalti.testing import synthetic
from smalti_plugins.detectors.flat import Flat
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.detectors.in_plane import InPlane
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers

TILES = Hierarchical(level="module")


def flat() -> Detector:
    """Ten panels that stand slightly out of line."""
    return synthetic.displaced(synthetic.detector("PILATUS 1M", 200.0), np.random.default_rng(2))


def barrel() -> Detector:
    """Five rows of panels round an arc of 100 mm about x, below groups."""
    row = synthetic.detector("PILATUS 300K-W", 100.0)
    panels, groups = [], []
    for k, angle in enumerate(np.radians([-50, -25, 0, 25, 50])):
        turned = row.moved({(): (rotation((1.0, 0.0, 0.0), angle), np.zeros(3))})
        first = len(panels)
        panels += [replace(p, name=f"row {k}, {p.name}") for p in turned.panels]
        groups.append(replace(turned.root, name=f"row {k}", children=tuple(range(first, first + len(row)))))
    return Detector(tuple(panels), Group("barrel", children=tuple(groups)))


def quadrants() -> Detector:
    return cspad(120.0, (3.0, -2.0), 0.32, 4.0)


def elsewhere(detector: Detector) -> Detector:
    """The same detector, further away on an arm."""
    turn = rotation((0.1, 1.0, 0.2), 0.3)
    return detector.moved({(): (turn, np.array([4.0, -3.0, -80.0]))})


def laid_out(*detectors: Detector, component=TILES, **options: object) -> Layout:
    items = [synthetic.experiment(d, synthetic.crystal(), n_images=10) for d in detectors]
    return Layout.of(Experiments(tuple(items)), component, RefineOptions(**options))


def below_root(detector: Detector) -> list[object]:
    frames: list[object] = [(p.fast, p.slow, p.origin) for p in detector.panels]
    stack = [child for child in detector.root.children if isinstance(child, Group)]
    while stack:
        group = stack.pop()
        frames.append((group.fast, group.slow, group.origin))
        stack += [child for child in group.children if isinstance(child, Group)]
    return frames


def some(layout: Layout, size: float = 0.05) -> np.ndarray:
    return size * np.random.default_rng(5).normal(size=layout.n)


@pytest.mark.parametrize("make", [flat, barrel, quadrants])
def test_tiles_are_equal_to_the_last_bit_and_frames_are_not(make, tmp_path: Path) -> None:
    one = make()
    layout = laid_out(one, elsewhere(one))
    of_detectors = [p.name for p in layout.parameters if p.name.startswith("Detector")]
    alone = [p.name for p in laid_out(one).parameters if p.name.startswith("Detector")]
    assert len(of_detectors) == len(alone) + 6
    refined = layout.compose(some(layout))
    a, b = refined[0].detector, refined[1].detector
    assert below_root(a) == below_root(b)
    assert below_root(a) != below_root(one)
    assert a.root != b.root
    write_experiments(tmp_path / "refined.expt", refined)
    read = read_experiments(tmp_path / "refined.expt")
    assert below_root(read[0].detector) == below_root(read[1].detector) == below_root(a)


@pytest.mark.parametrize("make", [flat, barrel, quadrants])
def test_derivatives_of_shared_tiles(make) -> None:
    one = make()
    layout = laid_out(one, elsewhere(one))
    p = some(layout)
    slopes = layout.tangent(p).toarray()[: PANEL.stop * layout.n_panels]
    step = 1e-5
    for k in np.random.default_rng(1).choice(layout.n, 25, replace=False):
        ahead, behind = p.copy(), p.copy()
        ahead[k] += step
        behind[k] -= step
        change = (layout.state(ahead).d - layout.state(behind).d) / (2.0 * step)
        expected = change.transpose(0, 2, 1).reshape(-1)
        np.testing.assert_allclose(slopes[:, k], expected, atol=2e-7 * max(1.0, np.abs(expected).max()))


def test_a_shared_tile_moves_alike_in_both_frames() -> None:
    one = flat()
    layout = laid_out(one, elsewhere(one))
    names = [parameter.name for parameter in layout.parameters]
    p = np.zeros(layout.n)
    p[names.index("Detector1Group3Dist")] = 0.1
    before, after = laid_out(one, elsewhere(one)).compose(np.zeros(layout.n)), layout.compose(p)
    for e in range(2):
        moved = np.linalg.norm((after[e].detector.stacked() - before[e].detector.stacked())[:, :, 2], axis=1)
        np.testing.assert_allclose(moved, 0.1 * np.eye(10)[2], atol=1e-12)


def test_files_without_a_tree_share_too() -> None:
    """DIALS writes panels of a detector without a hierarchy in the laboratory."""
    one = flat()
    d = one.stacked()
    bare = Detector.flat(one.panels).with_panel_frames(d)
    far = bare.with_panel_frames(elsewhere(one).stacked())
    layout = laid_out(bare, far)
    started = layout.compose(np.zeros(layout.n))
    np.testing.assert_allclose(started[1].detector.stacked(), far.stacked(), atol=1e-9)
    refined = layout.compose(some(layout))
    assert below_root(refined[0].detector) == below_root(refined[1].detector)
    assert "Detector2Group3Dist" not in {p.name for p in layout.parameters}
    assert "Detector2Dist" in {p.name for p in layout.parameters}


def test_what_is_not_one_detector_is_told_apart() -> None:
    one = flat()
    slightly = synthetic.displaced(one, np.random.default_rng(9), (0.2 * ALIKE,) * 3, (1e-6,) * 3)
    other = synthetic.displaced(one, np.random.default_rng(9))
    assert laid_out(one, elsewhere(slightly)).blocks[1].leader == 1
    apart = laid_out(one, elsewhere(other))
    assert apart.blocks[1].leader == 0
    assert "stand differently to one another" in why_apart(apart.blocks[1], apart.blocks[0])
    together = laid_out(one, elsewhere(other), tiles="shared")
    assert together.blocks[1].leader == 1
    assert below_root(together.compose(np.zeros(together.n))[1].detector) == below_root(one)
    assert laid_out(one, elsewhere(one), tiles="own").blocks[1].leader == 0
    with pytest.raises(DataError, match="10 and 3 panels"):
        laid_out(synthetic.detector("PILATUS 300K", 100.0), one, tiles="shared")
    renamed = replace(one, panels=(replace(one.panels[0], name="x"), *one.panels[1:]))
    assert "called" in why_apart(laid_out(one, renamed).blocks[1], laid_out(one).blocks[0])


def test_three_places_and_a_stranger() -> None:
    one, stranger = flat(), synthetic.detector("PILATUS 300K", 100.0)
    layout = laid_out(one, stranger, elsewhere(one), elsewhere(elsewhere(one)))
    assert [layout.detector_block(k).leader for k in layout.panel_offset] == [1, 0, 1, 1]
    refined = layout.compose(some(layout))
    assert (
        below_root(refined[0].detector) == below_root(refined[2].detector) == below_root(refined[3].detector)
    )


@pytest.mark.parametrize("component", [Flat(), Hierarchical(level=0), Hierarchical(level=1, priors=False)])
def test_without_tiles_or_frames_of_their_own_nothing_is_shared(component) -> None:
    one = flat()
    layout = laid_out(one, elsewhere(one), component=component)
    assert all(layout.detector_block(k).leader == 0 for k in layout.panel_offset)


def test_in_plane_tiles_are_shared() -> None:
    layout = laid_out(flat(), elsewhere(flat()), component=InPlane())
    assert layout.detector_block(1).leader == 1


def test_different_detectors_may_be_tied_by_hand() -> None:
    one, other = flat(), synthetic.detector("PILATUS 300K", 100.0)
    layout = laid_out(one, other, equal_shifts=("Detector*Dist",), component=Hierarchical())
    assert tied_detectors(layout) == [list(layout.panel_offset)]
    partition = Partition.joint(layout.n)
    seen = Seen(np.ones(layout.n_panels, dtype=bool), np.ones(2, dtype=bool))
    reach, _ = reach_of(layout, partition, np.zeros(layout.n), seen)
    names = [group.name for group in groups_of(layout, partition, np.zeros(layout.n), reach)]
    assert "place of the detector (detector 2)" in names
    assert not any("share tiles" in name for name in names)


def test_what_shared_tiles_do_together_has_a_name() -> None:
    one = flat()
    layout = laid_out(one, elsewhere(one))
    partition = Partition.joint(layout.n)
    seen = Seen(np.ones(layout.n_panels, dtype=bool), np.ones(2, dtype=bool))
    p = some(layout)
    reach, _ = reach_of(layout, partition, p, seen)
    groups = {group.name: group.directions for group in groups_of(layout, partition, p, reach)}
    assert len(groups["tilt of panel 3"]) == 2 and len(groups["panel 9 along its ray"]) == 1


def test_two_distances_find_the_tiles_together() -> None:
    rng = np.random.default_rng(3)
    parts, experiments = [], []
    nominal = synthetic.detector("PILATUS 300K", 150.0)
    true = synthetic.displaced(nominal, rng, (0.05, 0.05, 0.03), (2e-4, 2e-4, 3e-4))
    for k, (away, turn) in enumerate(((0.0, (0.4, 1.1, 2.3)), (-60.0, (1.3, 0.2, 0.7)))):
        move = {(): (np.eye(3), np.array([0.3 * k, -0.2 * k, away]))}
        start = synthetic.experiment(nominal.moved(move), synthetic.crystal(orientation=turn), n_images=150)
        start = replace(start, identifier=str(k))
        found, table = synthetic.observations(
            replace(start, detector=true.moved(move)), start, rng, d_min=2.0, n=3000
        )
        experiments.append(found[0])
        parts.append(table.with_columns({"id": np.full(table.n_rows, k, dtype=np.int32)}))
    table = Reflections.concatenate(parts).with_columns(identifiers={0: "0", 1: "1"})
    options = RefineOptions(halves="off")

    def solved(**changes: str):
        chosen = replace(options, **changes)
        return refine(Experiments(tuple(experiments)), table, TILES, GaussNewton(), NoOutliers(), chosen)

    shared, own = solved(), solved(tiles="own")
    a, b = (item.detector for item in shared.experiments)
    assert below_root(a) == below_root(b)
    errors = {}
    for name, result in (("shared", shared), ("own", own)):
        moved = [synthetic_error(item.detector, true) for item in result.experiments]
        errors[name] = np.array(moved)
    assert errors["shared"][0] < 3.0
    assert errors["shared"].mean() < 0.9 * errors["own"].mean()
    esd = [np.sqrt(np.einsum("pii->pi", item.panel_covariance[0]))[:, :2].mean() for item in (shared, own)]
    assert esd[0] < 0.85 * esd[1]


def synthetic_error(found: Detector, truth: Detector) -> float:
    """Mean error of panels in their planes beyond that of the whole, um."""
    from smalti.geometry.superposition import panel_motions

    size = np.array([panel.size_mm for panel in found.panels])
    return float(np.hypot(*panel_motions(found.stacked(), truth.stacked(), size).shift[:, :2].T).mean() * 1e3)

"""The detector tree: frames, levels, motions."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.models import Detector, Group, Panel
from smalti.testing.synthetic import detector, displaced


def two_level_tree() -> Detector:
    """Two quadrants of two panels each, the quadrants turned against the root and each other."""

    def panel(name: str, x: float) -> Panel:
        return Panel(name, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (x, 0.5, 0.2), (10, 20), (0.1, 0.1))

    def quadrant(name: str, angle: float, children: tuple[int, ...]) -> Group:
        c, s = np.cos(angle), np.sin(angle)
        return Group(name, (c, s, 0.0), (-s, c, 0.0), (3.0, angle, -1.0), children)

    root = Group(
        "root",
        (0.0, 1.0, 0.0),
        (1.0, 0.0, 0.0),
        (0.0, 0.0, -100.0),
        (quadrant("q0", 0.3, (0, 1)), quadrant("q1", 1.9, (2, 3))),
    )
    return Detector(tuple(panel(f"p{k}", float(k % 2)) for k in range(4)), root)


def test_levels_hold_every_panel_once() -> None:
    tree = two_level_tree()
    assert tree.depth == 2
    assert [node.name for node in tree.nodes(0)] == ["root"]
    assert [node.name for node in tree.nodes(1)] == ["q0", "q1"]
    for level in range(tree.depth + 1):
        assert sorted(k for node in tree.nodes(level) for k in node.panels) == [0, 1, 2, 3]


def test_a_branch_that_ends_early_is_represented_by_its_panel() -> None:
    tree = two_level_tree()
    ragged = Detector(tree.panels, Group("root", children=(Group("q0", children=(0, 1)), 2, 3)))
    assert [node.name for node in ragged.nodes(2)] == ["p0", "p1", "p2", "p3"]
    assert [node.name for node in ragged.nodes(1)] == ["q0", "p2", "p3"]


def test_frames_are_relative_to_the_parent() -> None:
    tree = two_level_tree()
    quadrant = tree.root.children[1]
    assert isinstance(quadrant, Group)
    M_root = np.column_stack([tree.root.fast, tree.root.slow, np.cross(tree.root.fast, tree.root.slow)])
    M_quadrant = np.column_stack([quadrant.fast, quadrant.slow, np.cross(quadrant.fast, quadrant.slow)])
    origin = M_root @ (M_quadrant @ tree.panels[3].origin + quadrant.origin) + tree.root.origin
    np.testing.assert_allclose(tree.stacked()[3, :, 2], origin, atol=1e-13)
    np.testing.assert_allclose(tree.stacked()[3, :, 0], M_root @ M_quadrant @ (1, 0, 0), atol=1e-15)


def test_panels_placed_in_the_laboratory_are_found_there() -> None:
    tree = two_level_tree()
    moved = displaced(tree, np.random.default_rng(3))
    np.testing.assert_allclose(tree.with_panel_frames(moved.stacked()).stacked(), moved.stacked(), atol=1e-13)
    assert moved.root == tree.root


@pytest.mark.parametrize("path", [(), (0,), (1,), (1, 0)])
def test_a_motion_moves_what_is_below_and_nothing_else(path: tuple[int, ...]) -> None:
    tree = two_level_tree()
    R, t = rotation((1.0, 2.0, -0.5), 0.02), np.array([0.1, -0.2, 0.3])
    moved = tree.moved({path: (R, t)})
    node = next(node for node in tree.walk() if node.path == path)
    before, after = tree.stacked(), moved.stacked()
    for k in range(4):
        expected = before[k].copy()
        if k in node.panels:
            expected = R @ expected
            expected[:, 2] += t
        np.testing.assert_allclose(after[k], expected, atol=1e-12)
        if k not in node.panels:
            assert moved.panels[k] == tree.panels[k]


def test_motions_of_parent_and_child_compose() -> None:
    tree = two_level_tree()
    child = (rotation((0, 0, 1), 0.01), np.array([0.5, 0.0, 0.0]))
    parent = (rotation((1, 0, 0), -0.02), np.array([0.0, 0.1, 0.0]))
    both = tree.moved({(1,): parent, (1, 0): child}).stacked()
    one_after_the_other = tree.moved({(1, 0): child}).moved({(1,): parent}).stacked()
    np.testing.assert_allclose(both, one_after_the_other, atol=1e-12)


def test_models_travel_between_processes() -> None:
    nominal = detector("PILATUS 2M")
    assert pickle.loads(pickle.dumps(nominal)) == nominal


def test_modules_stay_where_the_whole_panel_had_them() -> None:
    whole = detector("PILATUS 6M", modules=False, beam_centre=(1200.0, 1300.5))
    modules = detector("PILATUS 6M", beam_centre=(1200.0, 1300.5))
    assert len(modules) == 60 and len(whole) == 1
    d = whole.stacked()[0]
    for panel, frame in zip(modules.panels, modules.stacked(), strict=True):
        x, y = panel.window
        np.testing.assert_allclose(frame[:, 2], d @ (x * 0.172, y * 0.172, 1.0), atol=1e-12)
        assert panel.image_size == (487, 195)
    assert modules.panels[-1].window == (4 * 494, 11 * 212)

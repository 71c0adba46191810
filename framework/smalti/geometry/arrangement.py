"""How the panels of a detector stand to one another, apart from where the detector stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.superposition import rigid_motion
from smalti.models import Detector, Group, Panel

__all__ = ["Superposed", "different_parts", "superposed", "with_arrangement"]

Array = NDArray[np.float64]

_SAME_PIXELS = 1e-6  # mm


@dataclass(frozen=True, slots=True)
class Superposed:
    """A detector that was brought onto another one of the same panels.

    Attributes
    ----------
    detector : Detector
        The other one with the arrangement of this one, standing where the other stands.
    furthest : float
        How far the corner of a panel that fits worst had to move, mm.
    """

    detector: Detector
    furthest: float


def with_arrangement(detector: Detector, reference: Detector) -> Detector:
    """Give a detector the frames of all groups and panels below the root of another of the same tree.

    The root stays where it is; the numbers of what hangs below are those of the reference to the last bit.
    """
    panels = tuple(
        replace(own, fast=other.fast, slow=other.slow, origin=other.origin)
        for own, other in zip(detector.panels, reference.panels, strict=True)
    )
    return replace(detector, panels=panels, root=_with_children(detector.root, reference.root))


def _with_children(group: Group, reference: Group) -> Group:
    children: list[Group | int] = []
    for own, other in zip(group.children, reference.children, strict=True):
        if isinstance(own, Group) and isinstance(other, Group):
            placed = replace(own, fast=other.fast, slow=other.slow, origin=other.origin)
            children.append(_with_children(placed, other))
        else:
            children.append(own)
    return replace(group, children=tuple(children))


def superposed(detector: Detector, reference: Detector) -> Superposed:
    """Arrange a detector as a reference of the same parts, and leave it standing where it stands.

    The root of a detector may be anywhere (that of a file without a tree is the laboratory itself), so
    it is moved to where the reference, brought onto the detector by the rigid motion that fits the corners of
    all panels best, has its own.
    """
    same = with_arrangement(detector, reference)
    if same == detector:
        return Superposed(detector, 0.0)
    size = np.array([panel.size_mm for panel in detector.panels])
    wanted, moving = _corners(detector.stacked(), size), _corners(reference.stacked(), size)
    R, t = rigid_motion(moving, wanted)
    placed = reference.moved({(): (R, t)}).root
    root = replace(same.root, fast=placed.fast, slow=placed.slow, origin=placed.origin)
    furthest = float(np.linalg.norm(moving @ R.T + t - wanted, axis=1).max())
    return Superposed(replace(same, root=root), furthest)


def different_parts(detector: Detector, reference: Detector) -> str:
    """Say why two detectors cannot be one and the same: their trees, names or pixels; "" if nothing does."""
    if len(detector) != len(reference):
        return f"they have {len(detector)} and {len(reference)} panels"
    if _tree(detector.root) != _tree(reference.root):
        return "their panels hang together in different ways"
    for k, (own, other) in enumerate(zip(detector.panels, reference.panels, strict=True)):
        if own.name != other.name:
            return f"panel {k} is called '{own.name}' and '{other.name}'"
        if _pixels_differ(own, other):
            return f"panel {k} has other pixels"
    return ""


def _pixels_differ(own: Panel, other: Panel) -> bool:
    sizes = np.abs(np.subtract(own.pixel_size, other.pixel_size)).max()
    return own.image_size != other.image_size or bool(sizes > _SAME_PIXELS)


def _tree(group: Group) -> tuple[object, ...]:
    """Names and order of everything below a root; roots themselves may be called as they like."""
    return tuple(child if isinstance(child, int) else (child.name, _tree(child)) for child in group.children)


def _corners(d: Array, size: Array) -> Array:
    unit = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    flat = np.concatenate([unit * size[:, None], np.ones((len(size), 4, 1))], axis=2)
    return np.asarray(np.einsum("pij,pcj->pci", d, flat)).reshape(-1, 3)

"""Goniometer and angles of a NeXus file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.models import Goniometer, Vector, vector
from smalti_plugins.formats.nexus._chains import TO_LABORATORY, Link, chain_of
from smalti_plugins.formats.nexus._items import damaged, numbers

__all__ = ["Turning", "turning_of", "width_beside"]

Array = NDArray[np.float64]

_UNEVEN = 0.1


@dataclass(frozen=True)
class Turning:
    """How the sample turns.

    Attributes
    ----------
    goniometer : Goniometer or None
        None where the file names no rotation axis.
    starts, widths : (n,) rad
        One for each frame.
    notes : tuple of str
        What had to be assumed.
    """

    goniometer: Goniometer | None
    starts: Array
    widths: Array
    notes: tuple[str, ...] = ()


def turning_of(sample: h5py.Group | None, n_frames: int, file: Path) -> Turning:
    """Read the axes that carry the sample; the one that has another angle for each frame is scanned.

    Parameters
    ----------
    sample : h5py.Group or None
        NXsample.
    n_frames : int
    file : Path
        For errors.
    """
    links = [] if sample is None else [link for link in chain_of(sample, file) if link.turns]
    still = Turning(None, np.zeros(n_frames), np.zeros(n_frames))
    if not links:
        return still
    scanned = [k for k, link in enumerate(links) if len(link.values) > 1 and np.ptp(link.values) > 0.0]
    assert sample is not None
    widths_told = [width_beside(sample.file, link.path, link.values, file) for link in links]
    number = scanned[0] if scanned else next((k for k, told in enumerate(widths_told) if told), None)
    notes: list[str] = []
    if number is None:
        number = len(links) - 1
        starts, widths = np.full(n_frames, links[number].values[0]), np.zeros(n_frames)
    else:
        starts, widths = _angles(links[number], widths_told[number], n_frames, file, notes)
    if len(scanned) > 1:
        notes.append(f"several axes turn at once; {links[number].name} is taken to be the scan")
    axes: list[Vector] = [vector(TO_LABORATORY @ link.vector) for link in links]
    angles = [float(link.values[0]) for link in links]
    if np.median(widths) < 0.0:
        # A sweep backwards is a sweep forwards about the reversed axis: widths stay positive.
        axes[number] = vector(-np.array(axes[number]))
        angles[number], starts, widths = -angles[number], -starts, -widths
    goniometer = (
        Goniometer(axes[0])
        if len(axes) == 1
        else Goniometer.multi_axis(
            tuple(axes), tuple(angles), tuple(link.name.upper() for link in links), number
        )
    )
    return Turning(goniometer, starts, widths, tuple(notes))


def _angles(link: Link, width: float, n_frames: int, file: Path, notes: list[str]) -> tuple[Array, Array]:
    starts = link.values
    if 1 < len(starts) < n_frames:
        raise damaged(link.path, file, f"It has {len(starts)} angles for {n_frames} images")
    if len(starts) == 1:
        return starts[0] + np.arange(n_frames) * width, np.full(n_frames, width)
    starts = starts[:n_frames]
    steps = np.diff(starts)
    step = width or (float(np.median(steps)) if steps.size else 0.0)
    if steps.size and np.abs(steps - step).max() > _UNEVEN * abs(step):
        notes.append(f"the steps of {link.name} differ from {np.degrees(step):g} deg by more than a tenth")
    return starts, np.full(n_frames, step)


def width_beside(home: h5py.Group, name: str, begin: Array, file: Path) -> float:
    """Width of an image (rad) as a file says it beside the angles of an axis; 0 where it does not."""
    end = home.get(f"{name}_end")
    if isinstance(end, h5py.Dataset):
        ends = numbers(end, "rad", file)
        if ends.shape == begin.shape and ends.size:
            return float(np.median(ends - begin))
    for word in ("_increment_set", "_increment", "_range_average"):
        item = home.get(f"{name}{word}")
        if isinstance(item, h5py.Dataset) and item.size:
            return float(numbers(item, "rad", file)[0])
    return 0.0

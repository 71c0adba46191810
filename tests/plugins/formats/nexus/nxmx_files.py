"""NXmx files for tests: a small detector in two groups, tilted, on a goniometer of two axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector, Experiment, Goniometer, Group, Panel, Scan, vector
from smalti.storage import NxmxLayout, write_nxmx

SIZE = (60, 44)


def experiment(n_images: int = 5) -> Experiment:
    """Four modules of 28 x 20 pixels in two groups, each turned a little; chi under omega."""
    turn = rotation((1.0, 2.0, 0.5), 0.02)
    panels, groups = [], []
    for j in range(2):
        for i in range(2):
            panels.append(
                Panel(
                    f"module_{2 * j + i:03d}", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0),
                    (32 * i * 0.1, 0.0, 0.003 * i), (28, 20), (0.1, 0.1), (32 * i, 24 * j), (-0.5, 60000.0),
                    thickness=0.45, material="Si", parallax=True, mu=3.96,
                )
            )  # fmt: skip
        own = rotation((0.0, 0.0, 1.0), 0.01 * (j + 1))
        groups.append(
            Group(f"half{j}", vector(own[:, 0]), vector(own[:, 1]), (0.0, 2.4 * j, 0.0), (2 * j, 2 * j + 1))
        )
    root = Group(
        "Detector", vector(turn @ [1.0, 0.0, 0.0]), vector(turn @ [0.0, -1.0, 0.0]), (-3.0, 2.2, -100.0),
        tuple(groups),
    )  # fmt: skip
    goniometer = Goniometer.multi_axis(
        ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0)), (0.3, np.radians(10.0)), ("CHI", "OMEGA"), 1
    )
    scan = Scan((1, n_images), (np.radians(10.0), np.radians(0.2)), (0.1,) * n_images)
    return Experiment(Beam(wavelength=0.98), Detector(tuple(panels), root), goniometer, scan)


def frames(count: int = 5) -> list[NDArray[np.int32]]:
    """Give frames with gaps, bad pixels and counts of every size."""
    rng = np.random.default_rng(7)
    made = [rng.poisson(3.0, SIZE[::-1]).astype(np.int32) for _ in range(count)]
    for k, frame in enumerate(made):
        frame[20:24] = -1
        frame[3, 5] = -2
        frame[0, 0] = 1000 * k + 300
    return made


def written(
    folder: Path,
    layout: NxmxLayout = "single",
    change: Callable[[h5py.File], None] | None = None,
    **more: object,
) -> Path:
    """Write the example and change it as asked; give the master file."""
    path = folder / "example_master.h5"
    write_nxmx(path, experiment(), frames(), layout=layout, frames_of=2, **more)  # type: ignore[arg-type]
    if change is not None:
        with h5py.File(path, "r+") as file:
            change(file)
    return path

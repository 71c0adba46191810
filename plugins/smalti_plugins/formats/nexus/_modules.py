"""The modules of an NXmx detector in the laboratory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from smalti.geometry.attenuation import attenuation_coefficient
from smalti.models import NO_COUNT, Detector, Panel, layout_of, modular, single, vector
from smalti_plugins.formats._trees import Axis, Hung, hang
from smalti_plugins.formats.nexus._chains import TO_LABORATORY, Link, chain, place
from smalti_plugins.formats.nexus._items import as_numbers, children, damaged
from smalti_plugins.formats.nexus._sensor import Sensor

__all__ = ["detector_of"]

Array = NDArray[np.float64]


def detector_of(
    group: h5py.Group, sensor: Sensor, shape: tuple[int, ...], wavelength: float, parallax: bool, file: Path
) -> Detector:
    """Place the modules of a detector, at the first frame.

    A detector of one module that is a frame of a known detector is divided into that detector's modules.

    Parameters
    ----------
    group : h5py.Group
        NXdetector.
    sensor : Sensor
    shape : tuple of int
        Of a frame: (slow, fast), or (modules, slow, fast).
    wavelength : float
        Angstrom, for the attenuation.
    parallax : bool
    file : Path
        For errors.
    """
    modules = list(children(group, "NXdetector_module"))
    if not modules:
        raise damaged(group, file, "It has no NXdetector_module, which says where its pixels are")
    hung = []
    known: dict[str, tuple[Link, str]] = {}
    for k, module in enumerate(modules):
        links = _carrying(module, file, known)
        panel = _panel(module, links, sensor, shape, file, k, known)
        mu = attenuation_coefficient(sensor.material, wavelength)
        corrected = parallax and mu > 0.0 and sensor.thickness > 0.0
        panel = _with_sensor(panel, sensor, mu, corrected)
        hung.append(Hung(panel, _axes(links[1:])))
    if len(hung) > 1:
        return hang(hung)
    whole = hung[0].panel
    layout = layout_of(whole.image_size, whole.pixel_size[0])
    if layout is None or layout.grid == (1, 1):
        return single(whole)
    return modular(whole, layout.windows(), layout.module)


def _carrying(module: h5py.Group, file: Path, known: dict[str, tuple[Link, str]]) -> tuple[Link, ...]:
    """The chain that ends in the corner of the module: its offset first.

    Where there is no ``module_offset`` the corner is where the fast direction begins.
    """
    item = module.get("module_offset")
    if isinstance(item, h5py.Dataset):
        return chain(item, file, known)
    item = module.get("fast_pixel_direction")
    if not isinstance(item, h5py.Dataset):
        raise damaged(module, file, "It has neither 'module_offset' nor 'fast_pixel_direction'")
    first, *rest = chain(item, file, known)
    still = Link(first.path, False, first.vector, first.offset, np.zeros(1), first.component)
    return still, *rest


def _panel(
    module: h5py.Group,
    links: tuple[Link, ...],
    sensor: Sensor,
    shape: tuple[int, ...],
    file: Path,
    count: int,
    known: dict[str, tuple[Link, str]],
) -> Panel:
    directions = []
    for name in ("fast_pixel_direction", "slow_pixel_direction"):
        item = module.get(name)
        if not isinstance(item, h5py.Dataset):
            raise damaged(module, file, f"It has no '{name}'")
        first, *rest = chain(item, file, known)
        turned = TO_LABORATORY @ place(tuple(rest))[:3, :3] @ first.vector
        directions.append((turned, float(first.values[0])))
    (fast, a), (slow, b) = directions
    if not (a > 0.0 and b > 0.0):
        raise damaged(module, file, f"Its pixels are {a:g} x {b:g} mm")
    slow = slow - fast * (fast @ slow)
    if np.linalg.norm(slow) < 0.99:
        raise damaged(module, file, "Its fast and slow directions are not at right angles")
    window, size = _window(module, shape, file)
    return Panel(
        f"Panel{count}" if module.name.endswith("/module") else module.name.rsplit("/", 1)[-1],
        vector(fast),
        vector(slow / np.linalg.norm(slow)),
        vector(TO_LABORATORY @ place(links)[:3, 3]),
        size,
        (a, b),
        window,
        identifier=sensor.name,
    )


def _window(
    module: h5py.Group, shape: tuple[int, ...], file: Path
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First pixel on the raw frame and size of a module, (fast, slow) each."""
    found = []
    for name in ("data_origin", "data_size"):
        item = module.get(name)
        values = [] if not isinstance(item, h5py.Dataset) else [int(x) for x in as_numbers(item, item, file)]
        if len(values) < 2:
            raise damaged(module, file, f"Its '{name}' is missing or holds less than two numbers")
        found.append(values)
    origin, size = found
    # Of stacked modules the first number says which; the raw frame has them one below the other.
    above = origin[-3] * shape[-2] if len(shape) > 2 and len(origin) > 2 else 0
    if shape and _outside(origin, size, shape) and not _outside(origin, size[::-1], shape):
        size = size[::-1]  # master files of old EIGERs give the size as (fast, slow)
    if not shape or (min(*origin[-2:], *size[-2:]) >= 0 and not _outside(origin, size, shape)):
        return (origin[-1], origin[-2] + above), (size[-1], size[-2])
    raise damaged(module, file, f"It lies outside of the images of {shape[-1]} x {shape[-2]} pixels")


def _outside(origin: list[int], size: list[int], shape: tuple[int, ...]) -> bool:
    return origin[-1] + size[-1] > shape[-1] or origin[-2] + size[-2] > shape[-2]


def _axes(links: tuple[Link, ...]) -> tuple[Axis, ...]:
    """The axes that carry a module, laboratory side first, in the laboratory of imgCIF."""
    axes = []
    for k in range(len(links), 0, -1):
        link, whole = links[k - 1], place(links[k - 1 :])
        # A detector's frame keeps x and y of the laboratory where nothing turns it.
        turned = TO_LABORATORY @ whole[:3, :3] @ TO_LABORATORY
        axes.append(Axis(link.path, link.component or link.name, turned, TO_LABORATORY @ whole[:3, 3]))
    return tuple(axes)


def _with_sensor(panel: Panel, sensor: Sensor, mu: float, parallax: bool) -> Panel:
    low, high = sensor.trusted
    return replace(
        panel,
        trusted_range=(min(low, NO_COUNT) if low <= 0.0 else low, high),
        thickness=sensor.thickness,
        material=sensor.material,
        mu=mu,
        parallax=parallax,
        gain=sensor.gain,
    )

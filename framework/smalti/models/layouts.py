"""Module layouts of known detectors: how a raw frame divides into tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smalti.models.detector import Detector, Group, Panel
from smalti.models.frames import Vector

__all__ = ["LAYOUTS", "ModuleLayout", "layout_of", "modular", "single"]


@dataclass(frozen=True, slots=True)
class ModuleLayout:
    """A grid of equal modules with gaps between them.

    Attributes
    ----------
    name : str
    module, gap, grid : tuple of int
        Pixels of a module, pixels between modules, number of modules: fast, slow.
    pixel_size : float
        mm; tells detectors of equal frame size apart.
    """

    name: str
    module: tuple[int, int]
    gap: tuple[int, int]
    grid: tuple[int, int]
    pixel_size: float

    @property
    def frame(self) -> tuple[int, int]:
        """Fast and slow size of the raw frame, pixels."""
        fast, slow = (n * m + (n - 1) * g for n, m, g in zip(self.grid, self.module, self.gap, strict=True))
        return fast, slow

    def windows(self) -> tuple[tuple[int, int], ...]:
        """First fast and slow pixel of each module, row by row."""
        step = [m + g for m, g in zip(self.module, self.gap, strict=True)]
        return tuple((i * step[0], j * step[1]) for j in range(self.grid[1]) for i in range(self.grid[0]))


def _pilatus(name: str, fast: int, slow: int) -> ModuleLayout:
    return ModuleLayout(name, (487, 195), (7, 17), (fast, slow), 0.172)


# Module sizes and gaps: DECTRIS user manuals of the PILATUS, EIGER and EIGER2 series.
LAYOUTS: tuple[ModuleLayout, ...] = (
    _pilatus("PILATUS 100K", 1, 1),
    _pilatus("PILATUS 200K", 1, 2),
    _pilatus("PILATUS 300K", 1, 3),
    _pilatus("PILATUS 300K-W", 3, 1),
    _pilatus("PILATUS 1M", 2, 5),
    _pilatus("PILATUS 2M", 3, 8),
    _pilatus("PILATUS 6M", 5, 12),
    _pilatus("PILATUS 12M row", 5, 1),  # one of the 24 flat rows of the I23 barrel
    ModuleLayout("EIGER 1M", (1030, 514), (10, 37), (1, 2), 0.075),
    ModuleLayout("EIGER 4M", (1030, 514), (10, 37), (2, 4), 0.075),
    ModuleLayout("EIGER 9M", (1030, 514), (10, 37), (3, 6), 0.075),
    ModuleLayout("EIGER 16M", (1030, 514), (10, 37), (4, 8), 0.075),
    ModuleLayout("EIGER2 1M", (1028, 512), (12, 38), (1, 2), 0.075),
    ModuleLayout("EIGER2 4M", (1028, 512), (12, 38), (2, 4), 0.075),
    ModuleLayout("EIGER2 9M", (1028, 512), (12, 38), (3, 6), 0.075),
    ModuleLayout("EIGER2 16M", (1028, 512), (12, 38), (4, 8), 0.075),
)


def layout_of(frame: tuple[int, int], pixel_size: float) -> ModuleLayout | None:
    """Find the layout of a raw frame (fast, slow pixels) with this pixel size (mm)."""
    for layout in LAYOUTS:
        if layout.frame == tuple(frame) and abs(layout.pixel_size - pixel_size) < 1e-4:
            return layout
    return None


def single(panel: Panel, name: str = "Detector") -> Detector:
    """Make a detector of one panel from a panel placed in the laboratory."""
    return Detector((panel,), Group(name, children=(0,)))


def modular(
    whole: Panel, windows: Sequence[tuple[int, int]], module: tuple[int, int], name: str = "Detector"
) -> Detector:
    """Divide one flat panel, placed in the laboratory, into its modules.

    The root takes the frame of the whole panel and the modules hang below it in the plane, so that
    every pixel stays where it was.

    Parameters
    ----------
    whole : Panel
    windows : sequence of (fast, slow)
        First pixel of each module on the frame of ``whole``.
    module : (fast, slow)
        Pixels of a module.
    """
    a, b = whole.pixel_size
    x0, y0 = whole.window

    def origin(window: tuple[int, int]) -> Vector:
        return (window[0] * a, window[1] * b, 0.0)

    panels = tuple(
        replace(
            whole,
            name=f"Panel{k}",
            fast=(1.0, 0.0, 0.0),
            slow=(0.0, 1.0, 0.0),
            origin=origin(window),
            image_size=module,
            window=(x0 + window[0], y0 + window[1]),
            mask=_clip(whole.mask, window, module),
        )
        for k, window in enumerate(windows)
    )
    root = Group(name, whole.fast, whole.slow, whole.origin, tuple(range(len(panels))), whole.type)
    return Detector(panels, root)


def _clip(
    mask: tuple[tuple[int, int, int, int], ...], window: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[int, int, int, int], ...]:
    """Give the untrusted rectangles that touch a module, in the module's own pixels."""
    (x, y), (w, h) = window, size
    moved = ((max(f0 - x, 0), max(s0 - y, 0), min(f1 - x, w), min(s1 - y, h)) for f0, s0, f1, s1 in mask)
    return tuple(r for r in moved if r[0] < r[2] and r[1] < r[3])

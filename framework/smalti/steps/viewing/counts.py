"""One frame as the viewer keeps it: counts, and which pixels have none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.steps.finding.frames import as_int32
from smalti.steps.guarding import guarded
from smalti.steps.masking import frame_mask, valid
from smalti.steps.viewing.gallery import Roll

__all__ = ["Frame", "Ground", "ground_of", "load"]

Index = NDArray[np.int32]


@dataclass(frozen=True)
class Ground:
    """What holds for all frames of a roll.

    Attributes
    ----------
    usable : (slow, fast) bool
        Pixels that may be used on any frame.
    gaps : (G,) int32
        Flat indices of pixels of no panel.
    masked : (M,) int32
        Flat indices of pixels of a panel that no frame may use.
    pooled : dict
        Level to the number of usable pixels under each of its pixels, as they are asked for.
    """

    usable: NDArray[np.bool_]
    gaps: Index
    masked: Index
    pooled: dict[int, NDArray[np.int32]] = field(default_factory=dict, compare=False)

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.usable.nbytes + self.gaps.nbytes + self.masked.nbytes


@dataclass(frozen=True)
class Frame:
    """The counts of one frame, 0 where there is none.

    Attributes
    ----------
    values : (slow, fast)
        uint8, uint16 or int32, whichever holds them.
    missing : (M,) int32
        Flat indices of pixels of the ground that are without a measurement on this frame.
    over : (K,) int32
        Those above the trusted range.
    largest : int
        The largest count by size.
    """

    values: NDArray[Any]
    missing: Index
    over: Index
    largest: int

    @property
    def nbytes(self) -> int:
        """Memory taken."""
        return self.values.nbytes + self.missing.nbytes + self.over.nbytes


def ground_of(roll: Roll) -> Ground:
    """Work out which pixels of a roll may be used."""
    usable = guarded(
        lambda: frame_mask(roll.experiment, roll.series),
        f"The reader broke on the mask of {roll.name}.",
        "Tell its author; --debug shows where.",
    )
    on_panel = np.zeros(usable.shape, dtype=bool)
    for panel in roll.experiment.detector.panels:
        (fast, slow), (width, height) = panel.window, panel.image_size
        on_panel[slow : slow + height, fast : fast + width] = True
    return Ground(usable, _where(~on_panel), _where(on_panel & ~usable))


def load(roll: Roll, index: int, ground: Ground) -> Frame:
    """Read one frame.

    Raises
    ------
    InputError
        It cannot be read, or has another size than the detector.
    """
    path = roll.file(index)
    try:
        raw = guarded(lambda: roll.series.read(index), f"The reader broke on {path}.", "Tell its author.")
    except OSError as error:
        raise InputError(f"{path} cannot be read.", f"{error.strerror or error}.", "Bring it back.") from None
    if raw.shape != ground.usable.shape:
        raise InputError(
            f"{path} does not fit its experiment.",
            f"It has (slow, fast) {raw.shape}, the others {ground.usable.shape}.",
            "Import it again, on its own.",
        )
    use = valid(raw, ground.usable, roll.experiment)
    counts = as_int32(raw)
    lost = np.flatnonzero(ground.usable ^ use)
    limits = [panel.trusted_range[1] for panel in roll.experiment.detector.panels]
    above = counts.reshape(-1)[lost] > _limits_at(roll, lost, limits)
    values = counts * use
    low, high = int(values.min()), int(values.max())
    missing, over = lost[~above].astype(np.int32), lost[above].astype(np.int32)
    return Frame(_compact(values, low, high), missing, over, max(high, -low))


def _limits_at(roll: Roll, index: NDArray[np.intp], limits: list[float]) -> Any:
    """Give the upper trusted limit at flat indices; one number where all panels share it."""
    if len(set(limits)) == 1:
        return limits[0]
    n_fast = roll.size[0]
    slow, fast = np.divmod(index, n_fast)
    found = np.full(index.size, np.inf)
    for panel, limit in zip(roll.experiment.detector.panels, limits, strict=True):
        (x, y), (width, height) = panel.window, panel.image_size
        found[(fast >= x) & (fast < x + width) & (slow >= y) & (slow < y + height)] = limit
    return found


def _compact(values: NDArray[np.int32], low: int, high: int) -> NDArray[Any]:
    """Hold counts in the smallest of three types: frames are kept, and most counts are small."""
    if low < 0 or high > np.iinfo(np.uint16).max:
        return values
    return values.astype(np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16)


def _where(mask: NDArray[np.bool_]) -> Index:
    return np.flatnonzero(mask).astype(np.int32)

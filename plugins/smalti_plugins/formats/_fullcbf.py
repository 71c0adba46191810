"""Full CBF headers of detectors of one array: the axes of goniometer and detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smalti.errors import InputError
from smalti.models import Goniometer, Vector
from smalti_plugins.formats._axes import goniometer_of, header_block, read_axes
from smalti_plugins.formats._elements import read_elements

__all__ = ["FullHeader", "has_axes", "parse_fullcbf"]


@dataclass(frozen=True, slots=True)
class FullHeader:
    """Where a full header puts detector and goniometer.

    Attributes
    ----------
    fast, slow, origin : Vector
        Frame of the pixels in the laboratory (mm).
    goniometer : Goniometer or None
    start, width : float
        Of the scan axis, radians.
    """

    fast: Vector
    slow: Vector
    origin: Vector
    goniometer: Goniometer | None
    start: float
    width: float


def has_axes(text: str) -> bool:
    """Tell whether a header describes its axes."""
    return "_axis.vector[1]" in text and "_array_structure_list" in text


def parse_fullcbf(text: str, path: Path) -> FullHeader:
    """Parse the axes of a full CBF header.

    imgCIF's laboratory frame is ours: x along the principal goniometer axis, z towards the source
    [International Tables G, 3.7].

    Raises
    ------
    InputError
        A loop or an axis is missing or incomplete; names the file and the place.
    """
    try:
        block = header_block(text)
        axes = read_axes(block)
        elements = read_elements(block, axes)
        if len(elements) != 1:
            raise ValueError(f"It describes {len(elements)} arrays where one is needed")
        goniometer, start, width = goniometer_of(axes)
    except KeyError as error:
        raise _incomplete(path, f"It lacks {error.args[0]}.") from None
    except (ValueError, RuntimeError) as error:
        raise _incomplete(path, f"{error}.") from None
    (only,) = elements
    return FullHeader(only.fast, only.slow, only.origin, goniometer, start, width)


def _incomplete(path: Path, why: str) -> InputError:
    return InputError(
        f"The CIF part of the header of {path} cannot be understood.",
        why,
        "If its comment lines are right, leave the axes out: --set pilatus_cbf.full_header=false",
    )

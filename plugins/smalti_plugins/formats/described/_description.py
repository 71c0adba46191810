"""What a TOML file may say of a detector and its images."""

from __future__ import annotations

import tomllib
from dataclasses import field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.dataclasses import dataclass

from smalti.errors import InputError

__all__ = ["FIELDS", "Description", "GroupOf", "HeaderField", "PanelOf", "read_description"]

_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

_LARGEST = 1e9
"""Of any number: lengths in mm, counts, energies in eV are far below; squares of what is larger overflow."""

Number = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Count = Annotated[int, Field(ge=0, le=65536)]
Pair = tuple[Count, Count]
Vector = tuple[Number, Number, Number]
NotNegative = Annotated[float, Field(ge=0.0, le=_LARGEST)]

FIELDS = {
    "wavelength": "Angstrom",
    "energy": "eV",
    "distance": "mm",
    "beam_fast": "px",
    "beam_slow": "px",
    "two_theta": "deg",
    "start": "deg",
    "width": "deg",
    "exposure": "s",
    "saturation": "counts",
}
"""What header fields can be mapped to, and the unit after multiplication by their factor."""


@dataclass(config=_STRICT)
class Sensor:
    """The sensor: what it is made of and how thick it is (mm)."""

    material: str = ""
    thickness: NotNegative = 0.0
    parallax: bool = True


@dataclass(config=_STRICT)
class Grid:
    """Equal modules in a grid: pixels of one, pixels between them, how many (fast, slow)."""

    size: Pair
    grid: Pair
    gap: Pair = (0, 0)


@dataclass(config=_STRICT)
class PanelOf:
    """One module: its window on the raw frame, and its place (mm) in its group or in the detector's frame.

    The detector's frame has x along fast, y along slow and its origin at the outer corner of the raw frame's
    first pixel. Without an origin the module is where its window is.
    """

    name: str
    window: Pair
    size: Pair
    origin: Vector | None = None
    fast: Vector = (1.0, 0.0, 0.0)
    slow: Vector = (0.0, 1.0, 0.0)
    group: str = ""


@dataclass(config=_STRICT)
class GroupOf:
    """A rigid group of modules, placed (mm) in another group or in the detector's frame."""

    name: str
    parent: str = ""
    origin: Vector = (0.0, 0.0, 0.0)
    fast: Vector = (1.0, 0.0, 0.0)
    slow: Vector = (0.0, 1.0, 0.0)


@dataclass(config=_STRICT)
class Geometry:
    """Where the detector is when the header does not say it; mm, deg, px, Angstrom."""

    distance: NotNegative = 0.0
    beam_centre: tuple[Number, Number] | None = None
    wavelength: NotNegative = 0.0
    two_theta: Number = 0.0
    two_theta_axis: Vector = (1.0, 0.0, 0.0)
    rotation_axis: Vector = (1.0, 0.0, 0.0)


@dataclass(config=_STRICT)
class HeaderField:
    """A word of the header, or the path of an HDF5 dataset, and the factor to the unit of :data:`FIELDS`."""

    key: str
    factor: Number = 1.0


@dataclass(config=_STRICT)
class Images:
    """How pixels are stored: any image that fabio reads, or a dataset (frames, slow, fast) in HDF5."""

    container: Literal["fabio", "hdf5"] = "fabio"
    data: str = ""
    mask: str = ""

    @model_validator(mode="after")
    def _check(self) -> Images:
        if self.container == "hdf5" and not self.data:
            raise ValueError('images in HDF5 need the path of their dataset: data = "/entry/data/data"')
        return self


# Compared by identity: reading keeps one object for each file.
@dataclass(config=_STRICT, eq=False)
class Description:
    """A detector: its raw frame (pixels fast, slow), pixels (mm), and all that the classes above say."""

    name: str
    size: Pair
    pixel_size: tuple[Number, Number]
    trusted_range: tuple[Number, Number]
    gain: Annotated[float, Field(gt=0.0, le=_LARGEST)] = 1.0
    sensor: Sensor = field(default_factory=Sensor)
    modules: Grid | None = None
    panels: tuple[PanelOf, ...] = ()
    groups: tuple[GroupOf, ...] = ()
    geometry: Geometry = field(default_factory=Geometry)
    images: Images = field(default_factory=Images)
    header: dict[str, HeaderField | str] = field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Description:
        unknown = [name for name in self.header if name not in FIELDS]
        if unknown:
            raise ValueError(f"header maps '{unknown[0]}', which is none of {', '.join(FIELDS)}")
        if min(self.pixel_size) <= 0.0 or min(self.size) <= 0:
            raise ValueError("size and pixel_size must be positive")
        if self.modules is not None and self.panels:
            raise ValueError("either modules (a grid) or panels, not both")
        names = ["", *(group.name for group in self.groups)]
        if len(set(names)) < len(names):
            raise ValueError("two groups have the same name, or one has none")
        for item, upper in [
            *((p.name, p.group) for p in self.panels),
            *((g.name, g.parent) for g in self.groups),
        ]:
            if upper not in names:
                raise ValueError(f"'{item}' is in the group '{upper}', which is not described")
        self._check_windows()
        return self

    def _check_windows(self) -> None:
        if self.modules is not None:
            grid = self.modules
            ends = [n * m + (n - 1) * g for n, m, g in zip(grid.grid, grid.size, grid.gap, strict=True)]
            if min(*grid.grid, *grid.size) < 1 or ends[0] > self.size[0] or ends[1] > self.size[1]:
                raise ValueError(
                    f"the modules take {ends[0]} x {ends[1]} pixels of {self.size[0]} x {self.size[1]}"
                )
        for panel in self.panels:
            inside = all(
                first >= 0 and count > 0 and first + count <= whole
                for first, count, whole in zip(panel.window, panel.size, self.size, strict=True)
            )
            if not inside:
                raise ValueError(f"the panel '{panel.name}' reaches out of the frame")

    def field_of(self, name: str) -> HeaderField | None:
        """Give the header field that holds a quantity."""
        item = self.header.get(name)
        return HeaderField(item) if isinstance(item, str) else item


def read_description(path: Path) -> Description:
    """Read a description.

    Raises
    ------
    InputError
        The file is not there, is no TOML, or says what a detector cannot be; all of it is told.
    """
    try:
        return _read(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path} that describes a detector.",
            "",
            "Check the name and the folder you are in.",
        ) from None


@lru_cache(maxsize=16)
def _read(path: Path, written: int) -> Description:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Description).validate_python(content)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML.", f"{error}.", "Correct the file.") from None
    except ValidationError as error:
        reasons = [
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors()
        ]
        raise InputError(
            f"{path} does not describe a detector.", "; ".join(reasons) + ".", "Correct these entries."
        ) from None

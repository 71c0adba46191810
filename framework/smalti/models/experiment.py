"""An experiment: which beam, detector, goniometer, scan and crystal belong together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from smalti.models.beam import Beam
from smalti.models.crystal import Crystal
from smalti.models.detector import Detector
from smalti.models.goniometer import Goniometer
from smalti.models.scan import Scan

__all__ = ["Experiment", "Experiments", "ImageSet"]


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Where the images are.

    Attributes
    ----------
    template : str
        Path with ``#`` for the digits of the image number; "" for a list of images.
    images : tuple of str
        Paths, when there is no template.
    indices : tuple of int
        For containers of many images: the index of each image in its file.
    params : Mapping
        What the reader needs to open them the same way again (``reader``, ``multi_panel``, ...).
    mask : str
        File with a static mask, "" for none.
    extra : Mapping
        Keys of the file that smalti does not use, carried through.
    """

    template: str = ""
    images: tuple[str, ...] = ()
    indices: tuple[int, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    mask: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def in_one_file(self) -> bool:
        """Whether one file holds all images."""
        return bool(self.indices) or (bool(self.template) and "#" not in self.template)

    def path(self, number: int) -> str:
        """Path of the image with this number (counted from 1 for a plain list)."""
        if not self.template:
            return self.images[number - 1]
        width = self.template.count("#")
        return self.template.replace("#" * width, f"{number:0{width}d}") if width else self.template


@dataclass(frozen=True, slots=True)
class Experiment:
    """The models that together predict one set of diffraction spots.

    Models shared by several experiments are the same object in each: identity (``is``) means shared,
    and files and refinement keep it so.
    """

    beam: Beam
    detector: Detector
    goniometer: Goniometer | None = None
    scan: Scan | None = None
    crystal: Crystal | None = None
    imageset: ImageSet | None = None
    identifier: str = ""
    profile: Mapping[str, Any] | None = field(default=None, hash=False)
    scaling_model: Mapping[str, Any] | None = field(default=None, hash=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def is_still(self) -> bool:
        """Whether there is no rotation: no scan, no goniometer, or images of zero width."""
        return self.scan is None or self.goniometer is None or self.scan.oscillation[1] == 0.0


@dataclass(frozen=True, slots=True)
class Experiments(Sequence[Experiment]):
    """An ordered list of experiments; the position is the ``id`` of reflection tables.

    Attributes
    ----------
    items : tuple of Experiment
    history : tuple of Mapping
        The records of every command that led here, oldest first.
    extra : Mapping
        Top-level keys of the file that smalti does not use, carried through.
    """

    items: tuple[Experiment, ...] = ()
    history: tuple[Mapping[str, Any], ...] = field(default=(), compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Experiment]:
        return iter(self.items)

    @overload
    def __getitem__(self, index: int) -> Experiment: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Experiment]: ...
    def __getitem__(self, index: int | slice) -> Experiment | Sequence[Experiment]:
        return self.items[index]

    def unique(self, kind: str) -> tuple[Any, ...]:
        """Give the distinct models of one kind ("beam", "detector", ...) in order of first use.

        Distinct means not the same object; two equal but unshared models are both listed.
        """
        seen: dict[int, Any] = {}
        for item in self.items:
            model = getattr(item, kind)
            if model is not None:
                seen.setdefault(id(model), model)
        return tuple(seen.values())

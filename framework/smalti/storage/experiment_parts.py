"""Parts of experiment lists, read without the rest: a range of experiments with their models."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.models import Experiments
from smalti.storage.experiments import CODECS, read_experiment
from smalti.storage.json_parts import find_items
from smalti.storage.places import Place, open_binary

__all__ = ["ExperimentParts"]

_SPAN = 4
"""Models are read in one go where they take no more than so many times the bytes of those wanted."""
_KEPT = 64
"""Models that later parts may ask for again."""
_SHARED = ("detector", "goniometer", "imageset", "beam")


@dataclass(frozen=True)
class ExperimentParts:
    """An experiment list in a file, of which any range can be read.

    Attributes
    ----------
    path : Path
    items : Mapping
        Name of each list of the document to the bytes of its items, (n, 2).
    """

    path: Path
    items: Mapping[str, NDArray[np.int64]]
    _known: dict[str, OrderedDict[int, Any]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> ExperimentParts:
        """Find the items of a file.

        Raises
        ------
        InputError
        """
        path = Path(path)
        items = find_items(path)
        if "experiment" not in items:
            raise InputError(
                f"'{path}' is not an experiment list.",
                "It has no list 'experiment'.",
                "Give an .expt file, as smalti import or dials.import writes it.",
            )
        return cls(path, items)

    def __len__(self) -> int:
        """Number of experiments."""
        return len(self.items["experiment"])

    def pointers(self, start: int, stop: int, kinds: Sequence[str]) -> dict[str, NDArray[np.intp]]:
        """Give the numbers of the models of each experiment of a range, by kind; -1 where it has none."""
        found = list(self._decoded("experiment", range(start, stop)).values())
        return {
            kind: np.array([-1 if item.get(kind) is None else item[kind] for item in found], dtype=np.intp)
            for kind in kinds
        }

    def part(self, start: int, stop: int) -> Experiments:
        """Read the experiments from ``start`` up to ``stop``; models that they share are one object.

        Detectors and other models that many share stay the same objects from part to part, up to a number.
        """
        raw = self._decoded("experiment", range(start, stop))
        models = {kind: self._models(kind, raw.values()) for kind in CODECS}
        places = (Place(value, f"experiment[{k}]", self.path) for k, value in raw.items())
        return Experiments(tuple(read_experiment(place, models) for place in places))

    def _models(self, kind: str, raw: Any) -> _Some:
        count = len(self.items.get(kind, ()))
        pointers = {item.get(kind) for item in raw}
        numbers = sorted(n for n in pointers if isinstance(n, int) and 0 <= n < count)
        kept = self._known.setdefault(kind, OrderedDict())
        found = {n: kept[n] for n in numbers if n in kept}
        missing = [n for n in numbers if n not in found]
        for n, value in self._decoded(kind, missing).items():
            found[n] = CODECS[kind].read(Place(value, f"{kind}[{n}]", self.path))
        if kind in _SHARED:
            kept.update(found)
            while len(kept) > _KEPT:
                kept.popitem(last=False)
        return _Some(found, count)

    def _decoded(self, kind: str, numbers: Sequence[int]) -> dict[int, Any]:
        """Decode some items of one kind."""
        if not len(numbers):
            return {}
        bounds = self.items[kind][list(numbers)]
        with open_binary(self.path) as file:
            if bounds[-1, 1] - bounds[0, 0] <= _SPAN * int((bounds[:, 1] - bounds[:, 0]).sum()):
                file.seek(int(bounds[0, 0]))
                span = file.read(int(bounds[-1, 1] - bounds[0, 0]))
                texts = [span[a:b] for a, b in (bounds - bounds[0, 0]).tolist()]
            else:
                texts = []
                for a, b in bounds.tolist():
                    file.seek(a)
                    texts.append(file.read(b - a))
        return {n: self._json(kind, n, text) for n, text in zip(numbers, texts, strict=True)}

    def _json(self, kind: str, number: int, text: bytes) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            why = f"this is no correct JSON ({str(error)[:120]})"
            raise Place(None, f"{kind}[{number}]", self.path).fail(why) from None


@dataclass(frozen=True)
class _Some(Sequence[Any]):
    """A list of models of which some have been read."""

    found: Mapping[int, Any]
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self.found[n] for n in range(*index.indices(self.size))]
        return self.found[index]

"""One experiment list of the models of many, put together on disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector
from smalti.steps.streaming.pairs import Pair
from smalti.steps.streaming.survey import Group, parts_of
from smalti.storage.experiments import CODECS
from smalti.storage.json_files import finite
from smalti.storage.records import HISTORY_KEY

__all__ = ["Joined"]

_KINDS = tuple(kind for kind in CODECS if kind != "detector")


class Joined:
    """Collects the models of groups in files, one for each kind, and joins these at the end.

    Models that experiments of one file share stay shared; all have the one detector.
    """

    def __init__(self, folder: Path, detector: Detector) -> None:
        self.folder = folder
        self.detector = detector
        self.identifiers: dict[int, str] = {}
        self._counts = dict.fromkeys(("experiment", *_KINDS), 0)
        self._pair: Pair | None = None
        self._places: dict[str, NDArray[np.int64]] = {}
        for kind in self._counts:
            self._path(kind).write_text("")

    def _path(self, kind: str) -> Path:
        return self.folder / f"{kind}.lines"

    def add(self, group: Group, lines: Mapping[str, list[str]]) -> None:
        """Add a group; ``lines`` holds for each kind the model of each experiment, "" where there is none."""
        models, _ = parts_of(group.pair)
        if group.pair != self._pair:
            self._pair = group.pair
            sizes = {kind: len(models.items.get(kind, ())) for kind in _KINDS}
            self._places = {kind: np.full(size, -1, dtype=np.int64) for kind, size in sizes.items()}
        pointers = models.pointers(group.start, group.stop, _KINDS)
        found: list[dict[str, Any]] = [json.loads(line) for line in lines["experiment"]]
        for item in found:
            item["detector"] = 0
        for kind in _KINDS:
            new: list[str] = []
            for item, number, line in zip(found, pointers[kind].tolist(), lines[kind], strict=True):
                if number < 0 or not line:
                    continue
                if self._places[kind][number] < 0:
                    self._places[kind][number] = self._counts[kind] + len(new)
                    new.append(line)
                item[kind] = int(self._places[kind][number])
            self._append(kind, new)
        for number, item in enumerate(found, self._counts["experiment"]):
            if item["identifier"]:
                self.identifiers[number] = item["identifier"]
        self._append("experiment", [json.dumps(item) for item in found])

    def _append(self, kind: str, lines: list[str]) -> None:
        if lines:
            with self._path(kind).open("a", encoding="utf-8") as file:
                # Of the lines of a list all but the last end with a comma.
                file.write((",\n  " if self._counts[kind] else "  ") + ",\n  ".join(lines))
        self._counts[kind] += len(lines)

    def finish(self, path: Path, history: tuple[Mapping[str, Any], ...]) -> None:
        """Write the experiment list."""
        detector = json.dumps(finite(CODECS["detector"].write(self.detector)))
        with path.open("w", encoding="utf-8") as file:
            file.write('{\n "__id__": "ExperimentList"')
            for kind in ("experiment", *CODECS):
                file.write(f',\n "{kind}": [\n')
                if kind == "detector":
                    file.write("  " + detector)
                else:
                    with self._path(kind).open(encoding="utf-8") as part:
                        shutil.copyfileobj(part, file)
                    self._path(kind).unlink()
                file.write("\n ]")
            if history:
                file.write(f',\n "{HISTORY_KEY}": {json.dumps(finite(list(history)))}')
            file.write("\n}\n")

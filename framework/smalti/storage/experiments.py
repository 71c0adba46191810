"""Experiment lists: the ``.expt`` files of DIALS.

Models are stored once and experiments point at them by position, so that shared models are shared by
position in the file and by identity in memory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smalti.errors import InputError
from smalti.models import Experiment, Experiments
from smalti.storage.atomic import write_whole
from smalti.storage.beam_json import read_beam, write_beam
from smalti.storage.crystal_json import read_crystal, write_crystal
from smalti.storage.detector_json import read_detector, write_detector
from smalti.storage.goniometer_json import read_goniometer, write_goniometer
from smalti.storage.imageset_json import read_imageset, write_imageset
from smalti.storage.json_files import by_line
from smalti.storage.places import Fields, Place, load_json
from smalti.storage.records import HISTORY_KEY, read_records
from smalti.storage.scan_json import read_scan, write_scan

__all__ = [
    "CODECS",
    "experiments_of",
    "experiments_text",
    "read_experiment",
    "read_experiments",
    "write_experiments",
]


@dataclass(frozen=True, slots=True)
class _Codec:
    """How one kind of model is read from a place in the file and written back."""

    read: Callable[[Place], Any]
    write: Callable[[Any], dict[str, Any]]


def _read_mapping(place: Place) -> dict[str, Any]:
    return dict(place.fields().place.value)


CODECS: Mapping[str, _Codec] = {
    "imageset": _Codec(read_imageset, write_imageset),
    "beam": _Codec(read_beam, write_beam),
    "detector": _Codec(read_detector, write_detector),
    "goniometer": _Codec(read_goniometer, write_goniometer),
    "scan": _Codec(read_scan, write_scan),
    "crystal": _Codec(read_crystal, write_crystal),
    "profile": _Codec(_read_mapping, dict),
    "scaling_model": _Codec(_read_mapping, dict),
}
"""The kinds of models, in the order of the file; profiles and scaling models are carried as they are."""


def read_experiments(path: str | os.PathLike[str]) -> Experiments:
    """Read an experiment list (``.expt``).

    Models that share a position in the file are one object in the result. Models that no experiment
    points at are not kept; every unknown key is.

    Raises
    ------
    InputError
        Names the file and the place in it: line and column where it is no JSON, else the path of the
        value (``detector[0].panels[3].fast_axis``).
    """
    path = Path(path)
    _refuse_tables(path)
    return experiments_of(load_json(path), path)


def experiments_of(document: Any, path: Path) -> Experiments:
    """Make the experiments of a document that was read from a file.

    Raises
    ------
    InputError
    """
    top = Place(document, "", path)
    if not isinstance(top.value, dict) or top.value.get("__id__") != "ExperimentList":
        raise InputError(
            f"'{path}' is not an experiment list.",
            f'It holds {_what_instead(top.value)} where \'"__id__": "ExperimentList"\' is expected.',
            "Give an .expt file, as smalti import or dials.import writes it.",
        )
    fields = top.fields()
    fields.text("__id__")
    models = {kind: _read_models(fields, kind, codec) for kind, codec in CODECS.items()}
    items = tuple(read_experiment(item, models) for item in fields.at("experiment").items())
    records = fields.maybe(HISTORY_KEY)
    history = () if records is None else read_records(records.value, path)
    return Experiments(items, history, fields.rest())


def _refuse_tables(path: Path) -> None:
    if path.suffix in {".refl", ".pickle", ".h5"}:
        raise InputError(
            f"'{path}' is a reflection table, not an experiment list.",
            "",
            "Give the .expt file that belongs to it.",
        )


def _what_instead(value: Any) -> str:
    if isinstance(value, list):
        first = value[0] if value else None
        kind = first.get("__id__") if isinstance(first, dict) else None
        return f"a {kind}, which DIALS used before experiment lists," if kind else "a list"
    if isinstance(value, dict):
        kind = value.get("__id__")
        return (
            f"'\"__id__\": {kind!r}'" if kind else f"an object with {', '.join(list(value)[:4]) or 'no keys'}"
        )
    return "a single value"


def _read_models(fields: Fields, kind: str, codec: _Codec) -> tuple[Any, ...]:
    place = fields.maybe(kind)
    return () if place is None else tuple(codec.read(item) for item in place.items())


def read_experiment(place: Place, models: Mapping[str, Sequence[Any]]) -> Experiment:
    """Read one experiment; its models are found by their numbers among those of their kind."""
    fields = place.fields()
    chosen: dict[str, Any] = {}
    for kind, known in models.items():
        pointer = fields.maybe(kind)
        if pointer is None:
            chosen[kind] = None
            continue
        index = pointer.integer()
        if not 0 <= index < len(known):
            raise pointer.fail(f"there is no {kind} {index}; the file has {len(known)}")
        chosen[kind] = known[index]
    for kind in ("beam", "detector"):
        if chosen[kind] is None:
            raise place.fail(f"there is no '{kind}', and nothing can be predicted without one")
    crystal, scan = chosen["crystal"], chosen["scan"]
    if crystal is not None and crystal.scan_points and scan is not None:
        points, images = len(crystal.scan_points), scan.n_images
        if points != images + 1:
            raise place.fail(f"the crystal has {points} scan points, and {images} images need {images + 1}")
    identifier = fields.text("identifier", "")
    fields.text("__id__", "")
    return Experiment(identifier=identifier, extra=fields.rest(), **chosen)


def write_experiments(
    path: str | os.PathLike[str], experiments: Experiments, record: Mapping[str, Any] | None = None
) -> None:
    """Write an experiment list (``.expt``), whole or not at all.

    Parameters
    ----------
    path : path
    experiments : Experiments
        One object in several experiments is written once. Its history is written too.
    record : Mapping, optional
        What made this file (:func:`smalti.storage.make_record`); follows the history.
    """
    write_whole(path, experiments_text(experiments, record).encode())


def experiments_text(experiments: Experiments, record: Mapping[str, Any] | None = None) -> str:
    """Give an experiment list as the text of its file."""
    document: dict[str, Any] = {"__id__": "ExperimentList", "experiment": []}
    positions: dict[str, dict[int, int]] = {}
    for kind, codec in CODECS.items():
        models = experiments.unique(kind)
        document[kind] = [codec.write(model) for model in models]
        positions[kind] = {id(model): k for k, model in enumerate(models)}
    for item in experiments:
        pointers = {
            kind: known[id(model)]
            for kind, known in positions.items()
            if (model := getattr(item, kind)) is not None
        }
        document["experiment"].append(
            {"__id__": "Experiment", "identifier": item.identifier, **pointers, **item.extra}
        )
    history = [*experiments.history, *([record] if record else [])]
    if history:
        document[HISTORY_KEY] = history
    return by_line({**document, **experiments.extra})

"""The history of a file: read back from any that carries one, and told to people.

How records are made is in :mod:`smalti.storage.records`, whose functions are found here too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.errors import InputError
from smalti.storage.experiments import read_experiments
from smalti.storage.places import load_json
from smalti.storage.records import HISTORY_KEY, Record, hash_file, make_record, merge, read_records
from smalti.storage.reflections import read_reflections

__all__ = ["describe_history", "hash_file", "make_record", "merge", "read_history"]


def read_history(path: str | os.PathLike[str]) -> tuple[Record, ...]:
    """Read the history that a file carries, oldest first; a file of another program has none.

    Knows experiment lists (``.expt``), reflection tables (``.refl``, ``.h5``) and the JSON results of
    commands. Lines that newer versions of DIALS leave in an experiment list come first, each as a
    record with the one key ``line``.
    """
    path = Path(path)
    if path.suffix == ".json":
        return _from_result(path)
    if path.suffix == ".expt":
        experiments = read_experiments(path)
        lines = experiments.extra.get("history", ())
        foreign = tuple({"line": line} for line in lines if isinstance(line, str))
        return (*foreign, *experiments.history)
    return read_reflections(path).history


def _from_result(path: Path) -> tuple[Record, ...]:
    value = load_json(path)
    if isinstance(value, dict) and value.get("__id__") == "ExperimentList":
        return read_experiments(path).history
    for key in (HISTORY_KEY, "history"):
        if isinstance(value, dict) and key in value:
            return read_records(value[key], path)
    raise InputError(
        f"'{path}' carries no history.",
        "It is not a result of smalti: it has no key 'history'.",
        "Give an .expt, .refl, .h5 or .json file that smalti wrote.",
    )


def describe_history(history: Sequence[Record]) -> str:
    """Tell a history in words: for each command when, where, which versions, what from and what changed."""
    if not history:
        return "  No history: the file was not written by smalti."
    return "\n".join(f"{k:>3}. {_describe(record)}" for k, record in enumerate(history, 1))


def _describe(record: Record) -> str:
    if "line" in record:
        return str(record["line"])
    lines = [
        f"{record.get('program', '?')} {record.get('command', '?')}   {_when(record)}",
        "call     " + " ".join(_quoted(str(word)) for word in record.get("argv", ())),
        f"version  {record.get('version', '?')}, Python {record.get('python', '?')}"
        + "".join(f", {name} {version}" for name, version in _mapping(record, "plugins").items()),
    ]
    lines += [f"changed  {name} = {_shown(value)}" for name, value in _mapping(record, "changed").items()]
    inputs = [item for item in record.get("inputs", ()) if isinstance(item, Mapping)]
    lines += [f"input    {item.get('path')}   sha256 {str(item.get('sha256'))[:12]}" for item in inputs[:6]]
    if len(inputs) > 6:
        lines.append(f"input    and {len(inputs) - 6} more, to {inputs[-1].get('path')}")
    return "\n     ".join(line for line in lines if line.strip() != "call")


def _mapping(record: Record, key: str) -> Mapping[str, Any]:
    value = record.get(key, {})
    return value if isinstance(value, Mapping) else {}


def _when(record: Record) -> str:
    time = str(record.get("time", "at an unknown time"))
    return f"{time[:19].replace('T', ' ')} UTC on {record.get('host', 'an unknown host')}"


def _quoted(word: str) -> str:
    return f"'{word}'" if not word or any(mark in word for mark in " *?#'\"") else word


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)

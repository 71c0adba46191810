"""The history of a file: read back from any that carries one, and told to people.

How records are made is in :mod:`smalti.storage.records`, whose functions are found here too.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.errors import InputError
from smalti.storage.covariances import COVARIANCE_SUFFIX, read_covariances
from smalti.storage.experiments import read_experiments
from smalti.storage.places import load_json, read_bytes
from smalti.storage.records import HISTORY_KEY, Record, hash_file, make_record, merge, read_records
from smalti.storage.reflections import read_reflections

__all__ = ["describe_history", "hash_file", "make_record", "merge", "read_history"]

_IN_PAGE = re.compile(r'<script type="application/json" id="history">(.*?)</script>', re.DOTALL)
"""Where the page of a report holds its history."""

_WIDTH = 100


def read_history(path: str | os.PathLike[str]) -> tuple[Record, ...]:
    """Read the history that a file carries, oldest first; a file of another program has none.

    Knows experiment lists (``.expt``), reflection tables (``.refl``, ``.h5``), covariances
    (``.covariance.h5``), the JSON results of commands and the pages of reports. Lines that newer versions
    of DIALS leave in an experiment list come first, each as a record with the one key ``line``.
    """
    path = Path(path)
    if path.suffix == ".json":
        return _from_result(path)
    if path.suffix == ".html":
        return _from_page(path)
    if path.name.endswith(COVARIANCE_SUFFIX):
        return read_covariances(path).history
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


def _from_page(path: Path) -> tuple[Record, ...]:
    found = _IN_PAGE.search(read_bytes(path).decode("utf-8", "replace"))
    try:
        return read_records(json.loads(found[1]) if found else None, path)
    except (InputError, ValueError):
        raise InputError(
            f"'{path}' carries no history.",
            "It is no report of smalti, or was cut off.",
            "Give a page that smalti report wrote.",
        ) from None


def describe_history(history: Sequence[Record]) -> str:
    """Tell a history in words: for each command when, where, which versions, what from and what changed."""
    if not history:
        return "  No history: the file was not written by smalti."
    versions = [_versions(record) for record in history]
    again = [k > 0 and versions[k] == versions[k - 1] for k in range(len(history))]
    told = (
        _describe(record, "as before" if same else version)
        for record, version, same in zip(history, versions, again, strict=True)
    )
    return "\n".join(f"{k:>3}. {text}" for k, text in enumerate(told, 1))


def _versions(record: Record) -> str:
    """Name the versions of everything, the plugins under the version that they share."""
    shared: dict[str, list[str]] = {}
    for name, version in _mapping(record, "plugins").items():
        shared.setdefault(str(version), []).append(name)
    plugins = "".join(f"; plugins {version}: {', '.join(names)}" for version, names in shared.items())
    return f"{record.get('version', '?')}, Python {record.get('python', '?')}{plugins}"


def _describe(record: Record, versions: str) -> str:
    if "line" in record:
        return str(record["line"])
    lines = [
        ("call", shlex.join(str(word) for word in record.get("argv", ()))),
        ("version", versions),
    ]
    lines += [("changed", words) for words in _changed(_mapping(record, "changed"))]
    inputs = [item for item in record.get("inputs", ()) if isinstance(item, Mapping)]
    lines += [("input", f"{item.get('path')}   sha256 {str(item.get('sha256'))[:12]}") for item in inputs[:6]]
    if len(inputs) > 6:
        lines.append(("input", f"and {len(inputs) - 6} more, to {inputs[-1].get('path')}"))
    head = f"{record.get('program', '?')} {record.get('command', '?')}   {_when(record)}"
    return "\n".join([head, *(_line(name, text) for name, text in lines if text)])


def _line(name: str, text: str) -> str:
    """Set one line below the head of a record, wrapped between words."""
    return textwrap.fill(
        text, _WIDTH, initial_indent=f"     {name:<9}", subsequent_indent=" " * 14,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _changed(values: Mapping[str, Any], scope: str = "") -> list[str]:
    """Write changed parameters as they would be typed: ``refine.outliers = tukey``."""
    words: list[str] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            words += _changed(value, f"{scope}{name}.")
        else:
            words.append(f"{scope}{name} = {_shown(value)}")
    return words


def _mapping(record: Record, key: str) -> Mapping[str, Any]:
    value = record.get(key, {})
    return value if isinstance(value, Mapping) else {}


def _when(record: Record) -> str:
    time = str(record.get("time", "at an unknown time"))
    return f"{time[:19].replace('T', ' ')} UTC on {record.get('host', 'an unknown host')}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)

"""Where a result came from: a record of every command that led to it, carried by every output."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from smalti.errors import InputError
from smalti.storage.json_files import finite
from smalti.storage.places import open_binary

__all__ = [
    "HISTORY_KEY",
    "HISTORY_MARK",
    "Record",
    "hash_file",
    "make_record",
    "merge",
    "read_records",
    "tips",
]

HISTORY_KEY = "smalti_history"
"""Top-level key of files. Not ``history``: newer versions of DIALS keep lines of text under that."""

HISTORY_MARK = f'{{"{HISTORY_KEY}":'
"""How the text begins that holds the history of a ``.refl`` file."""

Record = Mapping[str, Any]


def hash_file(path: str | os.PathLike[str]) -> str:
    """Give the SHA-256 of a file's bytes, in hexadecimal."""
    with open_binary(Path(path)) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_record(
    command: str,
    argv: Sequence[str],
    parameters: Mapping[str, Any],
    changed: Mapping[str, Any],
    inputs: Sequence[str | os.PathLike[str]],
    plugins: Mapping[str, str],
    parents: Sequence[Record] = (),
) -> dict[str, Any]:
    """Make the record of one command.

    Parameters
    ----------
    command : str
        Name of the command ("refine").
    argv : sequence of str
        The call, word by word.
    parameters, changed : Mapping
        All parameters, and those that differ from their default.
    inputs : sequence of paths
        Each is recorded with its absolute path, size and SHA-256.
    plugins : Mapping
        Plugin name to version.
    parents : sequence of records
        The histories of the inputs, merged (:func:`merge`); the record keeps the identity of those
        that nothing follows yet, so that the records of a history form a graph.
    """
    record: dict[str, Any] = {
        "program": "smalti",
        "version": importlib.metadata.version("smalti"),
        "command": command,
        "argv": list(argv),
        "parameters": _jsonable(parameters),
        "changed": _jsonable(changed),
        "inputs": [_input(Path(path)) for path in inputs],
        "parents": tips(parents),
        "plugins": dict(plugins),
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "host": socket.gethostname(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
    }
    return {"id": _identity(record), **record}


def merge(*histories: Iterable[Record]) -> tuple[Record, ...]:
    """Join histories without saying anything twice, parents before children.

    Each history is in order, so keeping the first of every record keeps the whole in order.
    """
    seen: dict[str, Record] = {}
    for record in (record for history in histories for record in history):
        seen.setdefault(str(record.get("id") or _identity(record)), record)
    return tuple(seen.values())


def tips(history: Sequence[Record]) -> list[str]:
    """Give the identities of the records that are no record's parent: where a history ends."""
    followed = {parent for record in history for parent in record.get("parents", ())}
    identities = [str(record["id"]) for record in history if record.get("id")]
    return [identity for identity in identities if identity not in followed]


def read_records(value: Any, path: Path) -> tuple[Record, ...]:
    """Check that a value read from a file is a history."""
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise InputError(
            f"'{path}' has a history that cannot be read.",
            f"{HISTORY_KEY}: a list of records is needed.",
            f"Remove the key {HISTORY_KEY} from the file, or make the file again.",
        )
    return tuple(value)


def _input(path: Path) -> dict[str, Any]:
    digest = None if path.is_dir() else hash_file(path)
    return {"path": os.path.abspath(path), "bytes": path.stat().st_size, "sha256": digest}


def _identity(record: Record) -> str:
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _jsonable(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give values as they will be read back from a file, so that identities survive it."""
    plain: dict[str, Any] = json.loads(json.dumps(finite(values), default=str))
    return plain

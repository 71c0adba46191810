"""Run the steps of a longer job, each as its own command would, and skip those that are finished."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import smalti
from smalti.cli.catalogue import load
from smalti.cli.command import Outcome, Request
from smalti.cli.telling import as_json
from smalti.errors import SmaltiError
from smalti.storage import hash_file, write_whole

__all__ = ["Journal", "call", "run_step"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Journal:
    """What is known of finished steps, kept in a file beside their outputs.

    Attributes
    ----------
    path : Path
    resume : bool
        Whether finished steps may be skipped.
    """

    path: Path
    resume: bool

    def finished(self, step: str, key: str) -> Outcome | None:
        """Give the outcome of a step that was run with this key and whose outputs are still its own."""
        entry = self._entries().get(step) if self.resume else None
        if entry is None or entry["key"] != key:
            return None
        outputs = {self.path.parent / name: digest for name, digest in entry["outputs"].items()}
        if not all(path.is_file() and hash_file(path) == digest for path, digest in outputs.items()):
            return None
        doubts, warnings = tuple(entry["doubts"]), tuple(entry["warnings"])
        return Outcome(entry["result"], entry["text"], tuple(outputs), warnings, doubts)

    def note(self, step: str, key: str, outcome: Outcome) -> None:
        """Remember a finished step."""
        entry = {
            "key": key,
            "outputs": {_within(path, self.path.parent): hash_file(path) for path in outcome.outputs},
            "result": outcome.result,
            "text": outcome.text,
            "warnings": outcome.warnings,
            "doubts": outcome.doubts,
        }
        write_whole(self.path, as_json({**self._entries(), step: entry}).encode())

    def _entries(self) -> dict[str, Any]:
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # No journal, or one cut short: then nothing counts as finished, and everything is run again.
            return {}
        return found if isinstance(found, dict) else {}


def call(request: Request) -> tuple[str, ...]:
    """Give the command line that does what a request asks, for the history."""
    words = ["smalti", request.command, *request.files]
    for scope, row in request.settings.changed().items():
        words += [f"{scope}.{name}={_word(value)}" for name, value in row.items()]
    for name, value in request.switches.items():
        words += [f"--{name}", *map(str, value)] if value else []
    return (*words, "-o", request.output)


def _word(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def run_step(step: str, request: Request, images: Sequence[Path], journal: Journal) -> tuple[Outcome, bool]:
    """Run one step, unless it is finished.

    Parameters
    ----------
    step : str
        Its name in the journal.
    request : Request
        What its command would be asked.
    images : sequence of Path
        Inputs that are too large to hash: known by name, size and time.

    Returns
    -------
    outcome : Outcome
    skipped : bool
    """
    request = replace(request, argv=call(request))
    key = _key(request, images, journal.path.parent)
    done = journal.finished(step, key)
    if done is not None:
        log.info("%s: finished before, skipped", step)
        return done, True
    started = time.perf_counter()
    try:
        outcome = load(request.command).run(request)
    except SmaltiError as error:
        # What went wrong is the step's own to say; which of the many steps it was is not in its words.
        raise type(error)(f"The step {step} stopped: {error.what}", error.why, error.fix) from error
    log.info("%s: %.1f s\n%s\n", " ".join(request.argv), time.perf_counter() - started, outcome.text)
    for warning in outcome.warnings:
        log.info("%s: %s", step, warning)
    journal.note(step, key, outcome)
    return outcome, False


def _within(path: str | Path, folder: Path) -> str:
    """Name a file by its place in the folder, so that the folder may be moved; else by its path."""
    whole = Path(path)
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def _key(request: Request, images: Sequence[Path], folder: Path) -> str:
    """Everything on which the outcome depends, as one hash."""
    plugins = {p.name: p.version for p in request.settings.registry.plugins if not p.disabled}
    named = [str(name) for value in request.switches.values() for name in value or ()]
    files = [] if images else [Path(name) for name in (*request.files, *named) if Path(name).is_file()]
    what: Mapping[str, Any] = {
        "smalti": smalti.__version__,
        "plugins": plugins,
        "command": request.command,
        "parameters": request.settings.used(),
        "output": _within(request.output, folder),
        "inputs": [(_within(path, folder), hash_file(path)) for path in files],
        "images": [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in images],
    }
    return hashlib.sha256(as_json(what).encode()).hexdigest()

"""Run one command from parsed values to an exit status: log, progress, JSON, errors."""

from __future__ import annotations

import logging
import sys
import time
import tomllib
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import smalti
from smalti.cli.asking import make_request
from smalti.cli.blaming import blame
from smalti.cli.command import DRY_RUN, Command, Outcome, Request
from smalti.cli.explaining import shown
from smalti.cli.logs import logging_to, open_log
from smalti.cli.places import claim_folder, folder_of, stem
from smalti.cli.progress import showing
from smalti.cli.telling import (
    EndedError,
    as_json,
    as_object,
    from_os_error,
    interruption,
    peak_memory_mb,
    three_lines,
)
from smalti.errors import DataError, SmaltiError, UntrustworthyError, UsageError
from smalti.options import suggest

__all__ = ["BUG", "execute"]

_MOST_NAMED = 12
"""More files written than this are named in the log and the JSON only."""

BUG = 70


@dataclass
class _Run:
    """What is known of a run at any moment, for the object of ``--json``."""

    command: Command
    values: Mapping[str, Any]
    argv: Sequence[str]
    started: float = field(default_factory=time.perf_counter)
    inputs: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    outcome: Outcome | None = None

    @property
    def json(self) -> bool:
        return bool(self.values.get("json"))

    @property
    def quiet(self) -> bool:
        return bool(self.values.get("quiet"))

    def object(self, status: int, error: SmaltiError | None = None) -> dict[str, Any]:
        done = self.outcome
        return {
            "smalti": smalti.__version__,
            "command": self.command.name,
            "inputs": self.inputs,
            "outputs": done.outputs if done else (),
            "result": done.result if done else None,
            "seconds": round(time.perf_counter() - self.started, 3),
            "peak_memory_mb": peak_memory_mb(),
            "warnings": (*self.notices, *(done.warnings if done else ()), *(done.doubts if done else ())),
            "status": status,
            **({"error": as_object(error)} if error else {}),
        }


def execute(command: Command, values: Mapping[str, Any], argv: Sequence[str]) -> int:
    """Run a command and give its exit status; says everything that is to be said."""
    run = _Run(command, values, argv)
    status, error = 0, None
    try:
        status = _attempt(run)
    except BrokenPipeError:
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as found:
        # SystemExit too: a plugin that leaves the program would end it with a status that means nothing here.
        error = _in_words(found, run)
        status = error.exit_status
        if values.get("debug"):
            traceback.print_exception(found, file=sys.stderr)
        sys.stderr.write(three_lines(error) + "\n")
    if run.json:
        print(as_json(run.object(status, error)))
    return status


def _in_words(found: BaseException, run: _Run) -> SmaltiError:
    """Put whatever ended a run into three lines and a status."""
    if isinstance(found, DataError):
        return _with_files(found, run.inputs)
    if isinstance(found, SmaltiError):
        return found
    if isinstance(found, OSError):
        return from_os_error(found)
    if isinstance(found, KeyboardInterrupt):
        return interruption(_again(run.command))
    if theirs := blame(found):
        return theirs
    # Whatever is left is a mistake of ours, and no user must get a traceback for it.
    return EndedError(
        BUG,
        f"smalti made a mistake: {type(found).__name__}: {found}",
        "This is a bug in smalti, not in your data or your call.",
        "See the traceback above." if run.values.get("debug") else "Run again with --debug and report it.",
    )


def _with_files(error: DataError, files: Sequence[str]) -> DataError:
    """Name the files, where what is wrong with their data does not: steps know values, not files."""
    if not files or len(files) > 2 or any(name in str(error) for name in files):
        return error
    return DataError(error.what, f"{error.why} In {' and '.join(files)}.".strip(), error.fix)


def _again(command: Command) -> str:
    """How to go on after an interruption."""
    if command.resumable:
        return "Go on with the same command and --resume."
    return "Run the same command again" + (" with --force." if command.folder else ".")


def _attempt(run: _Run) -> int:
    """Do the work; errors pass through."""
    request = make_request(run.command, run.values, run.argv)
    run.inputs = request.files
    if mode := run.values.get("show_params"):
        run.outcome = _show_params(request, str(mode))
        print(run.outcome.text, file=sys.stderr if run.json else sys.stdout)
        return 0
    _make_room(request, run.command)
    path = log_path(run.command, request, run.values.get("log"))
    verbosity = -1 if run.quiet else int(run.values.get("verbose") or 0)
    with logging_to(open_log(path) if path else None, verbosity) as log:
        _open(run, request, log)
        try:
            with showing(run.quiet) as progress, warnings.catch_warnings():
                run.outcome = run.command.run(replace(request, progress=progress))
        except BaseException as error:
            _note(log, error)
            raise
        _close(run, run.outcome, log)
    return _verdict(run, run.outcome)


def _make_room(request: Request, command: Command) -> None:
    """See before the work that its outputs can be written."""
    if command.folder:
        again = bool(request.switch("force") or request.switch("resume"))
        claim_folder(request.output, again, command.resumable)
    elif command.output:
        folder_of(request.output)


def _show_params(request: Request, mode: str) -> Outcome:
    """Give the parameters in the form of a result."""
    if mode not in ("changed", "used", "all"):
        raise UsageError(
            f"--show-params does not know '{mode}'.",
            "It shows what is 'changed', what would be 'used', or 'all' that there is.",
            "For example: --show-params=changed",
        )
    text = shown(request.settings, mode)
    return Outcome({"parameters": tomllib.loads(text)}, text or "# every parameter has its default")


def log_path(command: Command, request: Request, named: str | None) -> Path | None:
    """Where the log goes: as named, else beside the output; none for commands that only show or tell."""
    if named:
        return Path(named)
    if not command.output or request.switch(DRY_RUN.name):
        return None
    if command.folder:
        return Path(request.output) / f"{command.name}.log"
    return Path(stem(request.output) + ".log")


def _open(run: _Run, request: Request, log: logging.Logger) -> None:
    log.info("smalti %s: %s", smalti.__version__, " ".join(run.argv))
    run.notices = tuple(_notices(run.command, request))
    for notice in run.notices:
        log.warning("Warning: %s", notice)
    changed = shown(request.settings, "changed")
    if changed:
        block = f"The following parameters have been modified:\n\n{changed}\n"
        log.info("%s", block)
        if not run.quiet and run.command.output and not run.values.get("verbose"):
            sys.stderr.write(block + "\n")


def _notices(command: Command, request: Request) -> Iterator[str]:
    """What is not as the user may think: plugins that take no part, and parameters without effect."""
    registry = request.settings.registry
    known = [plugin.name for plugin in registry.plugins]
    for name in registry.unmatched:
        hint = suggest(name, known, "smalti plugins lists them.")
        yield f"SMALTI_DISABLE names '{name}', and there is no such plugin to leave out. {hint}"
    for plugin in registry.broken if command.stages else ():
        yield f"The plugin '{plugin.name}' ({plugin.distribution}) is left out: {plugin.problem}"
    for name in request.settings.idle():
        yield f"{name} has no effect: its component is not in use here."


def _note(log: logging.Logger, error: BaseException) -> None:
    """Leave an error in the log file only: the screen gets its three lines at the end."""
    expected = isinstance(error, SmaltiError | KeyboardInterrupt)
    trace = None if expected else (type(error), error, error.__traceback__)
    _to_file(log, logging.ERROR, str(error) or "interrupted", trace)


def _to_file(log: logging.Logger, level: int, text: str, trace: Any = None) -> None:
    record = log.makeRecord(log.name, level, __file__, 0, "%s", (text,), trace)
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handle(record)


def _close(run: _Run, outcome: Outcome, log: logging.Logger) -> None:
    """Say what came out: the text on standard output, or standard error beside ``--json``."""
    for warning in (*outcome.warnings, *outcome.doubts):
        log.warning("Warning: %s", warning)
    if outcome.text:
        _to_file(log, logging.INFO, "\n" + outcome.text)
        if not (run.quiet and run.command.output):
            print(outcome.text, file=sys.stderr if run.json else sys.stdout)
    if outcome.outputs:
        names = ", ".join(map(str, outcome.outputs))
        _to_file(log, logging.INFO, f"Written: {names}")
        if len(outcome.outputs) > _MOST_NAMED:
            first, last = outcome.outputs[0], outcome.outputs[-1]
            names = f"{len(outcome.outputs):,} files, {first} to {last}"
        if not run.quiet:
            print(f"Written: {names}", file=sys.stderr if run.json else sys.stdout)


def _verdict(run: _Run, outcome: Outcome) -> int:
    if outcome.status:
        return outcome.status
    if outcome.doubts and run.values.get("strict"):
        raise UntrustworthyError(
            "The result should not be trusted.",
            " ".join(outcome.doubts),
            "The outputs were written; look at them before use, or run without --strict.",
        )
    return 0

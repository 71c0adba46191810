"""Where log messages go: a file per run, and standard error as far as ``-v`` and ``-q`` ask."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from smalti.errors import InputError

__all__ = ["logging_to", "open_log"]

_LINE = "%(asctime)s %(levelname)-7s %(message)s"


def open_log(path: Path) -> logging.Handler:
    """Open the log of a run; an older one is replaced.

    Raises
    ------
    InputError
        It cannot be written there.
    """
    try:
        handler = _LogFile(path, mode="w", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The log {path} cannot be written.",
            f"{error.strerror}.",
            "Name a place that can be written, with -o or --log.",
        ) from error
    handler.setFormatter(logging.Formatter(_LINE, "%Y-%m-%d %H:%M:%S"))
    return handler


class _LogFile(logging.FileHandler):
    """A log file that gives up, with one line, where the disk is full.

    The handler of the library would print a traceback for every message, and end the run when it closes.
    """

    _given_up = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        if self._given_up or self.stream is None:
            return
        try:
            self.stream.write(self.format(record) + self.terminator)
            self.flush()
        except OSError as error:
            self._given_up = True
            sys.stderr.write(f"Warning: the log {self.baseFilename} ends early: {error.strerror or error}\n")

    def close(self) -> None:
        """Close the file; what is left in its buffer is lost where there is no space for it."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(log: logging.Handler | None, verbosity: int) -> Iterator[logging.Logger]:
    """Send the messages of everything below ``smalti`` to the log and to standard error.

    Parameters
    ----------
    log : Handler or None
        Of the file.
    verbosity : int
        -1 errors only, 0 warnings too, 1 what is done, 2 everything.
    """
    logger = logging.getLogger("smalti")
    plugins = logging.getLogger("smalti_plugins")
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(level)
    handlers = [screen, log] if log else [screen]
    before = [(item, item.level) for item in (logger, plugins)]
    for item in (logger, plugins):
        item.setLevel(min(level, logging.INFO))
        for handler in handlers:
            item.addHandler(handler)
    try:
        yield logger
    finally:
        for item, old in before:
            item.setLevel(old)
            for handler in handlers:
                item.removeHandler(handler)
        if log:
            log.close()

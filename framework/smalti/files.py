"""The bytes of a file, with ``.gz`` and ``.bz2`` undone: for steps and for readers alike."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

from smalti.errors import InputError

__all__ = ["COMPRESSED", "as_stored", "plain_name", "read_head", "read_whole"]

COMPRESSED: dict[str, Callable[[Path], IO[bytes]]] = {
    ".gz": lambda path: cast(IO[bytes], gzip.open(path, "rb")),
    ".bz2": lambda path: cast(IO[bytes], bz2.open(path, "rb")),
}
"""How to open each compressed suffix."""


def plain_name(name: str) -> str:
    """Give the name of a file without the suffix of its compression."""
    return next((name[: -len(suffix)] for suffix in COMPRESSED if name.lower().endswith(suffix)), name)


def as_stored(path: Path) -> Path:
    """Give the file that is there under this name, or under it with another compression; else the path.

    Images are often compressed, or undone from it, after they were imported.
    """
    if path.exists():
        return path
    plain = path.with_name(plain_name(path.name))
    forms = [plain, *(plain.with_name(plain.name + suffix) for suffix in COMPRESSED)]
    return next(filter(Path.exists, forms), path)


def read_head(path: Path, size: int = 4096) -> bytes:
    """Read the first bytes of a file's contents: ``size`` of them, or all where there are fewer.

    Raises
    ------
    InputError
        The file is missing, unreadable, or its compressed data are damaged in these bytes.
    """
    return _read(path, size)


def read_whole(path: Path) -> bytes:
    """Read the whole contents of a file.

    Raises
    ------
    InputError
        The file is missing, unreadable, or its compressed data are damaged or cut short.
    """
    return _read(path, -1)


def _read(path: Path, size: int) -> bytes:
    try:
        with COMPRESSED.get(path.suffix.lower(), _plain)(path) as file:
            return file.read(size)
    except FileNotFoundError:
        # It may have been compressed, or undone, or it came otherwise than the first of its series.
        if (stored := as_stored(path)) != path:
            return _read(stored, size)
        raise InputError(
            f"There is no file {path}.", fix="Check the name and the folder you are in."
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, ValueError) as error:
        raise InputError(
            f"{path} is damaged.",
            f"Its compressed data cannot be undone: {error}.",
            "Copy the file again from where it was measured.",
        ) from None
    except OSError as error:
        # bz2 tells damaged data by a plain OSError, without the number that the system gives.
        why = error.strerror or f"Its compressed data cannot be undone: {error}"
        raise InputError(
            f"{path} cannot be read.", f"{why}.", "Check the file and its permissions."
        ) from None


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")

"""From what the user names (files, folders, globs, templates) to the files meant."""

from __future__ import annotations

import difflib
import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.errors import InputError

__all__ = ["Named", "collect"]


@dataclass(frozen=True, slots=True)
class Named:
    """The files meant.

    Attributes
    ----------
    paths : tuple of Path
        Absolute, each once, in the order named; within a folder or glob by name.
    by_name : frozenset of Path
        Those that the user named one by one or by a pattern: each must be an image. Of a folder the
        files that are none are passed over.
    """

    paths: tuple[Path, ...]
    by_name: frozenset[Path]


def collect(names: Sequence[Path]) -> Named:
    """Find all files named.

    Raises
    ------
    InputError
        A file or folder does not exist, a pattern matches nothing, a folder is empty.
    """
    if not names:
        raise InputError("No images were named.", fix="Name image files, a folder, or a pattern in quotes.")
    found: dict[Path, None] = {}
    asked: set[Path] = set()
    for name in names:
        path = Path(os.path.abspath(name.expanduser()))
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
            if not inside:
                raise InputError(
                    f"The folder {name} holds no files.", _subfolders(path), "Name a folder with images."
                )
            found.update(dict.fromkeys(inside))
            continue
        files = [path] if path.exists() else _matching(name, path)
        found.update(dict.fromkeys(files))
        asked.update(files)
    return Named(tuple(found), frozenset(asked))


def _matching(name: Path, path: Path) -> list[Path]:
    """The files that a template with ``#`` or a glob pattern names."""
    text = str(path)
    if "#" not in path.name and not glob.has_magic(text):
        raise InputError(
            f"There is no file {name}.", _nearby(path), "Check the name and the folder you are in."
        )
    pattern = text.replace("#", "[0-9]")
    files = sorted(Path(item) for item in glob.glob(pattern) if os.path.isfile(item))
    if not files:
        raise InputError(
            f"No files match {name}.", _nearby(path), "Check the pattern and the folder you are in."
        )
    return files


def _nearby(path: Path) -> str:
    """Say what there is instead."""
    folder = path.parent
    if not folder.is_dir():
        return f"There is no folder {folder}."
    names = [item.name for item in folder.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if close:
        return "Did you mean " + " or ".join(close) + "?"
    return f"The folder {folder} holds {len(names)} other files."


def _subfolders(path: Path) -> str:
    folders = sorted(item.name for item in path.iterdir() if item.is_dir())
    return f"It has the folders {', '.join(folders[:5])}." if folders else ""

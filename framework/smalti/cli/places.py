"""Where outputs go: the names and folders that ``-o`` stands for, checked before any work."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from smalti.errors import InputError, UsageError

__all__ = ["claim_folder", "folder_of", "stem"]

_SUFFIXES = frozenset({".expt", ".refl", ".json", ".h5", ".html"})


def stem(output: str) -> str:
    """Give the NAME of ``-o NAME``, without a suffix that smalti would add itself."""
    path = Path(output)
    return str(path.with_suffix("")) if path.suffix in _SUFFIXES else output


def folder_of(output: str) -> Path:
    """Give the folder in which ``-o NAME`` puts files.

    Raises
    ------
    UsageError
        It names a folder and no file in it.
    InputError
        The folder does not exist, or cannot be written.
    """
    if output.endswith(os.sep) or Path(output).name in ("", ".."):
        raise UsageError(
            f"The output {output} is a folder, and no name.",
            "Several files may be written, which differ in what follows the name.",
            f"Name them too, for example: -o {shlex.quote(os.path.join(output, 'result'))}",
        )
    folder = Path(output).parent
    if not folder.is_dir():
        raise InputError(
            f"The folder {folder} of the output {output} does not exist.",
            "A folder is not made for you, since a misspelt one would hide the files.",
            f"Make it with: mkdir -p {shlex.quote(str(folder))}",
        )
    if not os.access(folder, os.W_OK):
        raise InputError(
            f"Nothing can be written into the folder {folder.resolve()}.",
            "It is read-only, or belongs to somebody else.",
            "Name another place with -o.",
        )
    return folder


def claim_folder(output: str, again: bool, resumable: bool = False) -> Path:
    """Make the folder of ``-o`` ready.

    Parameters
    ----------
    output : str
    again : bool
        Whether it may hold files already (``--force``, ``--resume``).
    resumable : bool
        Whether the command knows ``--resume``.

    Raises
    ------
    UsageError
        It holds files, and nobody said that they may be replaced.
    InputError
        The folder above it does not exist, or it cannot be made.
    """
    folder = Path(output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(
            f"{output} is a file.", "A folder is needed for the outputs.", "Name another with -o."
        )
    folder_of(str(folder.absolute() / "any" if folder.is_dir() else folder))
    held = [item.name for item in folder.iterdir() if item.suffix != ".log"] if folder.is_dir() else []
    if held and not again:
        raise UsageError(
            f"The folder {output} already holds {len(held)} files.",
            f"Among them {', '.join(sorted(held)[:3])}; the new ones would mix with them.",
            "Name another folder with -o, or allow it with --force."
            + (" Go on with what is there: --resume." if resumable else ""),
        )
    folder.mkdir(exist_ok=True)
    return folder

"""Files written whole or not at all: a temporary file beside the target, fsync, rename.

A rename within one folder is atomic on POSIX file systems, so that a reader sees the old file or the
new one and never a part; the fsync before it makes sure that the new name does not appear on disk
before the new content does, and the one of the folder makes the rename itself survive a power cut.
"""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from smalti.errors import InputError, UsageError

__all__ = ["atomic_path", "refuse_overwriting", "write_whole"]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; on success it takes the name ``path``.

    Whatever ends the block early, Ctrl-C included, leaves ``path`` as it was and removes the
    temporary file.

    Raises
    ------
    InputError
        If the folder is missing or may not be written, or the disk is full.
    """
    # A link is followed, so that the file it leads to is replaced and not the link.
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _refused(target, error) from None
    try:
        yield temporary
        _settle(temporary, target)
    except OSError as error:
        raise _refused(target, error) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write bytes to a file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def refuse_overwriting(
    outputs: Sequence[str | os.PathLike[str]], inputs: Sequence[str | os.PathLike[str]]
) -> None:
    """Check that no output is the same file as an input, by whatever path each is named.

    Raises
    ------
    UsageError
        Names the file.
    """
    for output in map(Path, outputs):
        for given in map(Path, inputs):
            if _same(output, given):
                raise UsageError(
                    f"'{output}' would be overwritten by its own result.",
                    f"It is the input '{given}'.",
                    "Give the result another name with -o NAME.",
                )


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.resolve() == other.resolve()


def _settle(temporary: Path, target: Path) -> None:
    """Bring the temporary file to disk and rename it."""
    _sync(temporary)
    temporary.replace(target)
    # Some network file systems refuse to fsync a folder; the file is whole all the same.
    with suppress(OSError):
        _sync(target.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refused(target: Path, error: OSError) -> InputError:
    folder = target.parent
    if not folder.exists():
        fix = f"Make it first: mkdir -p {shlex.quote(str(folder))}"
    elif target.is_dir():
        fix = "A folder has that name; give the output another one with -o NAME."
    else:
        fix = f"Check the permissions and the free space of '{folder}', or write elsewhere with -o NAME."
    return InputError(f"Cannot write '{target}'.", f"{error.strerror or error}.", fix)

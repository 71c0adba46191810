"""Recognise the files that a command is given, whatever their order and whatever they are called."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from smalti.errors import InputError, UsageError

__all__ = ["Kind", "check_exist", "recognise", "refuse_results", "sort_files"]


class Kind(Enum):
    """What a file is, in words for messages."""

    EXPERIMENTS = "an experiment list (.expt)"
    REFLECTIONS = "a reflection table (.refl)"
    COVARIANCES = "what a refinement knows of its errors (.covariance.h5)"
    IMAGE = "an image"
    FOLDER = "a folder"
    PICKLE = "a Python pickle"
    JSON = "a JSON file, but no experiment list"
    HTML = "a web page"
    UNKNOWN = "a file of no kind that smalti knows"


_SUFFIXES = {
    ".expt": Kind.EXPERIMENTS,
    ".refl": Kind.REFLECTIONS,
    ".cbf": Kind.IMAGE,
    ".img": Kind.IMAGE,
    ".nxs": Kind.IMAGE,
    ".gz": Kind.IMAGE,
    ".bz2": Kind.IMAGE,
    ".pickle": Kind.PICKLE,
}
_FIRST = {Kind.EXPERIMENTS: "smalti import IMAGES", Kind.REFLECTIONS: "smalti find-spots EXPT"}
_EARLY = ("find-spots", "index", "panels")
"""Commands that work on what is not indexed."""


def recognise(path: Path) -> Kind:
    """Tell what a file is from its first bytes, and only where they do not tell from its name."""
    if path.is_dir():
        return Kind.FOLDER
    with path.open("rb") as stream:
        head = stream.read(4096)
    start = head.lstrip()[:16]
    if start.startswith(b"{") and b"HEADER_BYTES" in head[:64]:  # SMV opens with a brace, as JSON does
        return Kind.IMAGE
    if start.startswith(b"{"):
        known = b"ExperimentList" in head or b'"experiment"' in head
        return Kind.EXPERIMENTS if known or path.suffix == ".expt" else Kind.JSON
    if b"reflection_table" in head[:128]:
        return Kind.REFLECTIONS
    if head.startswith(b"\x89HDF") and path.name.endswith(".covariance.h5"):
        return Kind.COVARIANCES
    if head.startswith(b"\x89HDF"):
        return _hdf5(path, head)
    if head.startswith((b"###CBF", b"\x1f\x8b", b"BZh")):
        return Kind.IMAGE
    if start.lower().startswith((b"<!doctype", b"<html")):
        return Kind.HTML
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return Kind.PICKLE
    return _SUFFIXES.get(path.suffix.lower(), Kind.UNKNOWN)


def _hdf5(path: Path, head: bytes) -> Kind:
    """Tell tables from images by words that both have near their beginnings, and last by the name."""
    if b"smalti reflections" in head:
        return Kind.REFLECTIONS
    named = path.suffix != ".h5" or "master" in path.stem
    return Kind.IMAGE if named or b"entry" in head else Kind.REFLECTIONS


def check_exist(files: Sequence[str]) -> tuple[Path, ...]:
    """Give the paths of files that must be there and hold something.

    Raises
    ------
    InputError
        Names every one that is missing or empty, with the nearest names in their folders.
    """
    paths = tuple(Path(name) for name in files)
    missing = [path for path in paths if not path.exists()]
    if missing:
        listed = ", ".join(map(str, missing))
        raise InputError(
            f"There is no file {listed}." if len(missing) == 1 else f"There are no files {listed}.",
            " ".join(dict.fromkeys(_surroundings(path) for path in missing)),
            " ".join(_nearest(path) for path in missing).strip()
            or "Check the path, or the folder you are in.",
        )
    empty = [path for path in paths if path.is_file() and path.stat().st_size == 0]
    if empty:
        raise InputError(
            f"{', '.join(map(str, empty))} is empty." if len(empty) == 1 else
            f"These files are empty: {', '.join(map(str, empty))}.",
            "It has 0 bytes: what should have written it was interrupted, or the disk was full.",
            "Make it again, or copy it again.",
        )  # fmt: skip
    return paths


def _surroundings(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"The folder {folder} does not exist."
    if any(sign in path.name for sign in "*?["):
        return f"Nothing in {folder.resolve().name}/ matches the pattern."
    alike = [item.name for item in sorted(folder.iterdir()) if item.suffix == path.suffix][:5]
    if not alike:
        return f"The folder {folder.resolve().name}/ holds no {path.suffix or 'such'} file."
    return f"The folder {folder.resolve().name}/ holds {', '.join(alike)}."


def _nearest(path: Path) -> str:
    if not path.parent.is_dir():
        return ""
    names = [item.name for item in path.parent.iterdir()]
    close = difflib.get_close_matches(path.name, names, n=2, cutoff=0.7)
    return "Did you mean " + " or ".join(str(path.parent / name) for name in close) + "?" if close else ""


def sort_files(command: str, files: Sequence[str], wanted: Sequence[Kind], example: str) -> tuple[Path, ...]:
    """Put files into the order that a command wants, by what they are.

    Parameters
    ----------
    command : str
        For messages.
    files : sequence of str
        As the user wrote them, in any order.
    wanted : sequence of Kind
        One kind for each file; several files of one kind keep their order.
    example : str
        A call that works, for the message.

    Raises
    ------
    UsageError
        A file is missing from the call, or there is one too many.
    InputError
        A file does not exist, is empty or is something else.
    """
    paths = list(check_exist(files))
    kinds = {path: recognise(path) for path in paths}
    _refuse_strangers(command, kinds, wanted, example)
    found: list[Path] = []
    for kind in wanted:
        fitting = [path for path in paths if kinds[path] in (kind, *_carried((kind,)))]
        if not fitting:
            raise UsageError(
                f"smalti {command} needs {kind.value}, and none was given.",
                f"Given: {', '.join(map(str, files)) or 'no file at all'}.",
                f"Example: {example} (made by: {_maker(command, kind)}).",
            )
        found.append(fitting[0])
        paths.remove(fitting[0])
    if paths:
        raise UsageError(
            f"{', '.join(map(str, paths))} is one file too many for smalti {command}.",
            f"It takes {' and '.join(kind.value for kind in wanted)}.",
            f"Example: {example}",
        )
    return tuple(found)


def _maker(command: str, kind: Kind) -> str:
    """Which command makes a file that this one lacks."""
    return _FIRST.get(kind, "an earlier step") if command in _EARLY else "smalti index EXPT REFL"


def refuse_results(command: str, files: Sequence[str]) -> None:
    """Refuse models and tables where images are wanted, which no reader could say of them.

    Raises
    ------
    InputError
        Names the first.
    """
    onward = {Kind.EXPERIMENTS: "smalti find-spots", Kind.REFLECTIONS: "smalti show"}
    for path in map(Path, files):
        kind = recognise(path) if path.is_file() else Kind.UNKNOWN
        if kind in onward:
            raise InputError(
                f"{path} is {kind.value}.",
                f"smalti {command} takes images, folders of images and patterns.",
                f"It is a result already; go on with: {onward[kind]} {path}",
            )


def _refuse_strangers(command: str, kinds: dict[Path, Kind], wanted: Sequence[Kind], example: str) -> None:
    """Refuse the first file of a kind that the command does not take."""
    for path, kind in kinds.items():
        if kind not in (*wanted, *_carried(wanted)):
            words = " and ".join(item.value for item in dict.fromkeys(wanted))
            raise InputError(
                f"{path} is {kind.value}.",
                f"smalti {command} takes {words}.",
                _advice(command, kind, example),
            )


def _carried(wanted: Sequence[Kind]) -> tuple[Kind, ...]:
    # A pickle given as a table goes on to the reader of tables, which says how to convert it.
    return (Kind.PICKLE,) if Kind.REFLECTIONS in wanted else ()


def _advice(command: str, kind: Kind, example: str) -> str:
    if kind is Kind.IMAGE and command != "import":
        return f"Make models of images first, with: smalti import IMAGES; then: {example}"
    return f"Example: {example}"

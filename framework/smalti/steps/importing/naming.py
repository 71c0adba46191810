"""Names of image files: which part counts the images."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smalti.files import plain_name

__all__ = ["Numbered", "group_by_template", "split_name"]

_LAST = re.compile(r"^(.*?)(\d+)(\.[^.]*)$")  # digits before the last suffix: a_0001.cbf
_BARE = re.compile(r"^([^.]*?)(\d+)()$")  # no suffix: a0001
_SUFFIX = re.compile(r"^(.*\.)(\d+)()$")  # digits as the last suffix: a.0001
_MOST_DIGITS = 9  # more are a time stamp


@dataclass(frozen=True, slots=True)
class Numbered:
    """A template and the images that belong to it.

    Attributes
    ----------
    template : str
        Absolute path with ``#`` for the digits; without any for a file that is not numbered.
    paths : tuple of Path
        In the order of their numbers.
    numbers : tuple of int
        1 for a file that is not numbered. Of a file that holds many images: their numbers in it, from 1;
        ``paths`` then says the file again for each.
    """

    template: str
    paths: tuple[Path, ...]
    numbers: tuple[int, ...]

    @property
    def in_one_file(self) -> bool:
        """Whether one file holds all images."""
        return len(self.paths) > 1 and "#" not in self.name

    @property
    def name(self) -> str:
        """The template without its folder, for people."""
        return Path(self.template).name


def split_name(name: str) -> tuple[str, str, str]:
    """Split a file name into what stands before, in and after the number; "" where there is none."""
    plain = plain_name(name)
    name, tail = plain, name[len(plain) :]
    found = _SUFFIX.match(name) or _LAST.match(name) or _BARE.match(name)
    if not found or len(found.group(2)) > _MOST_DIGITS:
        return name + tail, "", ""
    return found.group(1), found.group(2), found.group(3) + tail


def group_by_template(paths: Iterable[Path]) -> tuple[Numbered, ...]:
    """Group absolute paths by template, in the order in which templates first appear.

    Numbers may be padded with zeros (``_0001``) or not (``_1`` to ``_10``); files whose digits were
    padded to different widths are different series. Compressed images and others may be mixed: the
    template is named like the first.
    """
    groups: dict[tuple[str, str], list[tuple[str, Path]]] = {}
    for path in paths:
        before, digits, after = split_name(path.name)
        home = str(path.with_name(before)) if digits else str(path)
        groups.setdefault((home, plain_name(after)), []).append((digits, path))
    found: list[Numbered] = []
    for (before, _), members in groups.items():
        if not members[0][0]:
            found.append(Numbered(before, (members[0][1],), (1,)))
            continue
        for width, files in _each_once(_by_width(members)):
            files = sorted(files, key=lambda item: int(item[0]))
            found.append(
                Numbered(
                    before + "#" * width + split_name(files[0][1].name)[2],
                    tuple(path for _, path in files),
                    tuple(int(digits) for digits, _ in files),
                )
            )
    return tuple(found)


def _each_once(
    widths: Sequence[tuple[int, list[tuple[str, Path]]]],
) -> Iterator[tuple[int, list[tuple[str, Path]]]]:
    """Divide files by their compression where an image is there in two of them."""
    for width, files in widths:
        if len({int(digits) for digits, _ in files}) == len(files):
            yield width, files
            continue
        by_tail: dict[str, list[tuple[str, Path]]] = {}
        for digits, path in files:
            by_tail.setdefault(path.name[len(plain_name(path.name)) :], []).append((digits, path))
        yield from ((width, members) for members in by_tail.values())


def _by_width(members: Sequence[tuple[str, Path]]) -> list[tuple[int, list[tuple[str, Path]]]]:
    """Divide the files of one name by the width to which their numbers are padded."""
    padded = Counter(len(digits) for digits, _ in members if digits.startswith("0") and len(digits) > 1)
    free = min((len(digits) for digits, _ in members if not digits.startswith("0")), default=1)
    widths: dict[int, list[tuple[str, Path]]] = {}
    for digits, path in members:
        if digits.startswith("0") and len(digits) > 1:
            width = len(digits)
        else:
            # A number without leading zeros may have outgrown any narrower padding.
            width = max((w for w in padded if w <= len(digits)), default=free)
        widths.setdefault(width, []).append((digits, path))
    return sorted(widths.items())

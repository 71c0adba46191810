"""Where the items of the lists of a JSON document lie, found without decoding it.

A document of a hundred thousand models takes many times its size once it is decoded. Here it is run through
in pieces, and any of its items can be decoded alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smalti.errors import InputError
from smalti.storage.places import open_binary

__all__ = ["find_items"]

Offsets = NDArray[np.int64]

_CHUNK = 1 << 24
_ITEM = 2
"""Depth at which the items of the lists of a document lie: within the document and its list."""
_KEY = re.compile(rb'"([^"\\]*)"\s*:\s*\Z')
_KEY_LENGTH = 256

_SIGN = np.zeros(256, dtype=np.int8)
"""What each byte does to the depth."""
_SIGN[[ord("{"), ord("[")]] = 1
_SIGN[[ord("}"), ord("]")]] = -1


def find_items(path: Path) -> dict[str, Offsets]:
    """Give the first byte of every object in every list of a document, and the one after its last, (n, 2).

    Raises
    ------
    InputError
        The document ends before it is complete.
    """
    scanner = _Scanner()
    with open_binary(path) as file:
        while chunk := _chunk(file):
            scanner.scan(chunk)
    if scanner.depth or scanner.inside or not scanner.lists:
        raise InputError(
            f"'{path}' is not complete, correct JSON.",
            f"It ends within a text, a list or an object, at byte {scanner.position}."
            if scanner.depth or scanner.inside
            else "It holds no lists.",
            "It was cut off or edited; make it again with the step that wrote it.",
        )
    begins, ends = np.concatenate(scanner.begins), np.concatenate(scanner.ends)
    places = [place for place, _ in scanner.lists]
    bounds = np.searchsorted(begins, [*places, scanner.position])
    return {
        key.decode(): np.column_stack([begins[a:b], ends[a:b]])
        for (_, key), a, b in zip(scanner.lists, bounds[:-1], bounds[1:], strict=True)
    }


def _chunk(file: BufferedReader) -> bytes:
    """Read the next piece; none ends within a row of backslashes, which say together what follows them."""
    chunk = file.read(_CHUNK)
    while chunk.endswith(b"\\") and (more := file.read(1)):
        chunk += more
    return chunk


@dataclass
class _Scanner:
    """What is known of the bytes that have been seen: depth, whether within a text, items and lists."""

    depth: int = 0
    inside: bool = False
    position: int = 0
    tail: bytes = b""
    begins: list[Offsets] = field(default_factory=list)
    ends: list[Offsets] = field(default_factory=list)
    lists: list[tuple[int, bytes]] = field(default_factory=list)

    def scan(self, chunk: bytes) -> None:
        """Look through the next bytes."""
        data = np.frombuffer(chunk, np.uint8)
        quotes = _quotes(chunk, data)
        places = np.flatnonzero(_SIGN[data])
        places = places[(np.searchsorted(quotes, places) + self.inside) % 2 == 0]
        signs = _SIGN[data[places]]
        depth = self.depth + np.cumsum(signs, dtype=np.int64)
        braces = (data[places] == ord("{")) | (data[places] == ord("}"))
        self.begins.append(self.position + places[braces & (signs > 0) & (depth == _ITEM + 1)])
        self.ends.append(self.position + places[braces & (signs < 0) & (depth == _ITEM)] + 1)
        for place in places[~braces & (signs > 0) & (depth == _ITEM)].tolist():
            before = (
                (self.tail + chunk[:place]) if place < _KEY_LENGTH else chunk[place - _KEY_LENGTH : place]
            )
            found = _KEY.search(before)
            self.lists.append((self.position + place, found[1] if found else b""))
        self.depth = int(depth[-1]) if depth.size else self.depth
        self.inside ^= bool(len(quotes) % 2)
        self.position += len(chunk)
        self.tail = (self.tail + chunk)[-_KEY_LENGTH:]


def _quotes(chunk: bytes, data: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Places of the quotes that begin or end a text: not those after an odd number of backslashes."""
    quotes = np.flatnonzero(data == ord('"'))
    if b'\\"' not in chunk:
        return quotes
    meant = np.array([_backslashes(chunk, place) % 2 == 0 for place in quotes.tolist()], dtype=bool)
    return np.asarray(quotes[meant])


def _backslashes(chunk: bytes, end: int) -> int:
    """How many lie just before a place."""
    begin = end
    while begin and chunk[begin - 1] == ord("\\"):
        begin -= 1
    return end - begin

"""What the page asks, checked; and what it is answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from smalti.errors import UsageError

__all__ = ["Answer", "Question", "as_json"]


@dataclass(frozen=True)
class Answer:
    """A body, what it is, and headers of its own."""

    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def as_json(value: Any) -> Answer:
    """Answer with JSON; numbers that are none are refused here rather than in the browser."""
    return Answer(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


@dataclass(frozen=True)
class Question:
    """The words after the question mark, and the body.

    Every value is checked as it is taken; a bad one is a :class:`UsageError`, and an answer 400.
    """

    words: Mapping[str, str]
    body: bytes = b""

    @classmethod
    def of(cls, query: str, body: bytes = b"") -> Question:
        """Read the part of an address behind the question mark."""
        return cls(dict(parse_qsl(query, keep_blank_values=True, max_num_fields=100)), body)

    def text(self, name: str, default: str = "") -> str:
        """Give a word as it is."""
        return self.words.get(name, default)

    def whole(self, name: str, default: int, low: int = 0, high: int = 2**31) -> int:
        """Give a whole number within limits."""
        word = self.words.get(name)
        if word is None:
            return default
        try:
            value = int(word)
        except ValueError:
            raise _bad(name, word, "a whole number") from None
        if not low <= value <= high:
            raise _bad(name, word, f"between {low} and {high}")
        return value

    def number(self, name: str) -> float:
        """Give a number that must be there."""
        word = self.words.get(name, "")
        try:
            value = float(word)
        except ValueError:
            raise _bad(name, word, "a number") from None
        if not -1e9 < value < 1e9:
            raise _bad(name, word, "a number of reasonable size")
        return value

    def one_of(self, name: str, known: Sequence[str]) -> str:
        """Give one of some words; the first by default."""
        word = self.words.get(name, known[0])
        if word not in known:
            raise _bad(name, word, "one of " + ", ".join(known))
        return word

    def json(self) -> Any:
        """Give the body, which must be JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise UsageError("The body is no JSON.", "", "Send JSON.") from None


def _bad(name: str, word: str, wanted: str) -> UsageError:
    return UsageError(
        f"Bad value for {name}: '{word[:40]}'.", f"It must be {wanted}.", "See reference/viewer.md."
    )

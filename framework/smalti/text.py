"""Plain text for people: tables that read the same in a terminal, a log and a mail."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = ["json_lines", "plural", "ranges", "table", "wrapped"]


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> str:
    """Set a table: texts to the left, numbers to the right, a rule under the head.

    Cells are shown with ``str``; format numbers before. A header may hold a newline (unit below).
    """
    body = [[str(cell) for cell in row] for row in rows]
    heads = [header.split("\n") for header in headers]
    depth = max((len(head) for head in heads), default=1)
    top = [[head[line] if line < len(head) else "" for head in heads] for line in range(depth)]
    widths = [max(len(line[k]) for line in (*top, *body)) for k in range(len(headers))]
    right = [all(_numeric(row[k]) for row in body) for k in range(len(headers))]

    def line(cells: Sequence[str]) -> str:
        parts = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return "  ".join(parts).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([*([title] if title else []), *map(line, top), rule, *map(line, body)])


def _numeric(cell: str) -> bool:
    return not cell or cell[0] in "+-.0123456789" or cell in {"nan", "inf"}


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: "1 panel", "3 panels"."""
    if count == 1:
        return f"1 {noun}"
    ending = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return f"{count:,} {ending}"


def ranges(numbers: Iterable[int], most: int | None = None) -> str:
    """Write ascending numbers with runs drawn together, "0-3, 7"; of many runs only the first ``most``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(shown[:most]) + (", ..." if most is not None and len(shown) > most else "")


def wrapped(text: str, width: int = 100) -> str:
    """Break sentences into lines of at most a width; tables, which have gaps, stay as they are."""
    return "\n".join(
        line
        if len(line) <= width or "  " in line
        else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )


def json_lines(value: Any, depth: int) -> str:
    """Set plain values as JSON, one item a line in mappings and lists of these down to a depth.

    What lies deeper stands on one line. Indented throughout, a table of 400 rows is mostly line breaks, and
    Python's encoder leaves its compiled part for it, which is ten times quicker.
    """
    return _json_lines(value, depth, "\n")


def _json_lines(value: Any, depth: int, line: str) -> str:
    inner = line + " "
    if depth and value and isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_json_lines(item, depth - 1, inner)}" for key, item in value.items()]
        return "{" + inner + f",{inner}".join(items) + line + "}"
    if depth and value and isinstance(value, list) and isinstance(value[0], dict | list):
        items = [_json_lines(item, depth - 1, inner) for item in value]
        return "[" + inner + f",{inner}".join(items) + line + "]"
    return json.dumps(value, allow_nan=False)

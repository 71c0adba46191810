"""Parameters in words, and as a TOML file that ``--params`` reads."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomlkit

from smalti.cli.settings import Schema, Settings
from smalti.options import Option

__all__ = ["facts", "parameter_list", "shown", "template"]


_LITERAL = re.compile(r"[\"']([^\"']*)[\"']")
"""The words of an annotation such as ``Literal["modules", "single"]``, which dataclasses keep as text."""


def facts(option: Option, default: Any = None) -> str:
    """Words allowed, unit, default and range of an option, in brackets."""
    value = option.default if default is None else default
    words = _LITERAL.findall(option.annotation) if "Literal[" in option.annotation else []
    default = "" if value == "" else f"default {_text(value)}"
    parts = [part for part in (" | ".join(words), option.unit, default, option.range) if part]
    return f"[{'; '.join(parts)}]" if parts else ""


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(map(_text, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def parameter_list(schema: Schema, word: str = "") -> tuple[str, list[dict[str, Any]]]:
    """Explain all parameters, or those whose name, meaning or unit has a word in it.

    Returns
    -------
    text : str
    rows : list of dict
        The same for programs.
    """
    found: list[dict[str, Any]] = []
    blocks: list[str] = []
    for scope in schema.scopes.values():
        rows = [o for o in scope.options if _mentions(f"{scope.name}.{o.name} {o.help} {o.unit}", word)]
        if rows:
            lines = (f"  {scope.name}.{o.name}  {facts(o)}\n{_indented(o.help)}" for o in rows)
            blocks.append("\n".join([f"{scope.name}: {scope.title}", *lines]))
        found += [_row(scope.name, option) for option in rows]
    return "\n\n".join(blocks), found


def _indented(text: str) -> str:
    return textwrap.fill(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _mentions(text: str, word: str) -> bool:
    return word.lower().replace("-", "_") in text.lower().replace("-", "_")


def _row(scope: str, option: Option) -> dict[str, Any]:
    return {
        "parameter": f"{scope}.{option.name}",
        "type": option.annotation,
        "default": option.default,
        "unit": option.unit,
        "range": option.range,
        "meaning": option.help,
    }


def shown(settings: Settings, which: str) -> str:
    """Write the parameters as TOML: ``changed``, ``used``, or ``all`` with those of idle components."""
    if which == "changed":
        return _toml(settings.changed())
    values = settings.used()
    if which == "all":
        for scope in settings.schema.scopes.values():
            defaults = {option.name: option.default for option in scope.options}
            given = settings.given(scope.name)
            if defaults and scope.name not in values:
                values[scope.name] = {**defaults, **given}
    return _toml(values)


def template(schema: Schema) -> str:
    """Write a TOML file of all parameters, each explained and commented out at its default."""
    lines = ["# Parameters for smalti: take the # from what you want to change.", ""]
    for scope in schema.scopes.values():
        if not scope.options:
            continue
        lines += [f"# {scope.title}", f"[{_key(scope.name)}]"]
        for option in scope.options:
            lines += [f"# {option.help} {facts(option)}", f"#{_key(option.name)} = {_item(option.default)}"]
        lines.append("")
    return "\n".join(lines)


def _toml(table: Mapping[str, Mapping[str, Any]]) -> str:
    blocks: Iterable[str] = (
        "\n".join([f"[{_key(scope)}]", *(f"{_key(name)} = {_item(value)}" for name, value in row.items())])
        for scope, row in table.items()
        if row
    )
    return "\n\n".join(blocks)


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else f'"{name}"'


def _item(value: Any) -> str:
    # TOML has no null; where an option may be None the text "none" means it.
    if value is None:
        return '"none"'
    if isinstance(value, tuple):
        value = list(value)
    return str(tomlkit.item(str(value) if isinstance(value, Path) else value).as_string())

"""From what the user typed to a request: files told from parameters, values merged by precedence."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smalti.cli import catalogue
from smalti.cli.command import Command, Request
from smalti.cli.files import check_exist
from smalti.cli.settings import Schema, gather
from smalti.discovery import Registry, discover
from smalti.errors import InputError, UsageError
from smalti.options import suggest
from smalti.progress import Progress, silent

__all__ = ["find_plugins", "full_schema", "make_request", "read_parameters", "split_words"]

_ASSIGNMENT = re.compile(r"[A-Za-z][\w.:-]*=")


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Tell files from ``component.option=value`` words; an existing file is a file whatever its name."""
    files = [word for word in words if not _ASSIGNMENT.match(word) or Path(word).exists()]
    return files, [word for word in words if word not in files]


def _assignment(word: str) -> tuple[str, str]:
    name, sign, value = word.partition("=")
    if not sign or not name:
        raise UsageError(
            f"'{word}' sets nothing.",
            "--set takes component.option=value, without blanks around the sign.",
            "For example: --set tukey.iqr_multiplier=1.5",
        )
    return name.strip(), value


def read_parameters(path: Path) -> list[tuple[str, Any]]:
    """Read a TOML parameter file into (name, value) pairs.

    Raises
    ------
    InputError
        It is no TOML; says where.
    """
    check_exist([str(path)])
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"The parameter file {path} is not TOML.",
            f"{error}.",
            "Write a template to start from with: smalti params COMMAND --template",
        ) from None
    return list(_flattened(document))


def _flattened(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, tuple(value) if isinstance(value, list) else value


def find_plugins(words: Sequence[str]) -> Registry:
    """Discover plugins without those that ``--plugin -name`` leaves out.

    Raises
    ------
    UsageError
        A word has no minus, or names no plugin.
    """
    for word in words:
        if not word.startswith("-"):
            raise UsageError(
                f"--plugin {word} has no minus before the name.",
                "Plugins are on when they are installed; the option only leaves one out.",
                f"Write: --plugin -{word}",
            )
    registry = discover(disable=[word[1:] for word in words])
    names = [plugin.name for plugin in registry.plugins]
    left_out = {plugin.name.replace("_", "-") for plugin in registry.plugins if plugin.disabled}
    for word in words:
        if word[1:].replace("_", "-") not in left_out:
            raise UsageError(
                f"There is no plugin '{word[1:]}' to leave out.",
                f"Installed: {', '.join(names)}.",
                suggest(word[1:], names, "smalti plugins lists them with what they bring."),
            )
    return registry


def make_request(
    command: Command, values: Mapping[str, Any], argv: Sequence[str], progress: Progress = silent
) -> Request:
    """Turn the values that typer parsed into a request, everything validated.

    Raises
    ------
    UsageError, InputError
    """
    schema = Schema(command.stages, find_plugins(values.get("plugin") or ()))
    files, bare = split_words(values.get("words") or ())
    if bare and not command.stages:
        raise UsageError(
            f"smalti {command.name} takes no parameters, and '{bare[0]}' would set one.",
            "Only commands that work on data have parameters.",
            f"Example: {command.example}",
        )
    if files and not command.takes_files:
        raise UsageError(
            f"smalti {command.name} takes no files, and does not understand '{files[0]}'.",
            "Parameters are set as NAME=VALUE, without blanks around the sign.",
            f"Example: {command.example}",
        )
    assignments: list[tuple[str, Any]] = []
    for name in values.get("params") or ():
        assignments += _understood(schema, read_parameters(Path(name)))
    assignments += [_assignment(word) for word in (*(values.get("set_") or ()), *bare)]
    for daily in command.daily:
        value = values.get(daily.flag.lstrip("-").replace("-", "_"))
        if value is not None:
            assignments.append((daily.target, value))
    settings = gather(schema, assignments)
    settings.check()
    return Request(
        command.name,
        tuple(files),
        values.get("output") or command.output,
        settings,
        tuple(argv),
        {switch.name: values.get(switch.name) for switch in command.switches},
        progress,
    )


def _understood(schema: Schema, pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Leave out of a file what is meant for other commands, so that one file serves all."""
    kept: list[tuple[str, Any]] = []
    whole: Schema | None = None
    for name, value in pairs:
        try:
            schema.resolve(name)
        except UsageError:
            whole = whole or full_schema(schema.registry)
            whole.resolve(name)
            continue
        kept.append((name, value))
    return kept


def full_schema(registry: Registry) -> Schema:
    """Give the schema of all commands together."""
    stages = {stage.name: stage for name in catalogue.COMMANDS for stage in catalogue.load(name).stages}
    return Schema(tuple(stages.values()), registry)

"""``smalti params``: every option explained."""

from __future__ import annotations

from smalti.cli import catalogue
from smalti.cli.asking import full_schema
from smalti.cli.command import Command, Outcome, Request, Switch
from smalti.cli.explaining import parameter_list, template
from smalti.cli.settings import Schema
from smalti.errors import UsageError
from smalti.options import suggest
from smalti.text import plural

__all__ = ["COMMAND"]


def run(request: Request) -> Outcome:
    """Explain the parameters of a command, or of all; those that mention a word, or all."""
    name, word = _asked(request.files)
    registry = request.settings.registry
    schema = Schema(catalogue.load(name).stages, registry) if name else full_schema(registry)
    if request.switch("template"):
        return Outcome({"template": template(schema)}, template(schema))
    text, rows = parameter_list(schema, word)
    if not rows:
        known = [option for _, option in schema.names()]
        text = (
            f"No parameter mentions '{word}'. {suggest(word, known, '')}" if word else "It has no parameters."
        )
        return Outcome({"parameters": []}, text.strip())
    return Outcome({"parameters": rows}, f"{text}\n\n{plural(len(rows), 'parameter')}.")


def _asked(words: tuple[str, ...]) -> tuple[str, str]:
    """Take ``[COMMAND] [search WORD]`` apart."""
    name, rest = (words[0], words[1:]) if words and words[0] != "search" else ("", words)
    commands = list(catalogue.COMMANDS)
    if name and name not in commands:
        raise UsageError(
            f"There is no command '{name}' to explain.",
            f"Commands: {', '.join(commands)}.",
            suggest(name, commands, f"To look for a word: smalti params search {name}"),
        )
    if not rest:
        return name, ""
    if rest[0] != "search" or len(rest) != 2:
        raise UsageError(
            f"'{' '.join(words)}' is not understood.",
            "It takes the name of a command, then 'search' and one word; both may be left out.",
            f"Example: {COMMAND.example}",
        )
    return name, rest[1]


COMMAND = Command(
    "params",
    run,
    usage="[COMMAND] [search WORD]",
    details=(
        "For each parameter: its default, unit, range and meaning. Set one with --set NAME=VALUE, as a "
        "bare word NAME=VALUE, or in a TOML file given with --params; --template writes such a file, "
        "every line explained."
    ),
    example="smalti params refine search sigma",
    switches=(Switch("--template", "Write a commented TOML file for --params instead."),),
)

"""Turn the specification of a command into a typer command, with its help."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from smalti.cli.catalogue import COMMANDS
from smalti.cli.command import Command, Daily, Switch

__all__ = ["HelpfulCommand", "typer_command"]


class HelpfulCommand(TyperCommand):
    """A typer command whose help is grouped, and explains each parameter from its one definition."""

    spec: Command | None = None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Name the files as the command does, in place of what typer makes of a list."""
        if self.spec is None:
            return list(super().collect_usage_pieces(ctx))
        return ["[OPTIONS]", self.spec.usage] if self.spec.usage else ["[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the daily options, then the switches, then what every command has."""
        if self.spec is None:
            return super().format_options(ctx, formatter)
        explained = _explained(self.spec)
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or parameter.param_type_name == "argument":
                continue
            panel = getattr(parameter, "rich_help_panel", None) or _EVERY
            groups.setdefault(panel, []).append((record[0], explained.get(parameter.name or "", record[1])))
        for title in (_DAILY, _SWITCHES, _EVERY):
            if title in groups:
                with formatter.section(title):
                    formatter.write_dl(groups[title])
        if self.spec.stages:
            with formatter.section("Everything else"):
                formatter.write_text(
                    f"smalti params {self.spec.name} explains every parameter. Set any of them with "
                    "--set, in a --params file, or as a bare word such as component.option=value."
                )
        return None


_DAILY = "Parameters"
_SWITCHES = "This command"
_EVERY = "Every command"


def _explained(spec: Command) -> dict[str, str]:
    """Meaning, unit, default and range of the daily options, by parameter name."""
    from smalti.cli.explaining import facts
    from smalti.cli.settings import Schema
    from smalti.discovery import discover

    if not spec.daily:
        return {}
    schema = Schema(spec.stages, discover())
    texts: dict[str, str] = {}
    for daily in spec.daily:
        scope, name = schema.resolve(daily.target)
        option = schema.options(scope)[name]
        texts[_identifier(daily.flag)] = f"{option.help}  {facts(option)}"
    return texts


def _identifier(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def typer_command(spec: Command) -> HelpfulCommand:
    """Make the typer command of a specification; calling it gives the exit status."""

    def call(context: typer.Context, **values: Any) -> int:
        from smalti.cli.running import execute

        return execute(spec, values, ("smalti", *context.obj))

    parameters = [_parameter("context", typer.Context), *_words(spec), *_output(spec)]
    parameters += [_daily(daily) for daily in spec.daily]
    parameters += [_switch(switch) for switch in spec.switches]
    parameters += [p for p in _common() if spec.stages or p.name not in _PARAMETRIC]
    call.__signature__ = inspect.Signature(parameters, return_annotation=int)  # type: ignore[attr-defined]
    call.__annotations__ = {p.name: p.annotation for p in parameters}
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(
        spec.name,
        cls=HelpfulCommand,
        help=f"{COMMANDS[spec.name].summary}\n\n{spec.details}",
        epilog=f"Example: {spec.example}",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )(call)
    command = typer.main.get_command(app)
    if not isinstance(command, HelpfulCommand):
        raise TypeError(f"typer made a {type(command).__name__} of the command {spec.name}")
    command.spec = spec
    return command


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _option(name: str, kind: Any, *flags: str, **details: Any) -> inspect.Parameter:
    # The default is always None, "not given": real defaults are those of the parameters.
    return _parameter(name, Annotated[kind | None, typer.Option(*flags, **details)], None)


def _words(spec: Command) -> list[inspect.Parameter]:
    if not spec.usage:
        return []
    # Never required by typer: the command itself says which file is missing, and shows an example.
    argument = typer.Argument(metavar=spec.usage, show_default=False)
    return [_parameter("words", Annotated[list[str] | None, argument], None)]


def _output(spec: Command) -> list[inspect.Parameter]:
    if not spec.output:
        return []
    what = "Folder" if spec.folder else "Name"
    text = f"{what} of the outputs.  [default {spec.output}]"
    return [_option("output", str, "--output", "-o", help=text, metavar="NAME", rich_help_panel=_SWITCHES)]


def _daily(daily: Daily) -> inspect.Parameter:
    flag = f"{daily.flag}/--no-{daily.flag[2:]}" if daily.boolean else daily.flag
    kind = bool if daily.boolean else str
    flags = (flag, daily.short) if daily.short else (flag,)
    metavar = None if daily.boolean else "VALUE"
    return _option(
        _identifier(daily.flag), kind, *flags, metavar=metavar, help=daily.target, rich_help_panel=_DAILY
    )


def _switch(switch: Switch) -> inspect.Parameter:
    details: dict[str, Any] = {"help": switch.help, "rich_help_panel": _SWITCHES}
    flags = (switch.flag, switch.short) if switch.short else (switch.flag,)
    if not switch.values:
        return _option(switch.name, bool, *flags, **details)
    kind = str if len(switch.values) == 1 else tuple[(str,) * len(switch.values)]  # type: ignore[misc]
    return _option(switch.name, kind, *flags, metavar=" ".join(switch.values), **details)


_PARAMETRIC = frozenset({"set_", "params", "show_params", "strict"})
"""Options that only make sense where there are parameters or results."""


def _common() -> list[inspect.Parameter]:
    return [
        _option("set_", list[str], "--set", metavar="NAME=VALUE", help="Set any parameter; repeatable."),
        _option("params", list[str], "--params", metavar="FILE", help="Read parameters from a TOML file."),
        _option(
            "show_params", str, "--show-params", metavar="[=changed|used|all]",
            help="Print the parameters that would be used, and do nothing.",
        ),
        _option("json", bool, "--json", help="Print one JSON object; all else goes to standard error."),
        _option("strict", bool, "--strict", help="Exit with status 4 when the result is not trustworthy."),
        _option("verbose", int, "--verbose", "-v", count=True, help="Say what is done; -vv says everything."),
        _option("quiet", bool, "--quiet", "-q", help="Say nothing but errors."),
        _option("log", str, "--log", metavar="FILE", help="Name of the log  [default: beside the output]"),
        _option("plugin", list[str], "--plugin", metavar="-NAME", help="Leave a plugin out; repeatable."),
        _option("debug", bool, "--debug", help="Add the traceback to an error."),
    ]  # fmt: skip

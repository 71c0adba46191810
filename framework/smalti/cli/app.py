"""The typer application: a group of commands that are imported when they are used."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from smalti.cli.catalogue import COMMANDS, load
from smalti.errors import SmaltiError, UsageError
from smalti.options import suggest

__all__ = ["main", "make_app"]

_HELP = """Find where every module of an X-ray detector really is, from diffraction images.

Every step reads and writes the files of DIALS (.expt, .refl). smalti COMMAND --help explains a command."""

# typer carries its own copy of click since 0.26 and used the click package before; the class of all usage
# errors is reached the same way in both.
_ParserError: type[Any] = typer.BadParameter.__mro__[1]


class LazyGroup(TyperGroup):
    """A group whose commands are imported one at a time, when they run or show their own help."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Name the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None when there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        from smalti.cli.building import typer_command

        return typer_command(load(cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was asked for.

        Raises
        ------
        UsageError
            There is none; suggests the nearest.
        """
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UsageError(
                f"There is no command '{args[0]}'.",
                f"Commands: {', '.join(COMMANDS)}.",
                suggest(args[0], list(COMMANDS), "See: smalti --help"),
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Load and run the command.

        Raises
        ------
        SmaltiError
            Ctrl-C came before the command took charge; typer would end without a word.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            from smalti.cli.telling import interruption

            raise interruption() from None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands in sections, from the catalogue alone."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            rows = [(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)


def _version(asked: bool | None) -> None:
    if asked:
        import smalti

        print(f"smalti {smalti.__version__}")
        raise typer.Exit


def make_app() -> Any:
    """Make the application, ready to be called with arguments."""
    app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, add_completion=True, help=_HELP)

    @app.callback(
        epilog="Example: smalti calibrate images/*.cbf -o calibrated",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    def options(
        version: Annotated[
            bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
        ] = None,
    ) -> None:
        """Take the options before the command."""

    return typer.main.get_command(app)


def _calm_linear_algebra() -> None:
    """Keep BLAS to one thread, unless the user has said otherwise.

    The matrices here are of a few hundred rows; threads of BLAS would only fight with those that the
    kernels run on, and have been seen to make a refinement five times slower on a busy machine.
    """
    for library in ("OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    # Threads of kernels that wait should sleep: turning in circles they keep others from working.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _collect_seldom() -> None:
    """Look for circular garbage seldom: imports make many objects but none of it; tables are few and large.

    With Python's default a seventh of the start of a command goes into looking at modules again and again.
    """
    gc.set_threshold(100_000)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program and give its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``smalti``; those of the process by default.
    """
    _let_termination_interrupt()
    _calm_linear_algebra()
    _collect_seldom()
    words = _normalised(sys.argv[1:] if argv is None else argv)
    try:
        status = make_app().main(args=words, prog_name="smalti", standalone_mode=False, obj=tuple(words))
    except _ParserError as error:
        return _tell(_translated(error, words), words)
    except SmaltiError as error:
        return _tell(error, words)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough (smalti show ... | head); nothing is wrong.
        sys.stdout = None
        return 0
    return int(status or 0)


def _let_termination_interrupt() -> None:
    """Take SIGTERM, which batch systems send at the end of the time, as Ctrl-C: outputs are cleaned up."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def _tell(error: SmaltiError, words: Sequence[str]) -> int:
    """Tell an error that came before a command could start."""
    from smalti.cli.telling import tell_error

    return tell_error(error, words, next((w for w in words if w in COMMANDS), None))


def _normalised(words: Sequence[str]) -> list[str]:
    """Let ``--show-params`` stand alone: it takes a value only behind an equals sign."""
    return ["--show-params=used" if word == "--show-params" else word for word in words]


def _translated(error: Any, words: Sequence[str]) -> SmaltiError:
    """Put what the parser complains of into three lines."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "smalti"
    flags = [flag for p in context.command.get_params(context) for flag in p.opts] if context else []
    wrong = getattr(error, "option_name", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return UsageError("No command was given.", f"Commands: {', '.join(COMMANDS)}.", "See: smalti --help")
    if wrong and type(error).__name__ == "NoSuchOption":
        known = [flag for flag in flags if flag.startswith("--")]
        return UsageError(
            f"{path} has no option '{wrong}'.",
            f"It has: {', '.join(sorted(known))}.",
            _option_hint(wrong, known, path),
        )
    # Of an option that lacks its value the parser knows no more than the program; the words know the command.
    named = next((word for word in words if not word.startswith("-")), "")
    path = f"{path} {named}" if path == "smalti" and named in COMMANDS else path
    return UsageError(f"{path}: {error.format_message().rstrip('.')}.", "", f"See: {path} --help")


def _option_hint(wrong: str, known: Sequence[str], path: str) -> str:
    word = wrong.lstrip("-").replace("-", "_")
    otherwise = f"If it is a parameter: smalti params search {word}. Otherwise see: {path} --help"
    return suggest(wrong, list(known), otherwise)

"""What a command is, what it is asked and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smalti.progress import Progress, silent

if TYPE_CHECKING:
    from smalti.cli.settings import Settings

__all__ = [
    "DRY_RUN",
    "PARAMETERS_ONLY",
    "Choice",
    "Command",
    "Daily",
    "Outcome",
    "Request",
    "Stage",
    "Switch",
]

PARAMETERS_ONLY = "[NAME=VALUE...]"
"""Usage of a command that takes no files."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A component that the user picks by name: ``refine.outliers = tukey``.

    Attributes
    ----------
    key : str
        Name of the option; also a scope that stands for the component chosen
        (``outliers.iqr_multiplier`` is the option of whichever rejector is in use).
    role : str
    default : str
        Name of the component used when nothing is said.
    help : str
    """

    key: str
    role: str
    default: str
    help: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the job as people set it: its options and the components that take part.

    Attributes
    ----------
    name : str
        As on the command line: ``find-spots``.
    options : type or None
        Dataclass of the step's own options.
    choices : tuple of Choice
    roles : tuple of str
        Roles of which *every* component takes part (all readers are asked about a file).
    """

    name: str
    options: type[Any] | None = None
    choices: tuple[Choice, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Daily:
    """A parameter that people set every day, given an option of its own.

    Its meaning, unit, default and range are those of the parameter, wherever it is shown.

    Attributes
    ----------
    flag : str
        ``--level``.
    target : str
        ``detector.level``: the parameter, or that of the component chosen.
    short : str
        ``-l``.
    boolean : bool
        Given without a value, as ``--flag`` or ``--no-flag``.
    """

    flag: str
    target: str
    short: str = ""
    boolean: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """An option that steers the command and is no parameter of the science.

    ``values`` names what it takes (``("EXPT", "REFL")``); an empty tuple makes it a switch. ``short`` is
    another way to write it, ``-o``.
    """

    flag: str
    help: str
    values: tuple[str, ...] = ()
    short: str = ""

    @property
    def name(self) -> str:
        """The name by which :meth:`Request.switch` knows it."""
        return self.flag.lstrip("-").replace("-", "_")


DRY_RUN = Switch(
    "--dry-run", "Tell what would be done, the memory and the time; do it not, and write nothing."
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command hands back.

    Attributes
    ----------
    result : Mapping
        The ``result`` of ``--json``.
    text : str
        The same for people.
    outputs : tuple of Path
        Files written.
    warnings : tuple of str
    doubts : tuple of str
        Why the result should not be trusted; empty when there is no reason. Status 4 with ``--strict``.
    status : int
        Exit status, for commands whose work is to judge (``plugins --check``).
    """

    result: Mapping[str, Any]
    text: str
    outputs: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    status: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """What a command is asked to do.

    Attributes
    ----------
    command : str
    files : tuple of str
        As the user wrote them.
    output : str
        Value of ``-o``, or the default.
    settings : Settings
        All parameters, and the components that are installed.
    argv : tuple of str
        The command line, for the history.
    switches : Mapping
        Values of the command's switches.
    progress : Progress
    """

    command: str
    files: tuple[str, ...]
    output: str
    settings: Settings
    argv: tuple[str, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)
    progress: Progress = silent

    def switch(self, name: str) -> Any:
        """Give the value of a switch; False or None when it was not used."""
        return self.switches.get(name)


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the program.

    Attributes
    ----------
    name : str
    run : Callable
        Does the work.
    usage : str
        The files it takes: ``EXPT REFL``; empty when it takes none.
    details : str
        What it does, for ``--help``.
    example : str
        A command line that works, shown in the help and in errors.
    stages : tuple of Stage
        Whose parameters it understands.
    daily : tuple of Daily
    switches : tuple of Switch
    output : str
        Default of ``-o``; empty when nothing is written.
    folder : bool
        Whether ``-o`` names a folder.
    """

    name: str
    run: Callable[[Request], Outcome]
    usage: str
    details: str
    example: str
    stages: tuple[Stage, ...] = ()
    daily: tuple[Daily, ...] = ()
    switches: tuple[Switch, ...] = ()
    output: str = ""
    folder: bool = False

    @property
    def takes_files(self) -> bool:
        """Whether words that set no parameter mean something to it."""
        return self.usage not in ("", PARAMETERS_ONLY)

    @property
    def resumable(self) -> bool:
        """Whether it can go on from where an earlier run ended."""
        return any(switch.flag == "--resume" for switch in self.switches)

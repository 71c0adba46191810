"""The list of commands: enough to print the help, without importing any of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smalti.cli.command import Command

__all__ = ["COMMANDS", "Entry", "load"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of ``smalti --help``: under which heading, what it does, and where it is."""

    section: str
    summary: str

    @staticmethod
    def module(name: str) -> str:
        """The module of a command: ``find-spots`` is ``find_spots.py``, a keyword gets an underscore."""
        return "smalti.cli.commands." + {"import": "import_"}.get(name, name.replace("-", "_"))


_ALL = "The whole job"
_STEPS = "Step by step"
_LOOK = "Look"
_KNOW = "Know your way"

COMMANDS: dict[str, Entry] = {
    "calibrate": Entry(
        _ALL, "From images to a calibrated detector: what moved, by how much, is it believable."
    ),
    "demo": Entry(_ALL, "Simulate a displaced detector, calibrate it, compare with the truth."),
    "import": Entry(_STEPS, "Turn image files into models of the experiment."),
    "find-spots": Entry(_STEPS, "Find diffraction spots on the images."),
    "index": Entry(_STEPS, "Find the lattice and give the spots their indices."),
    "symmetry": Entry(_STEPS, "Find which symmetric lattice it is, by refinement under each."),
    "reindex": Entry(_STEPS, "Give the crystal other axes: models, indices and space group together."),
    "refine": Entry(_STEPS, "Refine detector, beam and crystal against the spots."),
    "ledger": Entry(_STEPS, "Put together, without the data, what many runs told of one detector."),
    "report": Entry(_STEPS, "Draw where the residuals are and what moved, on one page."),
    "panels": Entry(_STEPS, "Turn models and reflections from modules to a single panel, or back."),
    "combine": Entry(_STEPS, "Join data sets, and put one metrology under all of them."),
    "split": Entry(_STEPS, "Take a joint data set apart again."),
    "simulate": Entry(_STEPS, "Make a data set with known truth."),
    "view": Entry(_LOOK, "Look at images, spots and predictions, in the browser."),
    "show": Entry(_LOOK, "Show models and reflection tables in words."),
    "history": Entry(_LOOK, "Show where a file comes from: programs, parameters, inputs."),
    "compare-minimisers": Entry(
        _LOOK, "Run several minimisers on the same data: steps, time, and where they end."
    ),
    "params": Entry(_KNOW, "Explain every option, or search them."),
    "plugins": Entry(_KNOW, "List what is installed, and check that it keeps its contract."),
}


def load(name: str) -> Command:
    """Import the module of a command and give its specification."""
    command: Command = import_module(Entry.module(name)).COMMAND
    return command

"""``smalti panels``: from modules to a single panel, and back."""

from __future__ import annotations

from smalti.cli.command import Command, Outcome, Request, Switch
from smalti.cli.files import Kind
from smalti.cli.work import Outputs, read_inputs, reserve, write
from smalti.errors import UsageError
from smalti.options import suggest
from smalti.steps.panelling import convert_panels

__all__ = ["COMMAND"]

_FORMS = ("modules", "single")


def run(request: Request) -> Outcome:
    """Convert models, and reflections where given."""
    to = request.switch("panels")
    if to not in _FORMS:
        raise UsageError(
            f"'{to}' is no form of a detector." if to else "smalti panels needs --panels.",
            f"It turns a detector into: {', '.join(_FORMS)}.",
            suggest(to or "", _FORMS) if to else f"Example: {COMMAND.example}",
        )
    wanted = (Kind.EXPERIMENTS, Kind.REFLECTIONS)[: max(1, len(request.files))]
    inputs = read_inputs(request, wanted, COMMAND.example)
    reserve(request, inputs.paths, experiments=True, reflections=bool(inputs.reflections))
    table = inputs.reflections[0] if inputs.reflections else None
    converted = convert_panels(inputs.experiments[0], table, to)
    outputs = write(request, inputs, Outputs(converted.experiments, converted.reflections))
    return Outcome(converted.summary(), converted.text(), outputs, converted.warnings)


COMMAND = Command(
    "panels",
    run,
    usage="EXPT [REFL]",
    details=(
        "One flag turns a flat detector into its modules or modules into one flat panel, models and "
        "reflections together. Going to a single panel, what the modules had moved is lost, and said."
    ),
    example="smalti panels indexed.expt indexed.refl --panels single -o whole",
    switches=(Switch("--panels", "What to turn the detector into: modules or single.", ("FORM",)),),
    output="converted",
)

"""``smalti combine``: several data sets as one, and one metrology for all of them."""

from __future__ import annotations

from smalti.cli.command import Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.files import Kind, check_exist, recognise
from smalti.cli.work import Outputs, read_inputs, reserve, write
from smalti.errors import UsageError
from smalti.models import Detector
from smalti.steps.combining import CombineOptions, combine
from smalti.storage import read_experiments

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage("combine", CombineOptions)


def run(request: Request) -> Outcome:
    """Join experiment lists and tables; set one metrology where asked."""
    reference = request.switch("metrology")
    lists, tables = _counts(request)
    wanted = [Kind.EXPERIMENTS] * lists + [Kind.REFLECTIONS] * tables
    inputs = read_inputs(request, wanted, COMMAND.example)
    reserve(request, inputs.paths, experiments=True, reflections=tables > 0)
    pairs = zip(inputs.experiments, inputs.reflections or (None,) * lists, strict=True)
    combined = combine(
        tuple(pairs), request.settings.options(STAGE), _detector(reference) if reference else None
    )
    outputs = write(request, inputs, Outputs(combined.experiments, combined.reflections))
    return Outcome(combined.summary(), combined.text(), outputs, combined.warnings)


def _counts(request: Request) -> tuple[int, int]:
    """Count the experiment lists and tables; each list has a table, or none has."""
    kinds = [recognise(path) for path in check_exist(request.files)]
    lists, tables = kinds.count(Kind.EXPERIMENTS), kinds.count(Kind.REFLECTIONS)
    if not lists or tables not in (0, lists):
        raise UsageError(
            "smalti combine needs experiments and tables in pairs, or experiments alone.",
            f"Given: {lists} experiment lists and {tables} reflection tables.",
            f"Example: {COMMAND.example}",
        )
    return lists, tables


def _detector(path: str) -> Detector:
    detectors = read_experiments(check_exist([path])[0]).unique("detector")
    if len(detectors) != 1:
        raise UsageError(
            f"--metrology {path} has {len(detectors)} detectors.",
            "The metrology of one detector can be carried over.",
            "Give experiments that share one detector; smalti split takes them apart.",
        )
    found = detectors[0]
    assert isinstance(found, Detector)
    return found


COMMAND = Command(
    "combine",
    run,
    usage="EXPT REFL [EXPT REFL ...]",
    details=(
        "Joins data sets for a joint refinement. Files come in pairs, or experiments alone. Models that are "
        "equal become one; --share makes one of models that differ. With --metrology every detector gets the "
        "places of the panels relative to one another from refined experiments, and keeps its own distance, "
        "centre and tilts: that is also how a metrology is put under a single new data set."
    ),
    example="smalti combine a.expt a.refl b.expt b.refl --share detector -o combined",
    stages=(STAGE,),
    daily=(Daily("--share", "combine.share"),),
    switches=(Switch("--metrology", "Take the places of panels from these refined experiments.", ("EXPT",)),),
    output="combined",
)

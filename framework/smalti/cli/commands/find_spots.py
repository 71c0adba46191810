"""``smalti find-spots``: diffraction spots on images."""

from __future__ import annotations

from smalti.cli.command import Choice, Command, Daily, Outcome, Request, Stage
from smalti.cli.files import Kind
from smalti.cli.work import Outputs, read_inputs, reserve, write
from smalti.steps.finding import FindOptions, find_spots

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage(
    "find-spots",
    FindOptions,
    (Choice("finder", "spot_finder", "dispersion_extended", "Which spot finder marks the strong pixels."),),
    roles=("reader",),
)


def run(request: Request) -> Outcome:
    """Find the spots of all images of an experiment list."""
    inputs = read_inputs(request, (Kind.EXPERIMENTS,), COMMAND.example)
    reserve(request, inputs.paths, reflections=True)
    settings = request.settings
    found = find_spots(
        inputs.experiments[0],
        settings.components("reader"),
        settings.component(STAGE, "finder"),
        settings.options(STAGE),
        request.progress,
    )
    outputs = write(request, inputs, Outputs(reflections=found.reflections))
    return Outcome(found.summary(), found.text(), outputs, found.warnings)


COMMAND = Command(
    "find-spots",
    run,
    usage="EXPT",
    details=(
        "Strong pixels are marked by the spot finder, linked over neighbouring pixels and images, measured "
        "and filtered. The result does not depend on the number of jobs. -o NAME.h5 writes HDF5."
    ),
    example="smalti find-spots imported.expt --min-spot-size 3 -o strong.refl",
    stages=(STAGE,),
    daily=(
        Daily("--finder", "find-spots.finder"),
        Daily("--min-spot-size", "find-spots.min_spot_size"),
        Daily("--d-min", "find-spots.d_min"),
        Daily("--d-max", "find-spots.d_max"),
        Daily("--mask", "find-spots.mask"),
        Daily("--jobs", "find-spots.jobs", "-j"),
    ),
    output="strong.refl",
)

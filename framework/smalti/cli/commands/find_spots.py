"""``smalti find-spots``: diffraction spots on images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smalti.cli.command import Choice, Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.files import Kind
from smalti.cli.work import (
    EXECUTOR,
    SCHEDULER,
    Inputs,
    Outputs,
    pool_of,
    read_inputs,
    reserve,
    table_path,
    write,
)
from smalti.errors import UsageError
from smalti.steps.finding import (
    SUFFIX,
    Chunk,
    Execution,
    FindOptions,
    Keeper,
    digest_of,
    find_chunk,
    find_spots,
    merged,
    n_frames,
    runs_of,
    write_frames,
)
from smalti.steps.finding.explaining import explain_frame, write_explanation
from smalti.steps.finding.options import PATIENCE
from smalti.steps.importing import with_windows
from smalti.text import plural

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage(
    "find-spots",
    FindOptions,
    (Choice("finder", "spot_finder", "dispersion_extended", "Which spot finder marks the strong pixels."),),
    roles=("reader",),
)
WORTH_KEEPING = 100
"""Frames; searches of fewer are done again sooner than they are looked up."""


def run(request: Request) -> Outcome:
    """Find the spots of all images of an experiment list."""
    parts = tuple(Path(name) for name in request.files if name.endswith(SUFFIX))
    plain = replace(request, files=tuple(name for name in request.files if not name.endswith(SUFFIX)))
    inputs = read_inputs(plain, (Kind.EXPERIMENTS,), COMMAND.example)
    _check(request, parts)
    if request.switch("explain"):
        return _explained(request, inputs)
    if request.switch("chunk"):
        return _part(request, inputs, Chunk.parse(str(request.switch("chunk"))))
    reserve(request, inputs.paths, reflections=True)
    settings, options = request.settings, request.settings.options(STAGE)
    finder, readers = settings.component(STAGE, "finder"), settings.components("reader")
    experiments = with_windows(inputs.experiments[0], readers)
    digest = digest_of(experiments, finder, options)
    if parts:
        finished = merged(parts, digest)
        found = find_spots(
            experiments, readers, finder, options, request.progress, Execution(finished=finished)
        )
        outputs = write(request, inputs, Outputs(reflections=found.reflections))
        return Outcome(found.summary(), found.text(), outputs, found.warnings)
    keeper = _keeper(request, digest, sum(n_frames(item) for item in runs_of(experiments)))
    patience = PATIENCE if request.switch("follow") else 0.0
    with pool_of(request, options.jobs) as pool:
        execution = Execution(pool, keeper, patience=patience)
        found = find_spots(experiments, readers, finder, options, request.progress, execution)
    outputs = write(request, inputs, Outputs(reflections=found.reflections))
    if keeper is not None:
        keeper.forget()
    return Outcome(found.summary(), found.text(), outputs, found.warnings)


def _explained(request: Request, inputs: Inputs) -> Outcome:
    """Write the images behind the strong pixels of one frame, and find nothing else."""
    number = str(request.switch("explain"))
    if not number.isdigit():
        raise UsageError(f"'{number}' is no number of an image.", "", "Example: --explain 12")
    settings = request.settings
    readers = settings.components("reader")
    told = explain_frame(
        with_windows(inputs.experiments[0], readers),
        int(number),
        readers,
        settings.component(STAGE, "finder"),
        settings.options(STAGE),
    )
    table = table_path(request.output)
    paths = write_explanation(told, table.with_suffix(""))
    pixels = {name: int(image.sum()) for name, image in told.images.items() if image.dtype == bool}
    return Outcome({"image": told.image, "pixels": pixels}, told.text(), paths)


def _check(request: Request, parts: tuple[Path, ...]) -> None:
    """Refuse switches that do not go together."""
    asked = [flag for flag in ("chunk", "merge", "follow", "resume") if request.switch(flag)]
    together = len(asked) > 1 and set(asked) != {"follow", "resume"}
    if together:
        raise UsageError(
            f"--{asked[0]} and --{asked[1]} do not go together.",
            "--chunk searches one part, --merge puts parts together; neither waits nor goes on.",
            "Give one of them.",
        )
    if bool(parts) != bool(request.switch("merge")):
        raise UsageError(
            "--merge needs the files that --chunk wrote, and these files need --merge.",
            f"Given: {plural(len(parts), 'file')} ending in {SUFFIX}.",
            f"Example: smalti find-spots imported.expt strong_*{SUFFIX} --merge -o strong.refl",
        )


def _keeper(request: Request, digest: str, planned: int) -> Keeper | None:
    """Say where what is found is kept while the work goes on."""
    resume = bool(request.switch("resume"))
    if planned < WORTH_KEEPING and not resume:
        return None
    table = table_path(request.output)
    keeper = Keeper(table.with_name(f"{table.name}.work"), digest, planned)
    keeper.begin(resume=resume)
    return keeper


def _part(request: Request, inputs: Inputs, chunk: Chunk) -> Outcome:
    """Search one part of all frames."""
    settings, options = request.settings, request.settings.options(STAGE)
    finder, readers = settings.component(STAGE, "finder"), settings.components("reader")
    experiments = with_windows(inputs.experiments[0], readers)
    table = table_path(request.output)
    path = table.with_name(f"{table.stem}_{chunk.number:0{len(str(chunk.count))}d}_of_{chunk.count}{SUFFIX}")
    with pool_of(request, options.jobs) as pool:
        outcomes, planned = find_chunk(
            chunk, runs_of(experiments), readers, finder, options, pool, request.progress
        )
    write_frames(path, outcomes, digest_of(experiments, finder, options), planned)
    pattern = path.name.replace(f"_{chunk.number:0{len(str(chunk.count))}d}_of_", "_*_of_")
    text = (
        f"Part {chunk.number} of {chunk.count}: {plural(len(outcomes), 'frame')} of {planned}.\n"
        f"When all parts are done: smalti find-spots {inputs.paths[0]} {pattern} --merge -o {table}"
    )
    result = {"chunk": chunk.number, "of": chunk.count, "frames": len(outcomes), "planned": planned}
    return Outcome(result, text, (path,))


COMMAND = Command(
    "find-spots",
    run,
    usage="EXPT",
    details=(
        "Strong pixels are marked by the spot finder, linked over neighbouring pixels and images, measured "
        "and filtered. The result does not depend on the number of jobs, nor on how the work was divided. "
        "-o NAME.h5 writes HDF5."
    ),
    example="smalti find-spots imported.expt --min-spot-size 3 -o strong.refl",
    stages=(STAGE,),
    daily=(
        Daily("--finder", "find-spots.finder"),
        Daily("--min-spot-size", "find-spots.min_spot_size"),
        Daily("--false-spots", "find-spots.false_spots"),
        Daily("--d-min", "find-spots.d_min"),
        Daily("--d-max", "find-spots.d_max"),
        Daily("--mask", "find-spots.mask"),
        Daily("--on-bad-image", "find-spots.on_bad_image"),
        Daily("--jobs", "find-spots.jobs", "-j"),
    ),
    switches=(
        Switch("--chunk", "Search part K of N of all images only, for job arrays.", ("K/N",)),
        Switch("--merge", "Put the parts together that --chunk wrote: name them beside the experiments."),
        Switch("--resume", "Go on where an interrupted search ended."),
        Switch("--follow", f"Wait for images that are not there yet, {PATIENCE:g} s for each."),
        Switch(
            "--explain",
            "Write the images behind the strong pixels of image NUMBER (mean, dispersion, flags), and stop.",
            ("NUMBER",),
        ),
        EXECUTOR,
        SCHEDULER,
    ),
    output="strong.refl",
)

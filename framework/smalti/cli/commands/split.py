"""``smalti split``: a joint data set as several again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from smalti.cli.command import Command, Daily, Outcome, Request, Stage
from smalti.cli.files import Kind
from smalti.cli.places import stem
from smalti.cli.work import Outputs, read_inputs, reserve, write
from smalti.steps.combining import SplitOptions, parts_text, split
from smalti.text import plural

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage("split", SplitOptions)


def run(request: Request) -> Outcome:
    """Write one pair of files for each part: NAME_0, NAME_1, ..."""
    wanted = (Kind.EXPERIMENTS, Kind.REFLECTIONS)[: max(1, len(request.files))]
    inputs = read_inputs(request, wanted, COMMAND.example)
    tables = inputs.reflections[0] if inputs.reflections else None
    parts = split(inputs.experiments[0], tables, request.settings.options(STAGE))
    width = len(str(len(parts) - 1))
    requests = [replace(request, output=f"{stem(request.output)}_{k:0{width}d}") for k in range(len(parts))]
    for asked in requests:
        reserve(asked, inputs.paths, experiments=True, reflections=tables is not None)
    outputs: list[Path] = []
    for asked, part in zip(requests, parts, strict=True):
        outputs += write(asked, inputs, Outputs(part.experiments, part.reflections))
    counts = [0 if part.reflections is None else part.reflections.n_rows for part in parts]
    left = 0 if tables is None else tables.n_rows - sum(counts)
    warnings = (f"{plural(left, 'reflection')} of no experiment left out",) if left else ()
    named = list(zip([asked.output for asked in requests], parts, counts, strict=True))
    text = parts_text([(name, len(part.numbers), count) for name, part, count in named])
    rows = [{"name": n, "experiments": list(p.numbers), "reflections": c} for n, p, c in named]
    return Outcome({"parts": rows}, text, tuple(outputs), warnings)


COMMAND = Command(
    "split",
    run,
    usage="EXPT [REFL]",
    details=(
        "Takes a joint data set apart: one pair of files for each experiment, or for all that share a "
        "detector, a crystal or a wavelength. Names are numbered: -o part gives part_0.expt, part_0.refl, "
        "part_1.expt, ..."
    ),
    example="smalti split combined.expt combined.refl --by detector -o part",
    stages=(STAGE,),
    daily=(Daily("--by", "split.by"),),
    output="split",
)

"""``smalti reindex``: other axes for the same crystal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gemmi

from smalti.cli.command import Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.files import Kind
from smalti.cli.work import Outputs, read_inputs, reserve, write
from smalti.errors import DataError, UsageError
from smalti.steps.reindexing import ReindexOptions, reindex
from smalti.storage import read_experiments

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage("reindex", ReindexOptions)


def run(request: Request) -> Outcome:
    """Change the axes of models, and of reflections where given."""
    wanted = (Kind.EXPERIMENTS, Kind.REFLECTIONS)[: max(1, len(request.files))]
    inputs = read_inputs(request, wanted, COMMAND.example)
    reserve(request, inputs.paths, experiments=True, reflections=bool(inputs.reflections))
    options = request.settings.options(STAGE)
    reference = request.switch("reference")
    if reference:
        options = _like(options, Path(reference))
    table = inputs.reflections[0] if inputs.reflections else None
    changed = reindex(inputs.experiments[0], table, options)
    outputs = write(request, inputs, Outputs(changed.experiments, changed.reflections))
    return Outcome(changed.summary(), changed.text(), outputs, changed.warnings)


def _like(options: ReindexOptions, path: Path) -> ReindexOptions:
    """Ask for the space group and cell that the crystal of another file has."""
    if options.operator or options.space_group or options.unit_cell:
        raise UsageError(
            "--reference comes alone.",
            "It stands for a space group and a cell.",
            "Leave out --operator, --space-group and --unit-cell.",
        )
    crystal = next((item.crystal for item in read_experiments(path) if item.crystal is not None), None)
    if crystal is None:
        raise DataError(f"{path} holds no crystal.", "It has not been indexed.", "Give an indexed one.")
    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(crystal.space_group.strip()))
    return replace(options, space_group=group.xhm() if group else "P 1", unit_cell=crystal.cell)


COMMAND = Command(
    "reindex",
    run,
    usage="EXPT [REFL]",
    details=(
        "Axes, indices and space group change together, by an operator, to the setting of a space group, "
        "or to that of another file; every reflection stays where it is predicted."
    ),
    example="smalti reindex indexed.expt indexed.refl --operator k,h,-l",
    stages=(STAGE,),
    daily=(
        Daily("--operator", "reindex.operator"),
        Daily("--space-group", "reindex.space_group"),
        Daily("--unit-cell", "reindex.unit_cell"),
    ),
    switches=(Switch("--reference", "Set the crystal as the one in this file is set.", ("EXPT",)),),
    output="reindexed",
)

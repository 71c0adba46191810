"""``smalti symmetry``: which symmetric lattice it is."""

from __future__ import annotations

from smalti.cli.command import Choice, Command, Daily, Outcome, Request, Stage
from smalti.cli.work import Outputs, read_pair, reserve, write
from smalti.steps.indexing.cycles import Refinery
from smalti.steps.symmetry import SymmetryOptions, find_symmetry

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage(
    "symmetry",
    SymmetryOptions,
    (
        Choice("minimiser", "minimiser", "levenberg_marquardt", "What finds the minimum."),
        Choice("outliers", "outlier_rejector", "mcd", "What judges the residuals."),
    ),
)


def run(request: Request) -> Outcome:
    """Refine under the symmetry of each lattice that is near, and write the one recommended."""
    inputs, experiments, reflections = read_pair(request, COMMAND.example)
    reserve(request, inputs.paths, experiments=True, reflections=True)
    settings = request.settings
    refinery = Refinery(
        # The lattice is judged with the detector as one block, whatever comes later.
        settings.registry.make("detector_parameterisation", "hierarchical"),
        settings.component(STAGE, "minimiser"),
        settings.component(STAGE, "outliers"),
    )
    found = find_symmetry(experiments, reflections, refinery, settings.options(STAGE), request.progress)
    taken = found.chosen.refined
    models, table = (
        (taken.experiments, taken.reflections)
        if taken is not None
        else (found.chosen.reindexed.experiments, found.chosen.reindexed.reflections)
    )
    outputs = write(request, inputs, Outputs(models, table))
    return Outcome(found.summary(), found.text(), outputs)


COMMAND = Command(
    "symmetry",
    run,
    usage="EXPT REFL",
    details=(
        "Every lattice that the one found is close to is refined with its symmetry imposed, through the "
        "same refiner as smalti refine. The recommended one is written, or that of --lattice."
    ),
    example="smalti symmetry indexed.expt indexed.refl",
    stages=(STAGE,),
    daily=(
        Daily("--lattice", "symmetry.lattice"),
        Daily("--outliers", "symmetry.outliers"),
        Daily("--minimiser", "symmetry.minimiser"),
    ),
    output="symmetrised",
)

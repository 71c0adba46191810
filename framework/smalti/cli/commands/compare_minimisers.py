"""``smalti compare-minimisers``: who reaches the minimum, in how many steps and how fast."""

from __future__ import annotations

from typing import Any

from smalti.cli.command import Command, Daily, Outcome, Request, Stage
from smalti.cli.commands.refine import STAGE as REFINE
from smalti.cli.work import read_pair
from smalti.errors import UsageError
from smalti.options import suggest
from smalti.steps.comparing import CompareOptions, compare

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage("compare-minimisers", CompareOptions, roles=("minimiser",))


def run(request: Request) -> Outcome:
    """Run several minimisers on the problem of a refinement."""
    settings = request.settings
    minimisers = _named(settings.options(STAGE).minimisers, settings.components("minimiser"))
    _, experiments, reflections = read_pair(request, COMMAND.example)
    compared = compare(
        experiments,
        reflections,
        settings.component(REFINE, "detector"),
        minimisers,
        settings.component(REFINE, "outliers"),
        settings.options(REFINE),
        request.progress,
    )
    return Outcome(compared.summary(), compared.text(), doubts=compared.warnings)


def _named(names: tuple[str, ...], installed: tuple[Any, ...]) -> list[Any]:
    """Pick minimisers by name, in the order asked for; all of them where none is named."""
    by_name = {component.name.replace("-", "_"): component for component in installed}
    unknown = [name for name in names if name.replace("-", "_") not in by_name]
    if unknown:
        raise UsageError(
            f"There is no minimiser '{unknown[0]}'.",
            f"Installed are: {', '.join(sorted(by_name))}.",
            suggest(unknown[0], list(by_name)),
        )
    wanted = dict.fromkeys(name.replace("-", "_") for name in names)
    return [by_name[name] for name in wanted] or list(installed)


COMMAND = Command(
    "compare-minimisers",
    run,
    usage="EXPT REFL",
    details=(
        "Reflections are weighed and judged once, as at the start of a refinement; then every minimiser "
        "starts from the same models. Tells steps, passes over the reflections, time, how far above the "
        "lowest objective each ended, and how far from it in ESDs. Nothing is written. Minimisers of "
        "third parties take part as soon as they are installed."
    ),
    example="smalti compare-minimisers indexed.expt indexed.refl --level 1 --minimisers gauss_newton,dogleg",
    stages=(REFINE, STAGE),
    daily=(
        Daily("--minimisers", "compare-minimisers.minimisers"),
        Daily("--level", "detector.level", "-l"),
        Daily("--outliers", "refine.outliers"),
        Daily("--detector", "refine.detector"),
    ),
)

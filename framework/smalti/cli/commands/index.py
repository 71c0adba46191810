"""``smalti index``: the lattice, and an index for every spot."""

from __future__ import annotations

from smalti.cli.command import Choice, Command, Daily, Outcome, Request, Stage, Switch
from smalti.cli.work import Outputs, read_pair, reserve, write
from smalti.roles import Indexer
from smalti.steps.indexing import Indexed, IndexedStills, IndexOptions, first_that_works, index, index_stills

__all__ = ["COMMAND", "STAGE"]

ORDER = ("wedge_fft", "fft1d", "known_cell", "fft3d")
"""In which --auto tries the indexers that come with smalti, those first that a wrong beam does not mislead;
others follow."""

STAGE = Stage(
    "index",
    IndexOptions,
    (
        Choice("indexer", "indexer", "wedge_fft", "What proposes lattices."),
        Choice("minimiser", "minimiser", "levenberg_marquardt", "What finds the minimum."),
        Choice("outliers", "outlier_rejector", "mcd", "What judges the residuals."),
    ),
)


def run(request: Request) -> Outcome:
    """Index the spots of one crystal."""
    inputs, experiments, reflections = read_pair(request, COMMAND.example)
    reserve(request, inputs.paths, experiments=True, reflections=True)
    settings = request.settings
    refinery = (
        # While indices are still being assigned the detector moves as one block, whatever comes later.
        settings.registry.make("detector_parameterisation", "hierarchical"),
        settings.component(STAGE, "minimiser"),
        settings.component(STAGE, "outliers"),
    )
    options = settings.options(STAGE)

    def attempt(indexer: Indexer) -> Indexed:
        return index(experiments, reflections, indexer, *refinery, options, request.progress)

    chosen = settings.component(STAGE, "indexer")
    in_turn = _in_turn(request, chosen) if request.switch("auto") else []
    indexed: Indexed | IndexedStills
    if any(item.is_still for item in experiments):
        asked = in_turn or [chosen]
        indexed = index_stills(experiments, reflections, asked, *refinery, options, request.progress)
    else:
        indexed = first_that_works(in_turn, attempt) if in_turn else attempt(chosen)
    outputs = write(request, inputs, Outputs(indexed.experiments, indexed.reflections))
    return Outcome(indexed.summary(), indexed.text(), outputs, indexed.warnings)


def _in_turn(request: Request, chosen: Indexer) -> list[Indexer]:
    """The indexer chosen, then all others that are installed."""
    others = [item for item in request.settings.components("indexer") if item.name != chosen.name]
    order = {name: number for number, name in enumerate(ORDER)}
    return [chosen, *sorted(others, key=lambda item: (order.get(item.name, len(order)), item.name))]


COMMAND = Command(
    "index",
    run,
    usage="EXPT REFL",
    details=(
        "One crystal, in one sweep or several together. Give space group and cell where they are known; "
        "without them the lattice is searched for, and the symmetric lattices it is close to are listed. "
        "The models are refined in cycles of growing resolution while spots are assigned. --max-lattices "
        "looks for more crystals among the spots that are left over. Of stills each has a crystal of its "
        "own; those that show none are counted with the reason."
    ),
    example="smalti index imported.expt strong.refl --space-group P4 --unit-cell 58.7,58.7,151.6,90,90,90",
    stages=(STAGE,),
    daily=(
        Daily("--space-group", "index.space_group"),
        Daily("--unit-cell", "index.unit_cell"),
        Daily("--indexer", "index.indexer"),
        Daily("--max-cell", "index.max_cell"),
        Daily("--d-min", "index.d_min"),
        Daily("--max-lattices", "index.max_lattices"),
        Daily("--outliers", "index.outliers"),
        Daily("--minimiser", "index.minimiser"),
    ),
    switches=(Switch("--auto", "Where the indexer explains too little, try the others in turn."),),
    output="indexed",
)

"""``smalti import``: images to models."""

from __future__ import annotations

from pathlib import Path

from smalti.cli.command import Command, Daily, Outcome, Request, Stage
from smalti.cli.files import refuse_results
from smalti.cli.work import Inputs, Outputs, write
from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.steps.importing import ImportOptions, import_images

__all__ = ["COMMAND", "STAGE"]

STAGE = Stage("import", ImportOptions, roles=("reader",))


def run(request: Request) -> Outcome:
    """Make experiments from images."""
    if not request.files:
        raise UsageError(
            "smalti import needs images, and none was given.",
            "It takes files, folders, patterns such as 'images/*.cbf' and templates such as a_####.cbf.",
            f"Example: {COMMAND.example}",
        )
    refuse_results("import", request.files)
    settings = request.settings
    imported = import_images(
        [Path(name) for name in request.files],
        settings.components("reader"),
        settings.options(STAGE),
        request.progress,
    )
    inputs = Inputs(_ends(imported.experiments), (), ())
    outputs = write(request, inputs, Outputs(experiments=imported.experiments))
    return Outcome(imported.summary(), imported.text(), outputs, imported.warnings)


def _ends(experiments: Experiments) -> tuple[Path, ...]:
    """First and last image of each sweep: what the history keeps hashes of.

    Hashing every image would read all of the data, which importing otherwise does not.
    """
    found: dict[Path, None] = {}
    for item in experiments:
        if item.imageset is not None:
            numbers = item.scan.image_range if item.scan else (1, max(1, len(item.imageset.images)))
            found.update(dict.fromkeys(Path(item.imageset.path(number)) for number in numbers))
    return tuple(path for path in found if path.is_file())


COMMAND = Command(
    "import",
    run,
    usage="FILES...",
    details=(
        "Consecutive images become sweeps by the numbers in their names, several sweeps at once; missing "
        "numbers are reported. Files, folders, patterns and .gz or .bz2 work. A detector of modules comes "
        "as a tree of its modules, or as one flat panel with --panels single."
    ),
    example="smalti import images/*.cbf -o imported.expt",
    stages=(STAGE,),
    daily=(
        Daily("--panels", "import.panels"),
        Daily("--reader", "import.reader"),
        Daily("--detector", "described.detector"),
        Daily("--wavelength", "import.wavelength"),
        Daily("--distance", "import.distance"),
        Daily("--beam-centre", "import.beam_centre"),
        Daily("--width", "import.width"),
        Daily("--mask", "import.mask"),
        Daily("--expect", "import.expect"),
        Daily("--on-bad-image", "import.on_bad_image"),
        Daily("--stills", "import.stills", boolean=True),
    ),
    output="imported.expt",
)

"""What the commands have in common: read inputs, name outputs, write them with their history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smalti.cli.command import Request, Switch
from smalti.cli.files import Kind, sort_files
from smalti.cli.places import stem
from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.steps.pools import Pool, open_pool
from smalti.storage import (
    COVARIANCE_SUFFIX,
    Covariances,
    make_record,
    merge,
    read_experiments,
    read_history,
    read_reflections,
    refuse_overwriting,
    write_covariances,
    write_experiments,
    write_json,
    write_reflections,
)
from smalti.tables import Reflections

__all__ = [
    "EXECUTOR",
    "FORCE",
    "JOBS",
    "SCHEDULER",
    "Inputs",
    "Outputs",
    "jobs",
    "make_record_of",
    "pool_of",
    "read_inputs",
    "read_pair",
    "reserve",
    "table_path",
    "with_history",
    "write",
]

FORCE = Switch("--force", "Write into a folder that already holds files.")
EXECUTOR = Switch(
    "--executor", "Who does the work: threads, processes, dask or mpi  [default: threads]", ("KIND",)
)
SCHEDULER = Switch("--scheduler", "Address of a running Dask scheduler, or its file.", ("ADDRESS",))
JOBS = Switch("--jobs", "Threads to use  [default: one for each processor]", ("N",))


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a command read.

    Attributes
    ----------
    paths : tuple of Path
    experiments : tuple of Experiments
    reflections : tuple of Reflections
    """

    paths: tuple[Path, ...]
    experiments: tuple[Experiments, ...]
    reflections: tuple[Reflections, ...]

    @property
    def history(self) -> tuple[Mapping[str, Any], ...]:
        """The histories of all inputs, nothing twice."""
        histories = [item.history for item in self.experiments]
        return merge(*histories, *(item.history for item in self.reflections))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a command writes; what is None is not written.

    Attributes
    ----------
    experiments, reflections
        To NAME.expt and NAME.refl.
    data : Mapping or None
        To NAME.json.
    covariances : Covariances or None
        To NAME.covariance.h5.
    """

    experiments: Experiments | None = None
    reflections: Reflections | None = None
    data: Mapping[str, Any] | None = None
    covariances: Covariances | None = None


def read_inputs(request: Request, wanted: Sequence[Kind], example: str) -> Inputs:
    """Read the files of a request: they may come in any order, and are told by their contents."""
    paths = sort_files(request.command, request.files, wanted, example)
    kinds = tuple(zip(wanted, paths, strict=True))
    return Inputs(
        paths,
        tuple(read_experiments(path) for kind, path in kinds if kind is Kind.EXPERIMENTS),
        tuple(read_reflections(path) for kind, path in kinds if kind is Kind.REFLECTIONS),
    )


def read_pair(request: Request, example: str) -> tuple[Inputs, Experiments, Reflections]:
    """Read one experiment list and one reflection table."""
    inputs = read_inputs(request, (Kind.EXPERIMENTS, Kind.REFLECTIONS), example)
    return inputs, inputs.experiments[0], inputs.reflections[0]


def table_path(output: str) -> Path:
    """Where the reflections go: HDF5 where ``-o`` ends in .h5, else .refl."""
    return Path(stem(output) + (".h5" if output.endswith(".h5") else ".refl"))


def _targets(output: str, outputs: Outputs) -> dict[str, Path]:
    name = stem(output)
    paths = {
        "experiments": Path(name + ".expt"),
        "reflections": table_path(output),
        "data": Path(name + ".json"),
        "covariances": Path(name + COVARIANCE_SUFFIX),
    }
    return {kind: path for kind, path in paths.items() if getattr(outputs, kind) is not None}


def reserve(request: Request, inputs: Sequence[Path], **kinds: bool) -> None:
    """Check, before the work, that no output would fall on an input.

    Raises
    ------
    UsageError
    """
    name = stem(request.output)
    suffixes = {"experiments": ".expt", "data": ".json", "covariances": COVARIANCE_SUFFIX}
    paths = [Path(name + suffixes[kind]) for kind in suffixes if kinds.get(kind)]
    paths += [table_path(request.output)] if kinds.get("reflections") else []
    refuse_overwriting(paths, inputs)


def make_record_of(
    request: Request, inputs: Inputs, parents: Sequence[Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Make the record of a request, whose ``parents`` are the histories of its inputs."""
    settings = request.settings
    plugins = {p.name: p.version for p in settings.registry.plugins if not p.problem and not p.disabled}
    parameters, changed = settings.used(), settings.changed()
    return make_record(
        request.command, request.argv, parameters, changed, inputs.paths, plugins,
        inputs.history if parents is None else parents,
    )  # fmt: skip


def with_history(
    request: Request, result: Mapping[str, Any], files: Sequence[Path], before: Path
) -> dict[str, Any]:
    """Add its history to a result that was made of files that other commands wrote.

    Parameters
    ----------
    request : Request
    result : Mapping
    files : sequence of Path
        What it was made of.
    before : Path
        The file whose history leads to it.
    """
    parents = read_history(before)
    record = make_record_of(request, Inputs(tuple(files), (), ()), parents)
    return {**result, "history": [*parents, record]}


def write(request: Request, inputs: Inputs, outputs: Outputs) -> tuple[Path, ...]:
    """Write the outputs of a request, each with the history that leads to it."""
    record = make_record_of(request, inputs)
    targets = _targets(request.output, outputs)
    refuse_overwriting(list(targets.values()), inputs.paths)
    if outputs.reflections is not None:
        table = outputs.reflections.with_columns(history=inputs.history)
        write_reflections(targets["reflections"], table, record)
    if outputs.experiments is not None:
        models = replace(outputs.experiments, history=inputs.history)
        write_experiments(targets["experiments"], models, record)
    if outputs.data is not None:
        write_json(targets["data"], {**outputs.data, "history": [*inputs.history, record]})
    if outputs.covariances is not None:
        write_covariances(targets["covariances"], outputs.covariances, [*inputs.history, record])
    return tuple(targets.values())


def jobs(request: Request) -> int:
    """Give the number of threads asked for; 0 leaves it to the step.

    Raises
    ------
    UsageError
    """
    word = request.switch("jobs")
    if word is None:
        return 0
    if not str(word).isdecimal() or int(word) < 1:
        raise UsageError(
            f"--jobs {word} is no number of threads.",
            "It takes 1, 2, 3 ...",
            "Leave it out to use every processor.",
        )
    return int(word)


@contextmanager
def pool_of(request: Request, workers: int = 0) -> Iterator[Pool | None]:
    """Open the pool that --executor asks for; None where it was not asked for."""
    kind, scheduler = request.switch("executor"), request.switch("scheduler") or ""
    if not kind and not scheduler:
        yield None
        return
    with open_pool(kind or "threads", workers, scheduler) as pool:
        yield pool

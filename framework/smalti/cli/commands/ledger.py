"""``smalti ledger``: what runs told of one detector, put together and taken apart without the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from smalti.cli.command import Command, Outcome, Request, Stage, Switch
from smalti.cli.places import stem
from smalti.cli.work import Inputs, make_record_of
from smalti.errors import UsageError
from smalti.models import Experiments
from smalti.options import suggest
from smalti.steps.ledger import Ledger, added, load, merged, removed, save, solve
from smalti.steps.ledger.telling import content_rows, content_text
from smalti.storage import merge, read_experiments, refuse_overwriting, write_experiments, write_json
from smalti.text import plural

__all__ = ["COMMAND"]

Words = tuple[str, ...]


def run(request: Request) -> Outcome:
    """Do what the first word says."""
    words = request.files
    if not words or words[0] not in _VERBS:
        raise UsageError(
            f"smalti ledger does not know '{words[0]}'." if words else "smalti ledger is told nothing to do.",
            f"It takes one of: {', '.join(_VERBS)}.",
            suggest(words[0], list(_VERBS), f"Example: {COMMAND.example}") if words else COMMAND.example,
        )
    return _VERBS[words[0]](request, words[1:])


def _add(request: Request, words: Words) -> Outcome:
    """Add runs, each from the sums that a refinement left."""
    path, files = _taken(words, "add LEDGER RUN.sums.h5 ...", least=2)
    name = request.switch("name")
    if name and len(files) > 1:
        raise UsageError("--name names one run.", f"{len(files)} are to be added.", "Add them one by one.")
    registry = request.settings.registry
    ledger = load(path, registry) if path.exists() else None
    for file in files:
        other = load(file, registry)
        for given, found in other.runs.items():
            called = name or given
            ledger = (
                Ledger(other.problem, {called: found})
                if ledger is None
                else added(ledger, called, found, other.problem)
            )
    assert ledger is not None
    return _saved(path, ledger, f"Added {plural(len(files), 'run')}.")


def _remove(request: Request, words: Words) -> Outcome:
    """Remove a run."""
    path, names = _taken(words, "remove LEDGER RUN", least=2)
    ledger = load(path, request.settings.registry)
    for name in names:
        ledger = removed(ledger, str(name))
    return _saved(path, ledger, f"Removed {plural(len(names), 'run')}.")


def _merge(request: Request, words: Words) -> Outcome:
    """Put the runs of other ledgers into one."""
    path, others = _taken(words, "merge LEDGER OTHER ...", least=2)
    registry = request.settings.registry
    ledger = load(path, registry) if path.exists() else None
    for other in others:
        found = load(other, registry)
        ledger = found if ledger is None else merged(ledger, found)
    assert ledger is not None
    return _saved(path, ledger, f"Merged {plural(len(others), 'ledger')}.")


def _show(request: Request, words: Words) -> Outcome:
    """List what is in a ledger."""
    path, _ = _taken(words, "show LEDGER", most=1)
    ledger = load(path, request.settings.registry)
    result = {"runs": content_rows(ledger), "parameters": list(ledger.problem.names)}
    return Outcome(result, content_text(ledger))


def _solve(request: Request, words: Words) -> Outcome:
    """Find the detector that all runs together tell."""
    path, templates = _taken(words, "solve LEDGER [MODELS.expt]", most=2)
    ledger = load(path, request.settings.registry)
    output = stem(request.switch("solved") or "solved")
    outputs = {"experiments": Path(output + ".expt"), "data": Path(output + ".json")}
    refuse_overwriting(list(outputs.values()), [path, *templates])
    solved = solve(ledger)
    models = read_experiments(templates[0]) if templates else Experiments((ledger.problem.example,))
    before = merge(models.history)
    record = make_record_of(request, Inputs((path, *templates), (), ()), before)
    items = tuple(replace(item, detector=solved.detector) for item in models)
    write_experiments(outputs["experiments"], replace(models, items=items), record)
    write_json(outputs["data"], {**solved.summary(), "history": [*before, record]})
    verdict = solved.results["verdict"]
    doubts = () if solved.trustworthy else tuple(verdict["reasons"])
    return Outcome(solved.summary(), solved.text(), tuple(outputs.values()), tuple(verdict["notes"]), doubts)


def _taken(words: Words, usage: str, *, least: int = 1, most: int = 10**6) -> tuple[Path, list[Path]]:
    """Take the ledger and what follows it from the words after the verb."""
    if not least <= len(words) <= most:
        raise UsageError(
            f"smalti ledger {usage.split()[0]} takes {'more' if len(words) < least else 'fewer'} words.",
            f"Given: {' '.join(words) or 'none'}.",
            f"It is called so: smalti ledger {usage}",
        )
    return Path(words[0]), [Path(word) for word in words[1:]]


def _saved(path: Path, ledger: Ledger, what: str) -> Outcome:
    save(path, ledger)
    return Outcome({"runs": content_rows(ledger)}, f"{what}\n\n{content_text(ledger)}", (path,))


_VERBS: Mapping[str, Callable[[Request, Words], Outcome]] = {
    "add": _add,
    "remove": _remove,
    "merge": _merge,
    "solve": _solve,
    "show": _show,
}

COMMAND = Command(
    "ledger",
    run,
    usage="add|remove|merge|solve|show LEDGER ...",
    details=(
        "A refinement of a stream leaves what its crystals told of the detector: sums, of a few megabytes "
        "however many they are (NAME.sums.h5). A ledger keeps those of many runs. Runs are added and "
        "removed at any time, without the data; solve gives the detector that all of them tell together, "
        "and says which runs have to be linearised again."
    ),
    example="smalti ledger add eiger.ledger.h5 run7.sums.h5",
    stages=(Stage("ledger"),),
    switches=(
        Switch("--name", "Name of the run that is added  [default: as it is called]", ("NAME",)),
        Switch("--solved", "Name of the outputs of solve.  [default: solved]", ("NAME",), "-o"),
    ),
)

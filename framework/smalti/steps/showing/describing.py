"""From models and tables to a description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smalti.models import Experiments
from smalti.steps.showing.detector_facts import detector_facts
from smalti.steps.showing.detector_words import DETECTOR
from smalti.steps.showing.listing import counts_listed, experiments_listed, panels_listed
from smalti.steps.showing.model_facts import (
    beam_facts,
    crystal_facts,
    goniometer_facts,
    imageset_facts,
    scan_facts,
)
from smalti.steps.showing.model_words import KINDS, section
from smalti.steps.showing.table_facts import table_facts, table_warnings
from smalti.steps.showing.table_words import table_words
from smalti.tables import Reflections
from smalti.text import plural

__all__ = ["Description", "describe"]

_FACTS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "beam": beam_facts,
    "goniometer": goniometer_facts,
    "scan": scan_facts,
    "crystal": crystal_facts,
    "imageset": imageset_facts,
}
_ORDER = ("beam", "detector", "goniometer", "scan", "crystal", "imageset")


@dataclass(frozen=True, slots=True)
class Description:
    """What ``smalti show`` tells: every fact in :meth:`summary`, one screen of them in :meth:`text`.

    Attributes
    ----------
    experiments, reflections : Mapping or None
        The facts of the experiment list and of the reflection table.
    warnings : tuple of str
        Where the two do not belong together.
    """

    experiments: Mapping[str, Any] | None
    reflections: Mapping[str, Any] | None
    warnings: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Give every fact, JSON-able."""
        both = {"experiments": self.experiments, "reflections": self.reflections}
        return {key: dict(facts) for key, facts in both.items() if facts is not None}

    def text(self, every: bool = False) -> str:
        """Tell it in words, short however many models there are; with ``every`` list them all as well."""
        parts = []
        if self.experiments is not None:
            parts.append(_experiment_words(self.experiments))
            if every:
                parts += [experiments_listed(self.experiments), panels_listed(self.experiments)]
        if self.reflections is not None:
            parts.append(table_words(self.reflections))
            if every:
                parts.append(counts_listed(self.reflections["experiments"], self.reflections["panels"]))
        return "\n\n".join(part for part in parts if part)


def describe(experiments: Experiments | None, reflections: Reflections | None) -> Description:
    """Describe an experiment list, a reflection table, or both."""
    warnings = table_warnings(reflections, experiments) if experiments and reflections is not None else ()
    return Description(
        None if experiments is None else _experiment_facts(experiments),
        None if reflections is None else table_facts(reflections, experiments),
        warnings,
    )


def _experiment_facts(experiments: Experiments) -> dict[str, Any]:
    """Gather the facts of all distinct models, and for each experiment which of them it has."""
    models = {kind: experiments.unique(kind) for kind in _ORDER}
    numbers = {kind: {id(model): k for k, model in enumerate(found)} for kind, found in models.items()}
    facts: dict[str, Any] = {kind: [make(m) for m in models[kind]] for kind, make in _FACTS.items()}
    # The beam centre of a detector is told for the first beam that is used with it.
    beams = {id(item.detector): item.beam for item in reversed(experiments.items)}
    facts["detector"] = [detector_facts(found, beams[id(found)]) for found in models["detector"]]
    facts["experiments"] = [
        {
            "identifier": item.identifier,
            "still": item.is_still,
            **{
                kind: None if (model := getattr(item, kind)) is None else numbers[kind][id(model)]
                for kind in _ORDER
            },
            "profile": item.profile is not None,
            "scaling_model": item.scaling_model is not None,
        }
        for item in experiments
    ]
    return facts


def _experiment_words(facts: Mapping[str, Any]) -> str:
    items = facts["experiments"]
    stills = sum(item["still"] for item in items)
    head = plural(len(items), "experiment")
    if stills:
        head += " (stills)" if stills == len(items) else f" ({plural(stills, 'still')})"
    if len(items) == 1 and items[0]["identifier"]:
        head += f" {items[0]['identifier']}"
    parts = [head]
    for kind in _ORDER:
        if facts[kind]:
            words = DETECTOR if kind == "detector" else KINDS[kind]
            parts.append(section(words, facts[kind], _users(items, kind, len(facts[kind]))))
    return "\n\n".join(parts)


def _users(items: Sequence[Mapping[str, Any]], kind: str, n: int) -> list[list[int]]:
    users: list[list[int]] = [[] for _ in range(n)]
    for k, item in enumerate(items):
        if item[kind] is not None:
            users[item[kind]].append(k)
    return users

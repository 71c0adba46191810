"""Detectors that drift: from step to step of time some of their parameters walk, all others are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.errors import DataError, UsageError
from smalti.models import Detector, Experiment, Experiments
from smalti.options import suggest
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.blocks import Block
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.units import UM

__all__ = ["Chain", "Drift", "Step", "Walk", "drift_of", "walk_of", "with_steps"]

Array = NDArray[np.float64]

_HOUR = 3600.0
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Step:
    """A time in which a detector stands still.

    Attributes
    ----------
    experiments : tuple of int
    time : float
        Their mean: hours, or numbers of experiments.
    """

    experiments: tuple[int, ...]
    time: float


@dataclass(frozen=True, slots=True)
class Chain:
    """One detector in the order of time.

    Attributes
    ----------
    blocks : tuple of int
        Numbers of its blocks, one a step.
    steps : tuple of Step
    moving : tuple of int
        Which parameters of a block drift.
    """

    blocks: tuple[int, ...]
    steps: tuple[Step, ...]
    moving: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What drifts.

    Attributes
    ----------
    unit : str
        Of times: "h" or "experiments".
    chains : tuple of Chain
    """

    unit: str
    chains: tuple[Chain, ...]

    def ties(self, offsets: Sequence[int], sizes: Sequence[int]) -> list[list[int]]:
        """Give the places in the full vector of parameters that are one in all steps."""
        return [
            [offsets[block] + k for block in chain.blocks]
            for chain in self.chains
            for k in range(sizes[chain.blocks[0]])
            if k not in chain.moving
        ]

    def moving(self, offsets: Sequence[int]) -> set[int]:
        """Give the places in the full vector of the parameters that drift."""
        return {offsets[block] + k for chain in self.chains for block in chain.blocks for k in chain.moving}

    def shares(self, offsets: Sequence[int], n_full: int) -> Array:
        """Part of its prior that each parameter has, (n_full,): one prior holds all steps together."""
        out = np.ones(n_full)
        for chain in self.chains:
            for block in chain.blocks:
                out[offsets[block] + np.array(chain.moving, dtype=np.intp)] = 1.0 / len(chain.blocks)
        return out


@dataclass(frozen=True)
class Walk:
    """Neighbouring steps are near to one another: a random walk.

    Attributes
    ----------
    later, earlier : (m,) intp
        Free parameters.
    sigma : (m,)
        Of their differences, in their units.
    """

    later: NDArray[np.intp]
    earlier: NDArray[np.intp]
    sigma: Array

    def rows(self, layout: object, p: Array) -> tuple[Array, sparse.csr_array]:
        """Give the differences over their standard deviations (m,) and their derivatives (m, n)."""
        row = np.arange(len(self.sigma))
        values = np.concatenate([1.0 / self.sigma, -1.0 / self.sigma])
        places = np.concatenate([row, row]), np.concatenate([self.later, self.earlier])
        slopes = sparse.csr_array((values, places), shape=(len(row), len(p)))
        return np.asarray(slopes @ p), slopes


def with_steps(experiments: Experiments, options: RefineOptions) -> tuple[Experiments, list[list[Step]]]:
    """Give every step of time a detector of its own.

    Experiments with equal detectors are one chain, whether or not their files share the model.

    Returns
    -------
    experiments : Experiments
    chains : list of list of Step
        Of each chain, in the order of time; empty where nothing drifts.

    Raises
    ------
    DataError
        There is only one step, or an experiment has no time.
    """
    if options.drift_by == "off":
        return experiments, []
    models: list[Detector] = []
    kind = [_number(item.detector, models) for item in experiments]
    chains = [
        _divided(experiments, [e for e, own in enumerate(kind) if own == k], options)
        for k in range(len(models))
    ]
    if all(len(chain) == 1 for chain in chains):
        raise DataError(
            "There is only one step of time: no drift can be followed.",
            f"A step has {options.drift_interval:g} {_unit(options)}.",
            "Give a smaller refine.drift_interval, or refine several runs together.",
        )
    items = list(experiments)
    for model, chain in zip(models, chains, strict=True):
        for step in chain:
            own = replace(model)
            for e in step.experiments:
                items[e] = replace(items[e], detector=own)
    return replace(experiments, items=tuple(items)), chains


def _number(detector: Detector, models: list[Detector]) -> int:
    """Find a detector among those known, or put it there."""
    for k, model in enumerate(models):
        if model is detector or model == detector:
            return k
    models.append(detector)
    return len(models) - 1


def _divided(experiments: Experiments, members: Sequence[int], options: RefineOptions) -> list[Step]:
    """Divide the experiments of a chain into steps of one length."""
    times = np.array([_time(experiments[e], k, options) for k, e in enumerate(members)])
    steps = np.floor((times - times.min()) / options.drift_interval + _ROUNDING)
    return [
        Step(
            tuple(e for e, own in zip(members, steps, strict=True) if own == step),
            float(times[steps == step].mean()),
        )
        for step in np.unique(steps)
    ]


def _unit(options: RefineOptions) -> str:
    return "h" if options.drift_by == "epoch" else "experiments"


def _time(experiment: Experiment, number: int, options: RefineOptions) -> float:
    """When an experiment was measured: hours, or its number in the chain."""
    if options.drift_by == "experiment":
        return float(number)
    scan = experiment.scan
    if scan is None or not any(scan.epochs):
        raise DataError(
            f"Experiment '{experiment.identifier}' does not say when it was measured.",
            "It has no scan with epochs.",
            "Give refine.drift_by=experiment, to follow the order of the experiments.",
        )
    return float(np.mean(scan.epochs)) / _HOUR


def drift_of(
    experiments: Experiments,
    chains: Sequence[Sequence[Step]],
    blocks: Sequence[Block],
    owner: Mapping[int, int],
    options: RefineOptions,
) -> Drift | None:
    """Tell which parameters of which blocks drift; None where nothing does.

    Raises
    ------
    UsageError
        No parameter has a name that is asked for.
    """
    found = []
    for steps in chains:
        numbers = tuple(owner[id(experiments[step.experiments[0]].detector)] for step in steps)
        if len(numbers) > 1:
            found.append(Chain(numbers, tuple(steps), _moving(blocks[numbers[0]], options)))
    return Drift(_unit(options), tuple(found)) if found else None


def _moving(block: Block, options: RefineOptions) -> tuple[int, ...]:
    assert isinstance(block, DetectorBlock)
    prefix = len(f"Detector{block.number}")
    names = [parameter.name[prefix:] for parameter in block.parameters]
    for pattern in options.drift:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(
                f"refine.drift: '{pattern}' is no parameter of the detector.",
                "The names are those of one detector; * stands for anything.",
                suggest(pattern, names, "Give Dist, Shift1, Shift2, Tau1, Tau2, Tau3, Group3Shift1, ..."),
            )
    return tuple(k for k, name in enumerate(names) if any(fnmatchcase(name, p) for p in options.drift))


def walk_of(
    drift: Drift,
    blocks: Sequence[Block],
    offsets: Sequence[int],
    column: NDArray[np.intp],
    options: RefineOptions,
) -> Walk:
    """Make the restraint that holds neighbouring steps together."""
    later: list[int] = []
    earlier: list[int] = []
    sigma: list[float] = []
    for chain in drift.chains:
        gaps = np.sqrt(np.diff([step.time for step in chain.steps]))
        for k in chain.moving:
            unit = blocks[chain.blocks[0]].parameters[k].unit
            size = options.drift_place * UM if unit == "mm" else options.drift_angle
            places = [int(column[offsets[block] + k]) for block in chain.blocks]
            for before, after, gap in zip(places[:-1], places[1:], gaps, strict=True):
                if before >= 0 and after >= 0 and before != after:
                    earlier.append(before)
                    later.append(after)
                    sigma.append(size * float(gap))
    return Walk(np.array(later, dtype=np.intp), np.array(earlier, dtype=np.intp), np.array(sigma))

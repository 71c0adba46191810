"""What all crystals of a stream have in common: the detector, and perhaps the beam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.errors import DataError, UsageError
from smalti.models import Detector, Experiment, Experiments
from smalti.roles import DetectorParameterisation, OutlierRejector
from smalti.solution import Parameter, Prior
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition, partition_of
from smalti.steps.refining.problem.restraints import restraints_of
from smalti.steps.streaming.remembering import Remembered

__all__ = ["SHARED", "Common", "common_of", "shared_restraints"]

Array = NDArray[np.float64]

SHARED = ("beam", "goniometer")
"""Kinds of models that no crystal of a stream has for itself, even where its file has one for each."""

_SAME = 1e-6
"""mm, or a pure number: detectors that differ by less in all their frames are the same."""


@dataclass(frozen=True)
class Common:
    """What workers are told once.

    Attributes
    ----------
    example : Experiment
        The first experiment of the stream: its detector stands for all, and its beam where they share one.
    parameterisation : DetectorParameterisation
    rejector : OutlierRejector
    options : RefineOptions
    any_detector : bool
        Whether detectors that differ from the common one are replaced by it, and not refused.
    one_beam : bool
        Whether all experiments have the beam of the example.
    """

    example: Experiment
    parameterisation: DetectorParameterisation
    rejector: OutlierRejector
    options: RefineOptions
    any_detector: bool = False
    one_beam: bool = False

    @property
    def detector(self) -> Detector:
        """The detector as it came: p = 0."""
        return self.example.detector

    @cached_property
    def _remembered(self) -> Remembered:
        return Remembered(self.parameterisation)

    @cached_property
    def layout(self) -> Layout:
        """The layout of the example alone: its shared parameters are those of the stream."""
        return self.layout_of((self.example,))

    @cached_property
    def partition(self) -> Partition:
        """Which parameters of the example are shared."""
        return partition_of(self.layout, always_shared=SHARED, eliminate=True)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The shared parameters."""
        return tuple(self.layout.parameters[k] for k in self.partition.shared)

    @cached_property
    def prior(self) -> Prior:
        """What holds them."""
        own, places = self.layout.prior, self.partition.shared
        groups = tuple(own.groups[k] for k in places) if own.groups else ()
        return replace(own, mean=own.mean[places], precision=own.precision[places], groups=groups)

    def __getstate__(self) -> dict[str, Any]:
        """Send what it was made of, and not what it has worked out since."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    @property
    def n_panels(self) -> int:
        """Number of panels."""
        return len(self.detector)

    def refined(self, shared: Array) -> Detector:
        """Give the detector at shared parameters (g,)."""
        return self.layout.compose(self.whole(shared))[0].detector

    def frames(self, shared: Array) -> Array:
        """Give the d matrices of its panels at shared parameters (g,), (P, 3, 3)."""
        return self.refined(shared).stacked()

    def whole(self, shared: Array) -> Array:
        """Give the parameters of the example (n,) with these shared ones (g,)."""
        return self.partition.with_shared(np.zeros(self.layout.n), shared)

    def layout_of(self, experiments: Sequence[Experiment]) -> Layout:
        """Lay out the parameters of some experiments that have adopted the common models."""
        return Layout.of(Experiments(tuple(experiments)), self._remembered, self.options)

    def adopted(self, experiments: Sequence[Experiment], place: str) -> tuple[Experiment, ...]:
        """Give experiments the common models.

        Raises
        ------
        DataError
            A detector or beam is another one.
        """
        for item in {id(experiment.detector): experiment for experiment in experiments}.values():
            if not self.any_detector and not _same(item.detector, self.detector):
                raise _another("detector", place, "stream.detector=first")
            if len(item.detector) != len(self.detector):
                raise _another("detector", place, "smalti panels, to divide it into the same panels")
        if self.one_beam:
            theirs = np.array([experiment.beam.s0 for experiment in experiments])
            if np.abs(theirs - self.example.beam.s0).max() > _SAME:
                raise _another("beam", place, "stream.beam=held")
        beam = self.example.beam if self.one_beam else None
        return tuple(
            replace(item, detector=self.detector, beam=item.beam if beam is None else beam)
            for item in experiments
        )


def common_of(
    example: Experiment,
    parameterisation: DetectorParameterisation,
    rejector: OutlierRejector,
    options: RefineOptions,
    *,
    any_detector: bool,
    one_beam: bool,
) -> Common:
    """Say what is common to a stream, and see that it can be refined.

    Raises
    ------
    DataError
        The example is not indexed.
    UsageError
        Something is asked for that needs all crystals at once.
    """
    if example.crystal is None:
        raise DataError(
            "The first experiment of the stream has no crystal.",
            "Only indexed data can be refined.",
            "Index the data first: smalti index.",
        )
    if getattr(parameterisation, "level", None) == "auto":
        raise UsageError(
            "A stream does not choose the level of the detector.",
            "Levels are compared by reflections that are held out, and a stream holds out none.",
            "Give a level, --level 1; or choose it with one pair of files, without --stream.",
        )
    options = _stream_options(options, one_beam=one_beam)
    return Common(example, parameterisation, rejector, options, any_detector, one_beam)


def _stream_options(options: RefineOptions, *, one_beam: bool) -> RefineOptions:
    """Give the options with which groups of a stream are worked on.

    Raises
    ------
    UsageError
        Something is asked for that needs all crystals at once.
    """
    whole = {
        "crystals": options.crystals != "given",
        "similar_cells": options.similar_cells > 0.0,
        "scan_varying": options.scan_varying != "off",
        "refine_setting": options.refine_setting,
        "equal_shifts": any("Crystal" in pattern for pattern in options.equal_shifts),
    }
    asked = [name for name, wanted in whole.items() if wanted]
    if asked:
        raise UsageError(
            f"A stream does not know {', '.join(f'refine.{name}' for name in asked)}.",
            "It sees a few crystals at a time, and eliminates each; this ties many of them together.",
            "Leave it out, or refine one pair of files without --stream.",
        )
    return replace(
        options,
        fix_beam=options.fix_beam if one_beam else ("all",),
        free_fraction=0.0,
        minimum_reflections=3,
        n_threads=1,
    )


def shared_restraints(common: Common, shared: Array) -> tuple[Array, sparse.csr_array]:
    """Residuals (m,) over their sigmas of the restraints on shared parameters, and derivatives (m, g)."""
    layout, partition = common.layout, common.partition
    rows = [item.rows(layout, common.whole(shared)) for item in restraints_of(layout, common.options)]
    values = np.concatenate([np.zeros(0), *(value for value, _ in rows)])
    slopes = sparse.csr_array(
        sparse.vstack([sparse.csr_array((0, layout.n)), *(sparse.csr_array(by) for _, by in rows)])
    )[:, partition.shared]
    mine = np.diff(slopes.indptr) > 0  # the others are of crystals
    return values[mine], slopes[mine]


def _same(one: Detector, other: Detector) -> bool:
    if one is other:
        return True
    return len(one) == len(other) and bool(np.abs(one.stacked() - other.stacked()).max() < _SAME)


def _another(kind: str, place: str, cure: str) -> DataError:
    return DataError(
        f"The {kind} of {place} is not that of the first file.",
        f"A stream refines one {kind}, which all crystals have seen.",
        f"Give files of one {kind} only; or use {cure}.",
    )

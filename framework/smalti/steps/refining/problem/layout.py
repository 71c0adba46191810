"""All parameters of a refinement in one vector, and what they make of the experiments."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from smalti.geometry.derivatives import PANEL, RotationState
from smalti.models import Experiments
from smalti.roles import DetectorParameterisation
from smalti.solution import Parameter, Prior
from smalti.steps.refining.options import RefineOptions
from smalti.steps.refining.problem.blocks import Block, CrystalBlock
from smalti.steps.refining.problem.building import blocks_of, names_held
from smalti.steps.refining.problem.composing import Composer
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.drifting import Drift, drift_of, with_steps
from smalti.steps.refining.problem.tangents import N_SHARED, experiment_entries, panel_entries
from smalti.steps.refining.problem.tiles import tied_tiles
from smalti.steps.refining.problem.tying import columns_of, with_own_crystals
from smalti.steps.refining.problem.varying_crystal import Sampled, SteadyCrystal, VaryingCrystalBlock

__all__ = ["N_SHARED", "Layout"]

Array = NDArray[np.float64]

_KINDS = ("detector", "beam", "crystal", "goniometer")


@dataclass(frozen=True)
class Layout:
    """Which models the parameters belong to, and which of them are free.

    Every model that several experiments share has one block of parameters. Blocks follow one another
    (detectors, beams, crystals, goniometers) in the *full* vector; the vector of the minimiser holds
    the free ones only.

    Attributes
    ----------
    experiments : Experiments
        As they came: p = 0.
    blocks : tuple of Block
    offsets : tuple of int
        Where each block begins in the full vector.
    n_full : int
        Length of the full vector.
    column : (n_full,) intp
        Place of each among the parameters of the minimiser; -1 where it is held. Parameters that move
        by one common amount have the same place.
    uses : tuple of dict
        For each experiment: kind of model to number of its block. Stills use no goniometer.
    panel_offset : dict
        Number of a detector's block to the number of its first panel among all panels.
    drift : Drift or None
        Detectors that walk from step to step of time.
    """

    experiments: Experiments
    blocks: tuple[Block, ...]
    offsets: tuple[int, ...]
    n_full: int
    column: NDArray[np.intp]
    uses: tuple[dict[str, int], ...]
    panel_offset: dict[int, int]
    drift: Drift | None = None

    @classmethod
    def of(
        cls, experiments: Experiments, parameterisation: DetectorParameterisation, options: RefineOptions
    ) -> Layout:
        """Lay out the parameters of sweeps and stills."""
        if options.crystals != "given":
            experiments = with_own_crystals(experiments)
        experiments, chains = with_steps(experiments, options)
        blocks, owner = blocks_of(experiments, parameterisation, options)
        sizes = [len(block.parameters) for block in blocks]
        offsets = tuple(int(x) for x in np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        parameters = [parameter for block in blocks for parameter in block.parameters]
        held = names_held(experiments, blocks, owner, options)
        drift = drift_of(experiments, chains, blocks, owner, options)
        ties = tied_tiles(blocks, offsets, drift)
        column = columns_of(parameters, options, held, ties)
        uses = tuple(
            {kind: owner[id(getattr(e, kind))] for kind in _KINDS[: 3 if e.is_still else 4]}
            for e in experiments
        )
        panel_offset, total = {}, 0
        for number, block in enumerate(blocks):
            if isinstance(block, DetectorBlock):
                panel_offset[number] = total
                total += len(block.detector)
        return cls(experiments, blocks, offsets, len(column), column, uses, panel_offset, drift)

    def holding(self, names: Collection[str]) -> Layout:
        """Give the layout with more parameters held, by the full names of those of the minimiser."""
        keep = np.array([parameter.name not in names for parameter in self.parameters], dtype=bool)
        place = np.where(keep, np.cumsum(keep) - 1, -1)
        return replace(self, column=np.where(self.column >= 0, place[self.column], -1))

    @cached_property
    def n(self) -> int:
        """Number of free parameters."""
        return int(self.column.max(initial=-1)) + 1

    @cached_property
    def free(self) -> NDArray[np.intp]:
        """Place in the full vector of each free parameter, (n,); the first of those tied to one another."""
        columns, first = np.unique(self.column, return_index=True)
        return np.asarray(first[columns >= 0], dtype=np.intp)

    @property
    def n_panels(self) -> int:
        """Number of panels of all detectors together."""
        return sum(len(self.detector_block(number).detector) for number in self.panel_offset)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The free parameters; of those tied to one another the first, which moves the panels of all."""
        everything = [parameter for block in self.blocks for parameter in block.parameters]
        out = [everything[k] for k in self.free]
        for k in np.flatnonzero(np.bincount(self.column[self.column >= 0], minlength=self.n) > 1):
            tied = [everything[j] for j in np.flatnonzero(self.column == k)]
            panels = tuple(sorted({panel for item in tied for panel in item.panels}))
            label = f"{out[k].label or out[k].name} and {len(tied) - 1} tied"
            out[k] = replace(out[k], panels=panels, label=label)
        return tuple(out)

    @property
    def start(self) -> Array:
        """Value of each free parameter at p = 0, (n,)."""
        return np.concatenate([block.start for block in self.blocks])[self.free]

    @cached_property
    def prior(self) -> Prior:
        """What holds the free parameters; a common amount is held as the first of its parameters is."""
        priors = [block.prior for block in self.blocks]
        mean = np.concatenate([prior.mean for prior in priors])[self.free]
        precision = np.concatenate([prior.precision for prior in priors])
        if self.drift is not None:
            precision = precision * self.drift.shares(self.offsets, self.n_full)
        groups = [name for prior in priors for name in prior.groups or ("",) * len(prior.mean)]
        learn = any(prior.learn for prior in priors)
        return Prior(mean, precision[self.free], tuple(groups[k] for k in self.free), learn)

    @cached_property
    def stills(self) -> NDArray[np.bool_]:
        """Which experiments are stills, (E,)."""
        return np.array([item.is_still for item in self.experiments], dtype=bool)

    def detector_block(self, number: int) -> DetectorBlock:
        """Give a block that is known to be a detector's."""
        block = self.blocks[number]
        assert isinstance(block, DetectorBlock)
        return block

    def sampled(self, number: int) -> Sampled:
        """Give a crystal as one of samples over its scan; one that does not vary has a single one."""
        block = self.blocks[number]
        if isinstance(block, VaryingCrystalBlock):
            return block
        assert isinstance(block, CrystalBlock)
        return SteadyCrystal(block)

    @cached_property
    def sample_offset(self) -> dict[int, int]:
        """Number of a crystal's block to the first local coordinate of its samples.

        Where any crystal varies, samples follow the local coordinates of panels and experiments: of each
        crystal m times c, sample by sample.
        """
        if not any(isinstance(block, VaryingCrystalBlock) for block in self.blocks):
            return {}
        numbers = sorted({use["crystal"] for use in self.uses})
        sizes = [self.sampled(number).places.size for number in numbers]
        first = PANEL.stop * self.n_panels + N_SHARED * len(self.uses)
        return {k: first + sum(sizes[:j]) for j, k in enumerate(numbers)}

    @property
    def n_local(self) -> int:
        """Number of local coordinates of all panels, experiments and samples."""
        plain = PANEL.stop * self.n_panels + N_SHARED * len(self.uses)
        return plain + sum(self.sampled(number).places.size for number in self.sample_offset)

    def split(self, p: Array) -> tuple[Array, ...]:
        """Give the full parameters of each block at p (n,)."""
        return tuple(np.split(self.full(p), self.offsets[1:]))

    def part(self, number: int, p: Array) -> Array:
        """Give the full parameters of one block at p (n,)."""
        first = self.offsets[number]
        last = self.offsets[number + 1] if number + 1 < len(self.offsets) else self.n_full
        columns = self.column[first:last]
        return np.where(columns >= 0, np.append(p, 0.0)[columns], 0.0)

    def compose(self, p: Array) -> Experiments:
        """Give the experiments at p (n,); models that were shared stay shared."""
        models: list[Any] = [block.compose(q) for block, q in zip(self.blocks, self.split(p), strict=True)]
        items = tuple(
            replace(experiment, **{kind: models[number] for kind, number in use.items()})
            for experiment, use in zip(self.experiments, self.uses, strict=True)
        )
        return replace(self.experiments, items=items)

    def state(self, p: Array) -> RotationState:
        """Give the models at p (n,) as arrays, panels of all detectors one after the other.

        Of crystals that vary over their scan it is the mean; one whose parameters make no cell is nan.
        """
        return self.composer.state(self.full(p))

    def tangent(self, p: Array, *, panels: bool = True) -> sparse.csr_array:
        """Give d(local coordinates)/dp at p (n,), (L, n): all panels, all experiments, then all samples.

        Parameters
        ----------
        panels : bool
            Whether panels are wanted; where they are not their rows are empty.
        """
        full, column, after_panels = self.full(p), self.column, PANEL.stop * self.n_panels
        entries = list(panel_entries(self.composer, full)) if panels else []
        for values, local, places in experiment_entries(self.composer, full, column >= 0):
            entries.append((values, after_panels + local, places))
        for number, first in self.sample_offset.items():
            places = self.sampled(number).places.ravel()
            rows = first + np.arange(len(places))
            entries.append((np.ones(len(places)), rows, self.offsets[number] + places))
        value, row, where = (np.concatenate(items) for items in zip(*entries, strict=True))
        used = (column[where] >= 0) & (value != 0.0)
        shape = (self.n_local, self.n)
        return sparse.csr_array((value[used], (row[used], column[where[used]])), shape=shape)

    @cached_property
    def composer(self) -> Composer:
        """What makes arrays of the models."""
        return Composer.of(self.experiments, self.blocks, self.offsets, self.uses)

    def full(self, p: Array) -> Array:
        """Give all parameters of all blocks at p (n,), (n_full,); 0 for what is held."""
        return np.where(self.column >= 0, np.append(p, 0.0)[self.column], 0.0)

"""Models as arrays: all crystals of one kind of cell in one call, whatever does not move only once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.crystal_parameters import (
    METRIC_SCALE,
    B_from_metric,
    CellBasis,
    metric_derivatives,
    orientation,
    orientation_derivatives,
)
from smalti.geometry.derivatives import RotationState
from smalti.models import Experiments
from smalti.steps.refining.problem.blocks import BeamBlock, Block, CrystalBlock, SettingBlock
from smalti.steps.refining.problem.detector_block import DetectorBlock
from smalti.steps.refining.problem.models import goniometer_of
from smalti.steps.refining.problem.varying_crystal import VaryingCrystalBlock

__all__ = ["Composer", "LikeCrystals"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class LikeCrystals:
    """K crystals that do not vary and whose cells have the same c free elements.

    Attributes
    ----------
    numbers : (K,) intp
        Of their blocks.
    full : (K, 3 + c) intp
        Places of their parameters in the full vector.
    basis : CellBasis
    U : (K, 3, 3)
    metric : (K, 3, 3) 1/Angstrom^2
        At p = 0.
    """

    numbers: Index
    full: Index
    basis: CellBasis
    U: Array
    metric: Array

    def matrices(self, full: Array) -> Array:
        """Give A (K, 3, 3) 1/Angstrom at the full vector; nan where parameters make no cell."""
        q = full[self.full]
        return np.asarray(orientation(q[:, :3].T) @ self.U @ self._B(q))

    def derivatives(self, full: Array) -> Array:
        """Give dA/dq, (K, 3 + c, 3, 3); zeros where parameters make no cell."""
        q = full[self.full]
        B, turn = self._B(q), orientation(q[:, :3].T) @ self.U
        none = np.isnan(B[:, 0, 0])
        B[none] = np.eye(3)
        by_angle = orientation_derivatives(q[:, :3].T) @ self.U @ B
        by_metric = turn[:, None] @ metric_derivatives(B, self.basis.E / METRIC_SCALE)
        out = np.concatenate([by_angle.transpose(1, 0, 2, 3), by_metric], axis=1)
        out[none] = 0.0
        return out

    def _B(self, q: Array) -> Array:
        metric = self.metric + self.basis.metric(q[:, 3:])
        try:
            return B_from_metric(metric)
        except np.linalg.LinAlgError:
            good = (np.linalg.eigvalsh(metric) > 0.0).all(axis=1)
            out = np.full_like(metric, np.nan)
            out[good] = B_from_metric(metric[good])
            return out


@dataclass(frozen=True)
class Composer:
    """Makes arrays of the models of E experiments.

    Attributes
    ----------
    blocks : tuple of Block
    offsets : tuple of int
        Where the parameters of each begin in the full vector.
    likes : tuple of LikeCrystals
        All crystals that do not vary.
    beam, crystal, goniometer : (E,) intp
        Numbers of the blocks of each experiment; -1 for no goniometer.
    F, S : (E, 3, 3)
        Fixed and setting rotations as they came; of stills no rotation.
    axis : (E, 3)
    s0 : (E, 3) 1/Angstrom
        As it came.
    still : (E,) bool
    """

    blocks: tuple[Block, ...]
    offsets: tuple[int, ...]
    likes: tuple[LikeCrystals, ...]
    beam: Index
    crystal: Index
    goniometer: Index
    F: Array
    S: Array
    axis: Array
    s0: Array
    still: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        experiments: Experiments,
        blocks: tuple[Block, ...],
        offsets: tuple[int, ...],
        uses: Sequence[Mapping[str, int]],
    ) -> Composer:
        """Take note of what does not move."""
        turning = [goniometer_of(item) for item in experiments]
        beam, crystal, goniometer = (
            np.array([use.get(kind, -1) for use in uses], dtype=np.intp)
            for kind in ("beam", "crystal", "goniometer")
        )
        return cls(
            blocks,
            offsets,
            _like_crystals(blocks, offsets),
            beam,
            crystal,
            goniometer,
            np.array([item.F for item in turning]),
            np.array([item.S for item in turning]),
            np.array([item.axis for item in turning]),
            np.array([item.beam.s0 for item in experiments]),
            np.array([item.is_still for item in experiments]),
        )

    def state(self, full: Array) -> RotationState:
        """Give the models at the full vector, panels of all detectors one after the other.

        Of crystals that vary over their scan it is the mean.
        """
        A = np.empty((len(self.blocks), 3, 3))
        s0, S, d = self.s0.copy(), self.S.copy(), []
        for likes in self.likes:
            A[likes.numbers] = likes.matrices(full)
        for number, block in enumerate(self.blocks):
            q = self.part(number, full)
            if isinstance(block, DetectorBlock):
                d.append(block.compose(q).stacked())
            elif isinstance(block, VaryingCrystalBlock):
                A[number] = block.mean(q).A
            elif isinstance(block, BeamBlock) and q.any():
                s0[self.beam == number] = block.compose(q).s0
            elif isinstance(block, SettingBlock) and q.any():
                S[self.goniometer == number] = block.compose(q).S
        return RotationState(self.F @ A[self.crystal], S, self.axis, s0, np.concatenate(d), self.still)

    def part(self, number: int, full: Array) -> Array:
        """Give the parameters of one block."""
        first = self.offsets[number]
        return full[first : self.offsets[number + 1] if number + 1 < len(self.offsets) else len(full)]

    def slopes(self, number: int, full: Array) -> Array:
        """Give the derivatives of a beam, a goniometer or a crystal that varies, one row a parameter."""
        block = self.blocks[number]
        assert not isinstance(block, DetectorBlock)
        found = block.derivatives(self.part(number, full))
        return np.asarray(found.reshape(len(found), -1))


def _like_crystals(blocks: Sequence[Block], offsets: Sequence[int]) -> tuple[LikeCrystals, ...]:
    kinds: dict[bytes, list[int]] = {}
    for number, block in enumerate(blocks):
        if isinstance(block, CrystalBlock):
            kinds.setdefault(block.basis.E.tobytes(), []).append(number)
    return tuple(_gathered(blocks, offsets, numbers) for numbers in kinds.values())


def _gathered(blocks: Sequence[Block], offsets: Sequence[int], numbers: Sequence[int]) -> LikeCrystals:
    members = [block for number in numbers if isinstance(block := blocks[number], CrystalBlock)]
    crystals = [block.crystal for block in members]
    basis = members[0].basis
    B = np.array([crystal.B for crystal in crystals])
    places = np.array(offsets)[list(numbers), None] + np.arange(3 + len(basis.E))
    U = np.array([crystal.U for crystal in crystals])
    return LikeCrystals(np.array(numbers), places, basis, U, B.transpose(0, 2, 1) @ B)

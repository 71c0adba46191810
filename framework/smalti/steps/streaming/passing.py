"""One pass over the files: batches dealt out to workers, and their sums added in the order of the batches."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import count, islice

import numpy as np
from numpy.typing import NDArray

from smalti.progress import Progress
from smalti.steps.pools import Pool
from smalti.steps.streaming.journal import Journal, digest_of
from smalti.steps.streaming.reducing import Batch, Order, reduce_batch
from smalti.steps.streaming.sums import Sums
from smalti.steps.streaming.survey import Group, Survey

__all__ = ["Files", "Runner", "covering"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """The groups of some surveys: all of them, or every so many.

    Attributes
    ----------
    surveys : tuple of Survey
    stride : int
        Only every so many groups, counted over all files.
    batch : int
        Crystals of one batch.
    """

    surveys: tuple[Survey, ...]
    stride: int = 1
    batch: int = 512

    def groups(self) -> Iterator[Group]:
        """Give the groups, file after file."""
        everything = (group for survey in self.surveys for group in survey.groups())
        return islice(everything, 0, None, self.stride)

    def batches(self) -> Iterator[Batch]:
        """Give the batches: neighbouring groups, until there are enough crystals."""
        held: list[Group] = []
        for group in self.groups():
            held.append(group)
            if sum(item.stop - item.start for item in held) >= self.batch:
                yield tuple(held)
                held = []
        if held:
            yield tuple(held)

    @property
    def n_batches(self) -> int:
        """How many batches there are."""
        return sum(1 for _ in self.batches())

    @cached_property
    def digest(self) -> str:
        """Tell these files and batches from any others: by name, size, time and groups."""
        parts: list[object] = [self.stride, self.batch]
        for survey in self.surveys:
            for path in (survey.pair.experiments, survey.pair.reflections):
                status = path.stat()
                parts += [str(path), status.st_size, status.st_mtime_ns]
            parts += [survey.bounds, survey.marks]
        return digest_of(parts)


@dataclass(frozen=True)
class Runner:
    """Makes passes over some files.

    Attributes
    ----------
    files : Files
    pool : Pool
    journal : Journal
    progress : Progress
    stage : str
        Name of what is being done, for the progress.
    """

    files: Files
    pool: Pool
    journal: Journal
    progress: Progress
    stage: str
    _passes: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    def run(self, order: Order) -> Sums:
        """Make one pass, or take up one that was interrupted."""
        key, total = self._key(order), self.files.n_batches
        stage = f"{self.stage}, pass {next(self._passes)}"
        begun = self.journal.find(key)
        done, sums = begun or (0, Sums.none(len(order.at), order.common.n_panels))
        if begun:
            log.info("%s: %d of %d batches were finished before", self.stage, done, total)
        rest = islice(self.files.batches(), done, None)
        for found in self.pool.ordered(partial(reduce_batch, order), rest):
            done, sums = done + 1, sums.plus(found)
            self.journal.note(key, done, sums, last=done == total)
            self.progress(stage, done, total)
        log.info("%s: one pass, %d reflections of %d crystals", self.stage, sums.n_used, sums.n_crystals)
        return sums

    def _key(self, order: Order) -> str:
        common = order.common
        return digest_of(
            [
                self.files.digest, order.law, order.judged_at, order.at, asdict(common.options),
                common.parameterisation, common.rejector, common.any_detector, common.one_beam,
                common.detector.stacked(),
            ]
        )  # fmt: skip


def covering(surveys: Sequence[Survey], wanted: int, batch: int) -> Files:
    """Give groups taken evenly from all files that have about so many experiments."""
    total = sum(survey.n_experiments for survey in surveys)
    return Files(tuple(surveys), max(total // max(wanted, 1), 1), batch)

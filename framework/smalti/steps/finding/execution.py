"""Who works on which frames, what is done already, and where it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from smalti.errors import InputError, UsageError
from smalti.progress import Progress, silent
from smalti.roles import Reader, SpotFinder
from smalti.steps.executing import ordered
from smalti.steps.finding.frames import FrameOutcome
from smalti.steps.finding.keeping import Keeper, Place, read_frames
from smalti.steps.finding.options import FindOptions
from smalti.steps.finding.runs import Run
from smalti.steps.finding.searching import Portion, Search, find_in_portion, portions_of, searches_of
from smalti.steps.pools import Pool
from smalti.text import plural

__all__ = ["Chunk", "Execution", "find_chunk", "merged"]

_TOGETHER = 8
"""Frames that are sent to another process at a time."""


@dataclass(frozen=True)
class Chunk:
    """One of equal parts of all frames.

    Attributes
    ----------
    number, count : int
        Which part, from 1, of how many.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Chunk:
        """Read ``2/8``.

        Raises
        ------
        UsageError
            It is something else.
        """
        number, _, count = text.partition("/")
        if number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count):
            return cls(int(number), int(count))
        raise UsageError(
            f"'{text}' does not say which part of the work is meant.",
            "It is written K/N: part K, from 1, of N parts.",
            "Example: --chunk 2/8, or in a job array --chunk $SLURM_ARRAY_TASK_ID/8",
        )

    def of(self, places: Sequence[Place]) -> set[Place]:
        """Give its part of the places."""
        n, k = len(places), self.number
        return set(places[n * (k - 1) // self.count : n * k // self.count])


@dataclass(frozen=True)
class Execution:
    """How a search is carried out.

    Attributes
    ----------
    pool : Pool or None
        Workers; None takes threads.
    keeper : Keeper or None
        Keeps what was found, and has what an earlier attempt found.
    finished : Mapping or None
        What was found on all frames, where nothing is left to do.
    patience : float
        Seconds to wait for an image that is not there yet; 0 does not wait.
    """

    pool: Pool | None = None
    keeper: Keeper | None = None
    finished: dict[Place, FrameOutcome] | None = None
    patience: float = 0.0

    def runs(
        self, runs: Sequence[Run], readers: Sequence[Reader], finder: SpotFinder, options: FindOptions
    ) -> Iterator[Iterator[FrameOutcome]]:
        """Give what is found on the frames of each run, in order."""
        if self.finished is not None:
            for run in runs:
                numbers = {number for number, _, _ in run.members}
                mine = sorted(place for place in self.finished if place[0] in numbers)
                yield iter([self.finished[place] for place in mine])
            return
        for searches in searches_of(runs, readers, finder, options, self.patience):
            outcomes = self._outcomes(searches, options.jobs)
            yield iter(self.keeper.keep(outcomes) if self.keeper else outcomes)

    def _outcomes(self, searches: Iterable[Search], jobs: int) -> Iterator[FrameOutcome]:
        """Search frames; those that are done already come from where they were kept."""
        for search in searches:
            for done, places in groupby(_places(search), self._done):
                wanted = [z - search.start for _, z in places]
                if done:
                    assert self.keeper is not None
                    for index in wanted:
                        yield self.keeper.give((search.number, search.start + index))
                    continue
                for found in self._search(portions_of(search, wanted, _TOGETHER if self.pool else 1), jobs):
                    for outcome in found:
                        yield outcome
                        if outcome.absent:
                            return

    def _done(self, place: Place) -> bool:
        return self.keeper is not None and self.keeper.has(place)

    def _search(self, portions: Iterable[Portion], jobs: int) -> Iterator[tuple[FrameOutcome, ...]]:
        if self.pool is not None:
            return self.pool.ordered(find_in_portion, portions)
        return ordered(find_in_portion, portions, jobs)


def find_chunk(
    chunk: Chunk,
    runs: Sequence[Run],
    readers: Sequence[Reader],
    finder: SpotFinder,
    options: FindOptions,
    pool: Pool | None = None,
    progress: Progress = silent,
) -> tuple[list[FrameOutcome], int]:
    """Search one part of all frames; give what was found, and the number of all frames."""
    searches = [search for group in searches_of(runs, readers, finder, options) for search in group]
    places = [place for search in searches for place in _places(search)]
    mine = chunk.of(places)
    found: list[FrameOutcome] = []
    for search in searches:
        wanted = [z - search.start for number, z in _places(search) if (number, z) in mine]
        portions = portions_of(search, wanted, _TOGETHER if pool else 1)
        work = pool.ordered if pool else ordered
        for outcomes in work(find_in_portion, portions):
            found += outcomes
            progress("finding spots", len(found), len(mine))
    return found, len(places)


def merged(paths: Sequence[Path], digest: str) -> dict[Place, FrameOutcome]:
    """Read what the parts of a search found.

    Raises
    ------
    InputError
        A file is damaged or of another search, frames are missing or twice there.
    """
    found: dict[Place, FrameOutcome] = {}
    origin: dict[Place, Path] = {}
    planned = 0
    for path in paths:
        outcomes, planned = read_frames(path, digest)
        for outcome in outcomes:
            place = (outcome.number, outcome.z)
            if place in found:
                raise InputError(
                    f"{path} and {origin[place]} hold the same frames.",
                    f"Both have {outcome.name} of experiment {outcome.number}.",
                    "Give each part once.",
                )
            found[place], origin[place] = outcome, path
    if len(found) != planned:
        raise InputError(
            f"{plural(planned - len(found), 'frame')} of {planned} missing.",
            f"{plural(len(paths), 'file')} gave {len(found)}; one of the parts was not done, or not named.",
            "Search the missing part (--chunk), and give all files.",
        )
    return found


def _places(search: Search) -> list[Place]:
    return [(search.number, search.start + index) for index in range(search.n_frames)]

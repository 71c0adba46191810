"""Find the spots of all images of some experiments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays
from smalti.models import Experiments
from smalti.progress import Progress, silent
from smalti.roles import Reader, SpotFinder
from smalti.steps.finding.completing import SweepShape, completed, without_sums
from smalti.steps.finding.execution import Execution
from smalti.steps.finding.filters import FilterCount, added, filtered
from smalti.steps.finding.found import Found, ImageCounts
from smalti.steps.finding.frames import FrameOutcome
from smalti.steps.finding.linking import link
from smalti.steps.finding.measuring import Spots, measure
from smalti.steps.finding.options import SKIP, FindOptions
from smalti.steps.finding.pixels import Pixels
from smalti.steps.finding.runs import Run, n_frames, runs_of
from smalti.steps.finding.sizing import sized
from smalti.steps.finding.tabulating import resolutions, rows
from smalti.tables import Reflections
from smalti.text import plural

__all__ = ["find_spots"]

Columns = Mapping[str, NDArray[Any]]


@dataclass
class _Diary:
    """What is noted of the frames as they go by.

    Attributes
    ----------
    used : list of (experiment, z)
        The usable frames of the present run: the position in a run counts in this list.
    linked : list of bool
        Whether each of them continues the one before.
    strong : dict
        (experiment, z) to strong pixels; -1 for a frame that was not used.
    refused : list of str
    absent : list of str
        What never came.
    n_fast : int
        Pixels in a row of the frames of the present run.
    """

    used: list[tuple[int, int]] = field(default_factory=list)
    linked: list[bool] = field(default_factory=list)
    strong: dict[tuple[int, int], int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    n_fast: int = 0


@dataclass(frozen=True)
class _Harvest:
    """What the runs gave: columns with their sorting keys, filter counts, groups, hot pixels."""

    parts: list[dict[str, NDArray[Any]]] = field(default_factory=list)
    keys: list[NDArray[np.int64]] = field(default_factory=list)
    filters: list[tuple[FilterCount, ...]] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    hot: list[tuple[int, int]] = field(default_factory=list)


def find_spots(
    experiments: Experiments,
    readers: Sequence[Reader],
    finder: SpotFinder,
    options: FindOptions,
    progress: Progress = silent,
    execution: Execution | None = None,
) -> Found:
    """Find spots on all images: strong pixels, linked in three dimensions, measured and filtered.

    The table does not depend on the number of workers, the order in which they finish, or how the work was
    divided and interrupted.

    Parameters
    ----------
    experiments : Experiments
        With images; sweeps and stills may be mixed.
    readers : sequence of Reader
        Must hold those that imported the images.
    finder : SpotFinder
        Finds the strong pixels of one frame.
    execution : Execution, optional
        Who does the work, what is done already; by default ``options.jobs`` threads do it all.

    Raises
    ------
    InputError
        An image cannot be read (unless ``on_bad_image`` is "skip").
    DataError
        An image cannot be used, or there is no spot at all.
    """
    diary, harvest = _Diary(), _Harvest()
    execution = execution or Execution()
    runs = runs_of(experiments)
    options, rule = sized(runs, readers, finder, options)
    total = sum(n_frames(run) for run in runs)
    for run, outcomes in zip(runs, execution.runs(runs, readers, finder, options), strict=True):
        diary.used.clear()
        diary.linked.clear()
        frames = _usable(outcomes, diary, options, progress, total)
        first = next(frames, None)
        if first is not None:
            _gather(run, chain([first], frames), diary, options, harvest)
    return replace(_found(experiments, diary, harvest, options), rule=rule)


def _usable(
    outcomes: Iterable[FrameOutcome], diary: _Diary, options: FindOptions, progress: Progress, total: int
) -> Iterator[tuple[Pixels, bool]]:
    """Give the strong pixels of each usable frame and whether it continues the one before."""
    for outcome in outcomes:
        here = (outcome.number, outcome.z)
        if outcome.absent:
            diary.absent.append(outcome.problem)
            continue
        diary.strong[here] = -1 if outcome.problem else len(outcome.pixels)
        progress("finding spots", len(diary.strong), max(total, len(diary.strong)))
        if outcome.problem:
            _refuse(outcome, diary, options)
            continue
        before = diary.used[-1] if diary.used else None
        linked = before == (outcome.number, outcome.z - 1) and not outcome.still
        position = np.full(len(outcome.pixels), len(diary.used), dtype=np.int32)
        diary.used.append(here)
        diary.linked.append(linked)
        diary.n_fast = outcome.shape[1]
        yield replace(outcome.pixels, frame=position), linked


def _refuse(outcome: FrameOutcome, diary: _Diary, options: FindOptions) -> None:
    """Note a frame that cannot be used, or stop."""
    name = f"experiment {outcome.number}, {outcome.name}"
    diary.refused.append(f"{name}: {outcome.problem}")
    if options.on_bad_image == "skip":
        return
    if outcome.error is not None:
        raise outcome.error.or_else(SKIP)
    raise DataError(
        f"Spots cannot be found on {name}.",
        outcome.problem[0].upper() + outcome.problem[1:],
        f"Mend it or leave it out. {SKIP}",
    )


def _gather(
    run: Run,
    frames: Iterator[tuple[Pixels, bool]],
    diary: _Diary,
    options: FindOptions,
    harvest: _Harvest,
) -> None:
    """Link, measure and filter the spots of one run."""
    arrays, n_fast = PanelArrays.of(run.detector), diary.n_fast
    gain = np.array([panel.gain for panel in run.detector.panels])
    members = {number: experiment for number, experiment, _ in run.members}
    for groups in link(frames, n_fast, remove_hot=options.hot_pixels == "remove"):
        harvest.hot.extend((int(k) % n_fast, int(k) // n_fast) for k in groups.hot)
        if groups.n == 0:
            continue
        spots = measure(groups, n_fast, gain, options.centroid)
        ends = _at_ends(spots, diary.linked)
        harvest.groups.append(groups.n)
        used = np.array(diary.used, dtype=np.int64)[spots.position]
        for number in np.unique(used[:, 0]).tolist():
            here = used[:, 0] == number
            part, shift = spots.take(here), used[here, 1] - spots.position[here]
            experiment = members[number]
            keep, counts = filtered(part, resolutions(part, experiment, arrays), run.detector, options)
            kept = part.take(keep)
            harvest.filters.append(counts)
            harvest.parts.append(dict(rows(kept, number, experiment, shift[keep], arrays, ends[here][keep])))
            harvest.keys.append(np.column_stack([np.full(len(kept.size), number), kept.first]))


def _at_ends(spots: Spots, linked: list[bool]) -> NDArray[np.bool_]:
    """Whether the image before or after a spot is missing, (S,): it may go on there."""
    # Spots are given out only once the image after them is known, or known to be none.
    follows = np.array([*linked, False])
    return np.asarray(~(follows[spots.box[:, 4]] & follows[spots.box[:, 5]]))


def _found(experiments: Experiments, diary: _Diary, harvest: _Harvest, options: FindOptions) -> Found:
    filters = added(harvest.filters)
    groups = sum(harvest.groups)
    if not any(len(key) for key in harvest.keys):
        raise DataError(*_nothing(diary, groups, filters))
    keys = np.concatenate(harvest.keys)
    order = np.lexsort(keys.T[::-1])
    # Each column takes the place of its parts: the table of a long sweep is the most that is held.
    columns: Columns = {
        name: np.concatenate([part.pop(name) for part in harvest.parts])[order]
        for name in tuple(harvest.parts[0])
    }
    shapes: tuple[SweepShape, ...] = ()
    if options.centroid == "net":
        columns, shapes = completed(columns, experiments)
    else:
        columns = without_sums(columns)
    identifiers = {k: item.identifier for k, item in enumerate(experiments) if item.identifier}
    reflections = Reflections(columns, identifiers)
    warnings = []
    if diary.refused:
        warnings.append(f"{plural(len(diary.refused), 'image')} not used; the first: {diary.refused[0]}")
    if diary.absent:
        warnings.append(f"The search ended early: {diary.absent[0]}.")
    if harvest.hot:
        warnings.append(f"{plural(len(harvest.hot), 'hot pixel')} taken out (strong on every image).")
    return Found(
        reflections,
        groups,
        filters,
        _image_counts(diary, reflections),
        tuple(harvest.hot),
        tuple(diary.refused),
        tuple(warnings),
        shapes,
    )


def _image_counts(diary: _Diary, reflections: Reflections) -> tuple[ImageCounts, ...]:
    """Count strong pixels and spots per image, experiment by experiment."""
    found = []
    for number in sorted({number for number, _ in diary.strong}):
        zs = sorted(z for k, z in diary.strong if k == number)
        mine = reflections["xyzobs.px.value"][reflections["id"] == number, 2]
        spots = np.bincount(np.floor(mine).astype(np.int64) - zs[0], minlength=zs[-1] - zs[0] + 1)
        strong = tuple(diary.strong[number, z] for z in zs)
        each = tuple(int(spots[z - zs[0]]) if n >= 0 else -1 for z, n in zip(zs, strong, strict=True))
        found.append(ImageCounts(number, zs[0] + 1, strong, each))
    return tuple(found)


def _nothing(diary: _Diary, groups: int, filters: tuple[FilterCount, ...]) -> tuple[str, str, str]:
    if not diary.strong:
        return "There are no images to search.", "The experiment list holds none.", "Import the images first."
    used = sum(count >= 0 for count in diary.strong.values())
    if not used:
        reason = f"None of {plural(len(diary.strong), 'image')} could be used"
        reason += f"; the first: {diary.refused[0]}" if diary.refused else "."
        return "No spots were found.", reason, "Check the images, the mask and the trusted range."
    why = f"{plural(used, 'image')} gave {plural(groups, 'group')} of strong pixels"
    taken = ", ".join(f"{item.reason}: {item.removed}" for item in filters if item.removed)
    return (
        "No spots were found.",
        why + (f", and the filters took all: {taken}." if groups else "."),
        "Look at an image; try a lower sigma_strong or min_spot_size, and check gain and resolution limits.",
    )

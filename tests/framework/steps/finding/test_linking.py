"""Linking frame after frame: where the chunks end must not show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smalti.steps.finding.linking import link
from smalti.steps.finding.pixels import Pixels

N_FAST = 20


def pixels(position: int, index: NDArray[np.int32]) -> Pixels:
    n = index.size
    return Pixels(
        np.full(n, position, dtype=np.int32),
        index.astype(np.int32),
        np.ones(n, dtype=np.int32),
        np.zeros(n, dtype=np.int16),
        np.zeros(n),
        np.ones(n, dtype=np.int32),
        np.zeros(n, dtype=bool),
        np.zeros(n, dtype=bool),
    )


def random_frames(rng: np.random.Generator, n: int, hot: list[int]) -> list[tuple[Pixels, bool]]:
    frames = []
    for k in range(n):
        strong = rng.random(N_FAST * 15) < (0.0 if k == 7 and not hot else 0.12)
        strong[hot] = True
        frames.append((pixels(k, np.flatnonzero(strong)), k > 0 and k != 11))
    return frames


def partition(
    frames: list[tuple[Pixels, bool]], chunk: int
) -> tuple[set[frozenset[tuple[int, int]]], list[int]]:
    groups: set[frozenset[tuple[int, int]]] = set()
    hot: list[int] = []
    for batch in link(iter(frames), N_FAST, chunk=chunk):
        hot += batch.hot.tolist()
        places = list(zip(batch.pixels.frame.tolist(), batch.pixels.index.tolist(), strict=True))
        for number in range(batch.n):
            groups.add(frozenset(places[k] for k in np.flatnonzero(batch.group == number)))
    return groups, hot


@pytest.mark.parametrize("hot", [[], [37], [37, 38, 250]])
def test_chunks_do_not_show(rng: np.random.Generator, hot: list[int]) -> None:
    frames = random_frames(rng, 25, hot)
    expected = partition(frames, 1000)
    assert len(expected[0]) > 50
    for chunk in (1, 2, 5, 12):
        assert partition(frames, chunk) == expected


def test_every_pixel_is_given_once(rng: np.random.Generator) -> None:
    frames = random_frames(rng, 20, [])
    groups, _ = partition(frames, 4)
    given = sorted(place for group in groups for place in group)
    assert given == sorted((k, i) for k, (item, _) in enumerate(frames) for i in item.index.tolist())


def test_a_lone_pixel_strong_everywhere_is_hot() -> None:
    frames = [(pixels(k, np.array([50])), k > 0) for k in range(8)]
    groups, hot = partition(frames, 3)
    assert hot == [50]
    assert groups == set()


def test_seven_frames_are_too_few_to_judge() -> None:
    frames = [(pixels(k, np.array([50])), k > 0) for k in range(7)]
    groups, hot = partition(frames, 3)
    assert hot == []
    assert len(groups) == 1


def test_the_core_of_a_lasting_reflection_is_not_hot(rng: np.random.Generator) -> None:
    """Three by three pixels strong on all frames, with flanks that come and go."""
    core = np.array([r * N_FAST + c for r in (6, 7, 8) for c in (6, 7, 8)])
    flank = np.array([r * N_FAST + c for r in (5, 9) for c in (6, 7, 8)])
    frames = [
        (pixels(k, np.sort(np.concatenate([core, flank[rng.random(6) < 0.4]]))), k > 0) for k in range(12)
    ]
    groups, hot = partition(frames, 5)
    assert hot == []
    assert len(groups) == 1


def test_a_hot_cluster_is_hot_as_a_whole() -> None:
    cluster = np.array([50, 51, 50 + N_FAST])
    frames = [(pixels(k, cluster), k > 0) for k in range(10)]
    groups, hot = partition(frames, 4)
    assert hot == [50, 51, 50 + N_FAST]
    assert groups == set()


def test_a_reflection_passing_beside_a_hot_pixel_stays() -> None:
    spot = np.array([48, 49])
    frames = [
        (pixels(k, np.array([50]) if k not in (4, 5) else np.append(spot, 50)), k > 0) for k in range(12)
    ]
    groups, hot = partition(frames, 3)
    assert hot == [50]
    assert groups == {frozenset((k, i) for k in (4, 5) for i in (48, 49))}

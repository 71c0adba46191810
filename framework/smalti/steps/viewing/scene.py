"""What is shown: frames read ahead and kept, stacks, levels, and their contrast."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smalti.steps.cores import available_cores
from smalti.steps.executing import ordered
from smalti.steps.viewing.contrast import Contrast, judge
from smalti.steps.viewing.counts import Frame, Ground, ground_of, load
from smalti.steps.viewing.explained import Picture, chosen, explained
from smalti.steps.viewing.gallery import Gallery, Roll
from smalti.steps.viewing.keeping import Shelf
from smalti.steps.viewing.pyramid import Pool, coded_level, overview_level, tile
from smalti.steps.viewing.stacking import How, Lost, Stack, shifted, stacked

__all__ = ["Payload", "Scene", "Shot"]

MEMORY = 160e6
"""Bytes of frames that are kept."""
SPARE = 100e6
"""Bytes of stacks and of coded levels that are kept, each."""
PAYS = 0.6
"""Compress where a sample shrinks to less than this."""


@dataclass(frozen=True)
class Shot:
    """Which frames are looked at, how they are taken together, and as which picture if not as counts."""

    frame: int
    n: int = 1
    how: How = "sum"
    picture: Picture | None = None

    @property
    def plain(self) -> Shot:
        """The shot whose stack this one can share: a mean is a sum until it is shown."""
        how: How = "sum" if self.how == "mean" or self.n == 1 else self.how
        return Shot(self.frame, self.n, how, self.picture)


@dataclass(frozen=True)
class Payload:
    """Pixels as they travel.

    Attributes
    ----------
    body : bytes
        Little-endian int16 or int32, row by row; deflated where ``packed``.
    shape : (slow, fast)
    kind : str
        "int16" or "int32".
    divisor : int
        By what the numbers are to be divided.
    """

    body: bytes
    packed: bool
    shape: tuple[int, int]
    kind: str
    divisor: int


class Scene:
    """The frames of a gallery as pictures, each made once and kept while there is room.

    Safe to use from several threads; frames near those asked for are read ahead.
    """

    def __init__(self, gallery: Gallery, threads: int = 0) -> None:
        self.gallery = gallery
        self._grounds: Shelf[Ground] = Shelf(2)
        self._frames: Shelf[Frame] = Shelf(MEMORY, lambda frame: frame.nbytes)
        self._lost: Shelf[Lost] = Shelf(SPARE, lambda lost: lost[0].nbytes + lost[1].nbytes + 100)
        self._stacks: Shelf[Stack] = Shelf(SPARE, lambda stack: stack.nbytes)
        self._pictures: Shelf[Mapping[str, Stack]] = Shelf(
            SPARE, lambda all_: sum(one.nbytes for one in all_.values())
        )
        self._levels: Shelf[tuple[NDArray[Any], int]] = Shelf(SPARE, lambda level: level[0].nbytes)
        self._payloads: Shelf[Payload] = Shelf(SPARE / 2, lambda payload: len(payload.body))
        self._contrasts: Shelf[Contrast] = Shelf(500)
        self._pool = ThreadPoolExecutor(threads or max(1, available_cores() - 1), "ahead")
        self._wanted = 0
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give up what is being read ahead."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def shot(self, frame: int, n: int, how: How, picture: Picture | None = None) -> Shot:
        """Give the shot of n frames from one on, no further than its roll goes."""
        return Shot(frame, self.gallery.span(frame, n), how, picture)

    def roll(self, shot: Shot) -> Roll:
        """The roll that a shot belongs to."""
        return self.gallery.find(shot.frame)[0]

    def ground(self, roll: Roll) -> Ground:
        """What holds for all frames of a roll."""
        return self._grounds.get(roll.number, lambda: ground_of(roll))

    def frame(self, number: int) -> Frame:
        """One frame."""
        roll, index = self.gallery.find(number)

        def read() -> Frame:
            frame = load(roll, index, self.ground(roll))
            self._lost.get(number, lambda: (frame.missing, frame.over))
            return frame

        return self._frames.get(number, read)

    def _lost_on(self, number: int) -> Lost:
        """The pixels that a frame lacks: kept for longer than its counts."""

        def read() -> Lost:
            frame = self.frame(number)
            return frame.missing, frame.over

        return self._lost.peek(number) or read()

    def stack(self, shot: Shot) -> Stack:
        """The frames of a shot, taken together; or the picture that a finder makes of them."""
        plain = shot.plain
        if shot.picture is not None:
            return self._picture(plain, shot.picture)
        found = self._stacks.get(plain, lambda: self._make_stack(plain))
        return found if found.how == shot.how else replace(found, how=shot.how)

    def _picture(self, shot: Shot, picture: Picture) -> Stack:
        """A finder makes its pictures together, so that going from one to the next costs nothing."""
        plain = replace(shot, picture=None)

        def make() -> Mapping[str, Stack]:
            return explained(self.stack(plain), self.ground(self.roll(plain)), picture.finder)

        return chosen(self._pictures.get((plain, picture.finder), make), picture.name)

    def _make_stack(self, shot: Shot) -> Stack:
        numbers = range(shot.frame, shot.frame + shot.n)
        if shot.how == "sum" and shot.n > 3 and shot.frame > 0:
            before = self._stacks.peek(Shot(shot.frame - 1, shot.n, shot.how))
            if before is not None and before.n == shot.n:
                leaving, entering = self.frame(shot.frame - 1), self.frame(numbers[-1])
                return shifted(before, leaving, entering, [self._lost_on(k) for k in numbers])
        if shot.n == 1:
            return stacked([self.frame(shot.frame)], shot.how)
        return stacked(ordered(self.frame, numbers), shot.how)

    def contrast(self, shot: Shot) -> Contrast:
        """Robust limits of a shot's usable pixels."""
        return self._contrasts.get(shot, lambda: judge(self.stack(shot), self.ground(self.roll(shot))))

    def level(self, shot: Shot, level: int, pool: Pool) -> tuple[NDArray[Any], int]:
        """A level of a shot as it travels, and its divisor."""

        def make() -> tuple[NDArray[Any], int]:
            return coded_level(self.stack(shot), self.ground(self.roll(shot)), level, pool)

        return self._levels.get((shot, level, pool), make)

    def overview(self, roll: Roll) -> int:
        """The level of a roll that is sent whole."""
        fast, slow = roll.size
        return overview_level((slow, fast))

    def payload(self, shot: Shot, level: int, pool: Pool, place: tuple[int, int] | None) -> Payload:
        """Pixels to send: a tile (column, row) of a level, or the whole of it."""

        def make() -> Payload:
            values, divisor = self.level(shot, level, pool)
            return packed(values if place is None else tile(values, *place), divisor)

        return self._payloads.get((shot, level, pool, place), make)

    def read_ahead(self, shot: Shot, pool: Pool, step: int, depth: int = 2) -> None:
        """Make ready, in the background, the overviews of the shots that a key would bring next.

        What was asked for and is no longer near is not begun; the pictures of a finder take too long.
        """
        if shot.picture is not None:
            return
        ticket = self._next_ticket()
        for k in range(1, depth + 1):
            frame = shot.frame + k * step
            if 0 <= frame < len(self.gallery):
                self._pool.submit(self._prepare, self.shot(frame, shot.n, shot.how), pool, ticket)

    def _next_ticket(self) -> int:
        with self._lock:
            self._wanted += 1
            return self._wanted

    def prepare(self, shot: Shot, pool: Pool) -> None:
        """Make a shot ready in the background, before anybody asks for it."""
        self._pool.submit(self._prepare, shot, pool, self._next_ticket())

    def _prepare(self, shot: Shot, pool: Pool, ticket: int) -> None:
        if ticket != self._wanted:
            return
        try:
            self.payload(shot, self.overview(self.roll(shot)), pool, None)
            self.contrast(shot)
        except Exception:  # noqa: S110, BLE001 - whoever asks for this frame is told what is wrong with it
            return


def packed(values: NDArray[Any], divisor: int) -> Payload:
    """Make pixels ready to travel, deflated where a sample says that it pays."""
    body = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    middle = len(body) // 2
    sample = body[middle : middle + 65536]
    small = bool(sample) and len(zlib.compress(sample, 1)) < PAYS * len(sample)
    shape = values.shape
    kind = np.dtype(values.dtype).name
    return Payload(zlib.compress(body, 1) if small else body, small, (shape[0], shape[1]), kind, divisor)

"""Read frames of the Tessera: a line of "TESSERA" and JSON, then 32-bit counts of two tiles and a gap."""

import json
from dataclasses import dataclass
from math import radians

import numpy as np

from smalti.errors import InputError
from smalti.files import read_whole
from smalti.hookspecs import API, hookimpl
from smalti.models import Beam, Goniometer, Panel, modular
from smalti.solution import FrameHeader, Match

SMALTI_API = API
FRAME, PIXEL = (408, 300), 0.1  # px, mm


class Series(tuple):  # of the paths
    def header(self, index):
        says, _ = parts(self[index])
        origin = (-PIXEL * says["beam"][0], PIXEL * says["beam"][1], -says["distance"])
        frame = Panel("Tessera", (1.0, 0.0, 0.0), (0.0, -1.0, 0.0), origin, FRAME, (PIXEL, PIXEL))
        tiles = modular(frame, windows=[(0, 0), (208, 0)], module=(200, 300))
        turn = radians(says["start"]), radians(says["width"])
        return FrameHeader(Beam(wavelength=says["wavelength"]), tiles, Goniometer(), *turn, 1.0, 0.0, FRAME)

    def read(self, index):
        return np.frombuffer(parts(self[index])[1], "<i4").astype(np.int32).reshape(FRAME[::-1])

    def mask(self):
        return None  # pixels in the gap belong to no tile; nothing else is bad


def parts(path):
    head, _, counts = read_whole(path).partition(b"\n")
    if not head.startswith(b"TESSERA {") or len(counts) != 4 * FRAME[0] * FRAME[1]:
        raise InputError(f"'{path}' is not a whole Tessera frame.", fix="Copy it again.")
    return json.loads(head.removeprefix(b"TESSERA ")), counts


@dataclass(frozen=True)
class Tessera:
    name = "tessera"

    def match(self, path, head):
        return Match.INSTRUMENT if head.startswith(b"TESSERA {") else Match.NO

    def open(self, paths):
        return Series(paths)


@hookimpl
def smalti_readers():
    return [Tessera]

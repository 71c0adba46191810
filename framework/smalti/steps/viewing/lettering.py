"""Words on a picture, without a font file: letters of 5 x 7 dots, drawn for this program."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["HEIGHT", "width_of", "write"]

WIDTH, HEIGHT = 5, 7
STEP = WIDTH + 1
"""Dots from one letter to the next."""
_ROWS = {
    " ": "00000000000000", ".": "00000000000c0c", ",": "000000000c0408", ":": "000c0c000c0c00",
    "-": "0000000e000000", "–": "0000001f000000", "−": "0000001f000000", "+": "0004041f040400",
    "/": "01010204081010", "_": "0000000000001f", "#": "0a0a1f0a1f0a0a", "(": "02040808080402",
    ")": "08040202020408", "[": "0e08080808080e", "]": "0e02020202020e", "=": "00001f001f0000",
    "%": "18190204081303", "'": "04040800000000", "°": "0c12120c000000", "×": "00110a040a1100",
    "Å": "04000e111f1111", "φ": "00040e15150e04", "?": "0e110102040004",
    "0": "0e11131519110e", "1": "040c040404040e", "2": "0e11010204081f", "3": "1f02040201110e",
    "4": "02060a121f0202", "5": "1f101e0101110e", "6": "0608101e11110e", "7": "1f010204080808",
    "8": "0e11110e11110e", "9": "0e11110f01020c",
    "A": "0e11111f111111", "B": "1e11111e11111e", "C": "0e11101010110e", "D": "1e11111111111e",
    "E": "1f10101e10101f", "F": "1f10101e101010", "G": "0e11101711110e", "H": "1111111f111111",
    "I": "0e04040404040e", "J": "0702020202120c", "K": "11121418141211", "L": "1010101010101f",
    "M": "111b1515111111", "N": "11191513111111", "O": "0e11111111110e", "P": "1e11111e101010",
    "Q": "0e11111115120d", "R": "1e11111e141211", "S": "0f10100e01011e", "T": "1f040404040404",
    "U": "1111111111110e", "V": "11111111110a04", "W": "11111115151b11", "X": "11110a040a1111",
    "Y": "11110a04040404", "Z": "1f01020408101f",
    "a": "00000e010f110f", "b": "10101e1111111e", "c": "00000e1110110e", "d": "01010f1111110f",
    "e": "00000e111f100e", "f": "06081c08080808", "g": "000f11110f010e", "h": "10101e11111111",
    "i": "04000c0404040e", "j": "0200060202120c", "k": "10101214181412", "l": "0c04040404040e",
    "m": "00001a15151515", "n": "00001e11111111", "o": "00000e1111110e", "p": "001e11111e1010",
    "q": "000f11110f0101", "r": "00001619101010", "s": "00000f100e011e", "t": "08081c08080906",
    "u": "0000111111130d", "v": "00001111110a04", "w": "0000111115150a", "x": "0000110a040a11",
    "y": "001111110f010e", "z": "00001f0204081f",
}  # fmt: skip
"""Seven rows of five dots, from the top, two hexadecimal digits a row, the leftmost dot worth 16."""


def width_of(text: str, size: int = 1) -> int:
    """Pixels that a line of text takes; ``size`` pixels a dot."""
    return max(0, (STEP * len(text) - 1) * size)


@cache
def _dots(text: str) -> NDArray[np.bool_]:
    """The dots of a line of text, (7, width); letters that there are none of are question marks."""
    dots = np.zeros((HEIGHT, STEP * len(text)), dtype=bool)
    for k, letter in enumerate(text):
        rows = np.frombuffer(bytes.fromhex(_ROWS.get(letter, _ROWS["?"])), dtype=np.uint8)
        dots[:, STEP * k : STEP * k + WIDTH] = (rows[:, None] >> np.arange(WIDTH - 1, -1, -1)) & 1
    return dots


def write(
    rgb: NDArray[np.uint8],
    text: str,
    at: tuple[float, float],
    ink: tuple[int, int, int],
    size: int = 1,
    rim: tuple[int, int, int] | None = None,
) -> None:
    """Write a line of text on a picture (height, width, 3), in place; what lies outside is left away.

    Parameters
    ----------
    at : (x, y)
        The upper left corner, px.
    size : int
        Pixels a dot.
    rim : colour, optional
        Drawn around the letters, so that they can be read on anything.
    """
    dots = np.pad(np.kron(_dots(text), np.ones((size, size), dtype=bool)), 2)
    x, y = round(at[0]) - 2, round(at[1]) - 2
    if rim is not None:
        near = np.zeros_like(dots)
        for row, column in np.ndindex(3, 3):
            near[1:-1, 1:-1] |= dots[row : row + dots.shape[0] - 2, column : column + dots.shape[1] - 2]
        _put(rgb, near, x, y, rim)
    _put(rgb, dots, x, y, ink)


def _put(rgb: NDArray[np.uint8], dots: NDArray[np.bool_], x: int, y: int, ink: tuple[int, int, int]) -> None:
    row, column = np.nonzero(dots)
    row, column = row + y, column + x
    inside = (row >= 0) & (row < rgb.shape[0]) & (column >= 0) & (column < rgb.shape[1])
    rgb[row[inside], column[inside]] = ink

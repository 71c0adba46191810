"""What the decoders of compressed counts say when these are damaged."""

from __future__ import annotations

__all__ = ["DecodingError"]


class DecodingError(ValueError):
    """The compressed data are not what they should be; says at which byte and element.

    Attributes
    ----------
    byte, element : int
        Where decoding stopped: bytes used and elements (pixels) decoded so far.
    """

    def __init__(self, message: str, byte: int, element: int) -> None:
        super().__init__(message)
        self.byte = byte
        self.element = element

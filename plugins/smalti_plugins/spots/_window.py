"""The window of the dispersion finders."""

from __future__ import annotations

from smalti.errors import UsageError
from smalti_ext.dispersion import LARGEST_WINDOW

__all__ = ["check_window"]


def check_window(name: str, kernel_size: tuple[int, int]) -> None:
    """Refuse half-widths (fast, slow) that the kernels cannot take."""
    kx, ky = kernel_size
    if min(kx, ky) < 1 or (2 * kx + 1) * (2 * ky + 1) > LARGEST_WINDOW:
        raise UsageError(
            f"Bad value for {name}.kernel_size: {kx},{ky}.",
            f"The half-widths must be at least 1 and the window at most {LARGEST_WINDOW} pixels.",
            "Try 3,3; for large spots 5,5.",
        )

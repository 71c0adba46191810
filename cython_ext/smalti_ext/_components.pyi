import numpy as np
from numpy.typing import NDArray

def label(
    starts: NDArray[np.int64],
    linked: NDArray[np.uint8],
    index: NDArray[np.int32],
    panel: NDArray[np.int16],
    n_fast: int,
    parent: NDArray[np.int64],
) -> int: ...
def by_group(group: NDArray[np.int64], starts: NDArray[np.int64], order: NDArray[np.int64]) -> None: ...
def surroundings(
    counts: NDArray[np.int32],
    mask: NDArray[np.uint8],
    index: NDArray[np.int32],
    guard: int,
    reach: int,
    bits: NDArray[np.uint64],
    columns: NDArray[np.int64],
    total: NDArray[np.int64],
    pixels: NDArray[np.int32],
) -> None: ...
def beside(
    counts: NDArray[np.int32],
    usable: NDArray[np.uint8],
    good: NDArray[np.uint8],
    panels: NDArray[np.int16],
    index: NDArray[np.int32],
    highest: NDArray[np.int32],
    out: NDArray[np.uint8],
) -> None: ...

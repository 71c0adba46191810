import numpy as np
from numpy.typing import NDArray

RING: int
TILE: int
COLUMNS: int
MOST: int

def find(
    counts: NDArray[np.int32],
    mask: NDArray[np.uint8],
    kx: int,
    ky: int,
    gain: float,
    sigma_strong: float,
    min_local: int,
    threshold: float,
    extended: bool,
    masked_flagged: bool,
    least: float,
    needed: NDArray[np.float64],
    bits: NDArray[np.uint64],
    columns: NDArray[np.int64],
    ring: NDArray[np.int32],
    candidates: NDArray[np.uint8],
    found: NDArray[np.intp],
) -> int: ...

import numpy as np
from numpy.typing import NDArray

def scan(
    counts: NDArray[np.int32],
    mask: NDArray[np.uint8],
    kx: int,
    ky: int,
    gain: float,
    sigma_background: float,
    sigma_strong: float,
    min_local: int,
    threshold: float,
    extended: bool,
    limit: int,
    values: NDArray[np.int16],
    kinds: NDArray[np.uint16],
    column_n: NDArray[np.uint16],
    columns: NDArray[np.uint32],
    prefix_n: NDArray[np.uint16],
    prefix: NDArray[np.uint32],
    candidate: NDArray[np.uint8],
    needed: NDArray[np.float64],
    pixels: NDArray[np.uint8],
    found: NDArray[np.intp],
) -> int: ...
def refine(
    counts: NDArray[np.int32],
    mask: NDArray[np.uint8],
    kx: int,
    ky: int,
    gain: float,
    sigma_strong: float,
    threshold: float,
    masked_flagged: bool,
    pixels: NDArray[np.uint8],
    found: NDArray[np.intp],
    n_found: int,
) -> int: ...

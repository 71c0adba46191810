import numpy as np
from numpy.typing import NDArray

def background(
    mean: NDArray[np.float32],
    at_zero: NDArray[np.float32],
    seed: int,
    frame: int,
    out: NDArray[np.int32],
) -> None: ...
def spots(
    centres: NDArray[np.float64],
    counts: NDArray[np.float64],
    windows: NDArray[np.int32],
    sigma: float,
    transmission: NDArray[np.float32],
    seed: int,
    frame: int,
    ceiling: int,
    out: NDArray[np.int32],
) -> None: ...

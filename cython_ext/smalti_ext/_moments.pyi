import numpy as np
from numpy.typing import NDArray

def moments(
    starts: NDArray[np.int64],
    index: NDArray[np.int32],
    frame: NDArray[np.int32],
    weight: NDArray[np.float64],
    noise: NDArray[np.float64],
    n_fast: int,
    sums: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None: ...

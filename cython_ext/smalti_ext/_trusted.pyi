import numpy as np
from numpy.typing import NDArray

def mark(
    counts: NDArray[np.int32],
    good: NDArray[np.uint8],
    row: int,
    n_rows: int,
    column: int,
    n_columns: int,
    low: int,
    high: int,
    out: NDArray[np.uint8],
) -> None: ...
def all_within(
    counts: NDArray[np.int32],
    good: NDArray[np.uint8],
    row: int,
    n_rows: int,
    column: int,
    n_columns: int,
    low: int,
    high: int,
) -> bool: ...

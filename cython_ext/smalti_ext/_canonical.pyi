from typing import Any

import numpy as np
from numpy.typing import NDArray

def decode(
    data: Any,
    direct: int,
    first: NDArray[np.uint64],
    count: NDArray[np.uint64],
    place: NDArray[np.uint16],
    ordered: NDArray[np.uint16],
    out: NDArray[np.uint64],
) -> tuple[int, int, int]: ...

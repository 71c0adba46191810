from typing import Any

from numpy.typing import NDArray

def quantiles(
    values: NDArray[Any],
    bounds: NDArray[Any],
    levels: NDArray[Any],
    scratch: NDArray[Any],
    out: NDArray[Any],
) -> None: ...

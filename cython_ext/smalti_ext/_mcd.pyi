from typing import Any

from numpy.typing import NDArray

def robust_scatter(
    values: NDArray[Any],
    bounds: NDArray[Any],
    inner: NDArray[Any],
    widening: NDArray[Any],
    limit: float,
    refining: float,
    distance: NDArray[Any],
    scratch: NDArray[Any],
    centre: NDArray[Any],
    covariance: NDArray[Any],
    n_threads: int,
) -> None: ...
def squared_distances(
    values: NDArray[Any],
    bounds: NDArray[Any],
    centre: NDArray[Any],
    covariance: NDArray[Any],
    out: NDArray[Any],
    n_threads: int,
) -> None: ...

from typing import Any

from numpy.typing import NDArray

def accumulate(
    h: NDArray[Any],
    entering: NDArray[Any],
    observed: NDArray[Any],
    weights: NDArray[Any],
    image: NDArray[Any],
    chunks: NDArray[Any],
    experiment: NDArray[Any],
    panel: NDArray[Any],
    FA: NDArray[Any],
    slopes: NDArray[Any],
    blend: NDArray[Any],
    S: NDArray[Any],
    axis: NDArray[Any],
    s0: NDArray[Any],
    D: NDArray[Any],
    still: NDArray[Any],
    matrix: NDArray[Any],
    gradient: NDArray[Any],
    sums: NDArray[Any],
    n_threads: int,
) -> None: ...
def predict(
    h: NDArray[Any],
    entering: NDArray[Any],
    angle: NDArray[Any],
    image: NDArray[Any],
    chunks: NDArray[Any],
    experiment: NDArray[Any],
    panel: NDArray[Any],
    FA: NDArray[Any],
    S: NDArray[Any],
    axis: NDArray[Any],
    s0: NDArray[Any],
    D: NDArray[Any],
    still: NDArray[Any],
    xyz: NDArray[Any],
    n_threads: int,
) -> None: ...

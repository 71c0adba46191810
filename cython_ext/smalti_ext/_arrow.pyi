from typing import Any

from numpy.typing import NDArray

def by_crystal(
    matrix: NDArray[Any],
    gradient: NDArray[Any],
    bounds: NDArray[Any],
    experiment: NDArray[Any],
    panel: NDArray[Any],
    own: NDArray[Any],
    shared: NDArray[Any],
    shared_columns: NDArray[Any],
    by_panel: NDArray[Any],
    panel_columns: NDArray[Any],
    with_cross: bool,
    blocks: NDArray[Any],
    slopes: NDArray[Any],
    cross: NDArray[Any],
    n_threads: int,
) -> None: ...
def by_panel(
    matrix: NDArray[Any],
    gradient: NDArray[Any],
    order: NDArray[Any],
    bounds: NDArray[Any],
    experiment: NDArray[Any],
    shared: NDArray[Any],
    shared_columns: NDArray[Any],
    blocks: NDArray[Any],
    slopes: NDArray[Any],
    cross: NDArray[Any],
    n_threads: int,
) -> None: ...

"""Which sweep every spot belongs to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from smalti.errors import DataError
from smalti.models import Experiment, Experiments
from smalti.tables import Reflections

__all__ = ["distinct_sweeps"]


def distinct_sweeps(
    experiments: Experiments, spots: Reflections
) -> tuple[list[Experiment], NDArray[np.intp]]:
    """Give the sweeps of an experiment list, without crystals, and the sweep of each spot.

    Experiments that differ only in their crystal (several lattices indexed before) are one sweep, or one
    still where they have images. A spot is placed by ``id``, or if it has none (-1, not indexed before) by
    ``imageset_id``.

    Returns
    -------
    sweeps : list of Experiment
    numbers : (N,) intp

    Raises
    ------
    DataError
        A spot belongs to no sweep.
    """
    sweeps: list[Experiment] = []
    keys: dict[tuple[int, ...], int] = {}
    images: dict[int, int] = {}
    of_experiment = []
    for number, item in enumerate(experiments):
        models = (item.beam, item.detector, item.goniometer, item.scan, item.imageset)
        key = tuple(id(model) for model in models)
        if item.is_still and item.imageset is None:
            # nothing but its place in the list tells such a still from others
            key = (number,)
        if key not in keys:
            keys[key] = len(sweeps)
            sweeps.append(replace(item, crystal=None, profile=None, scaling_model=None))
        images.setdefault(id(item.imageset) if item.imageset else -len(sweeps), keys[key])
        of_experiment.append(keys[key])
    if not sweeps:
        raise DataError("There is no experiment to index.", "The experiment list is empty.", "Import images.")
    numbers = _numbers(spots, np.array(of_experiment, dtype=np.intp), np.array(list(images.values())))
    if spots.n_rows and numbers.min() < 0:
        raise DataError(
            f"{int((numbers < 0).sum())} spots belong to no sweep.",
            f"There are {len(experiments)} experiments; 'id' or 'imageset_id' point beyond them.",
            "Give the experiments and the spots that one command wrote.",
        )
    return sweeps, numbers


def _numbers(
    spots: Reflections, of_experiment: NDArray[np.intp], of_images: NDArray[np.intp]
) -> NDArray[np.intp]:
    missing = np.full(spots.n_rows, -1, dtype=np.intp)
    by_id = _looked_up(spots["id"], of_experiment) if "id" in spots else missing
    if "imageset_id" in spots:
        by_images = _looked_up(spots["imageset_id"], of_images)
    else:
        # without an image set the only sweep is the only choice
        by_images = missing + 1 if of_images.size == 1 else missing
    return np.where(by_id >= 0, by_id, by_images)


def _looked_up(values: NDArray[np.int32], table: NDArray[np.intp]) -> NDArray[np.intp]:
    known = (values >= 0) & (values < len(table))
    return np.where(known, table[np.where(known, values, 0)], -1)

"""A displaced detector before and after refinement, for tests of the report."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from smalti.models import Experiments
from smalti.steps.predicting import predict_indexed
from smalti.tables import Flag
from smalti.testing import synthetic


@functools.cache
def stages(name="PILATUS 6M", n=8000, modules=True, empty=(), seed=3, **options):
    """A displaced detector before (nominal) and after (true) refinement, both predicted."""
    rng = np.random.default_rng(seed)
    detector = synthetic.detector(name, 250.0, modules=modules)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    truth = replace(nominal, detector=synthetic.displaced(nominal.detector, rng))
    before, observed = synthetic.observations(truth, nominal, rng, n=n, **options)
    observed = observed.where(~np.isin(observed["panel"], empty))
    after = Experiments((replace(truth, crystal=before[0].crystal),))
    return (before, predict_indexed(before, observed)), (after, predict_indexed(after, observed))


def flagged(table, rejected):
    flags = np.array(table["flags"])
    flags[rejected] |= np.uint64(int(Flag.CENTROID_OUTLIER))
    flags[~rejected] |= np.uint64(int(Flag.USED_IN_REFINEMENT))
    return table.with_columns({"flags": flags})

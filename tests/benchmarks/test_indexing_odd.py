"""Crystals that are not as they should be, three or five of each: superlattices, two lattices, long axes.

pytest --benchmark-only -s tests/benchmarks/test_indexing_odd.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.lattice import multiple
from smalti.models import Experiments
from smalti.models.frames import vector
from smalti.steps.indexing import IndexOptions, index
from smalti.tables import Reflections
from smalti.testing import synthetic

from ..framework.steps.indexing.made_up import strong, sweep
from .thaumatin_twins import COMPONENTS

CELL = (58.0, 58.0, 150.0, 90.0, 90.0, 90.0)
LARGE = {2: 110.2, 3: 165.3, 5: 100.0}
"""Factor of a superlattice, and the axis that it makes longer, Angstrom."""


def run(experiments, spots, **options):
    return index(experiments, spots, *COMPONENTS, IndexOptions(**options))


def factor(crystal, truth):
    """Volume of the cell found over the true one; 0 where the lattices are not multiples."""
    found, true = np.array(crystal.real_space), np.array(truth.real_space)
    smaller = multiple(true, found, 0.05)
    return 1.0 / smaller if smaller else float(multiple(found, true, 0.05))


def with_odd(rng, n, q):
    """Choose the reflections of a superlattice so that a part q of them needs it."""

    def rule(h):
        odd = np.flatnonzero(h[:, 2] % n)
        keep = h[:, 2] % n == 0
        want = round(q * int(keep.sum()) / (1.0 - q))
        keep[rng.choice(odd, min(want, odd.size), replace=False)] = True
        return keep

    return rule


@pytest.mark.parametrize("n", LARGE)
@pytest.mark.parametrize("q", [0.0, 0.005, 0.02, 0.05, 0.1])
def test_superlattices(benchmark, n, q):
    def one(seed):
        rng = np.random.default_rng([seed, 77, n])
        cell = (31.2, 42.5, LARGE[n], 90.0, 90.0, 90.0)
        experiments, spots, truth = sweep(
            rng, cell, n=4000, spurious=0.1, push=(6.0, -5.0), rule=with_odd(rng, n, q)
        )
        result = run(experiments, spots, cycles=2)
        ratio = factor(result.crystal, truth)
        wanted = 1.0 / n if ratio == 1.0 else n
        cells = [item for item in result.alternatives if item.ratio == pytest.approx(wanted)]
        if ratio == 1.0:
            return ratio, min(item.odd for item in cells)
        return ratio, max((item.odd for item in cells if item.verdict == "needed by some"), default=0.0)

    found = benchmark.pedantic(lambda: [one(seed) for seed in range(3)])
    print(f"\nx {n}, {100 * q:.1f} %:", *(f"{100 * odd:.2f} %" for _, odd in found))
    assert {ratio for ratio, _ in found} <= ({1.0} if q > 0.06 else {1.0, 1 / n} if q == 0.05 else {1 / n})
    # three standard deviations of a count; without odd spots nothing is reported
    assert all(odd == pytest.approx(q, abs=3.0 * np.sqrt(q / 4000.0)) for _, odd in found)


def two_crystals(seed):
    """A tenth of the spots spurious, half of the others each of one crystal; also the crystals."""
    rng = np.random.default_rng([seed, 77])
    experiments, spots, first = sweep(rng, CELL, n=3000, push=(-5.0, 6.0), spurious=0.1)
    second = synthetic.crystal(CELL, " P 1", tuple(rng.uniform(-1.5, 1.5, 3)))
    truth = synthetic.experiment(
        synthetic.detector("PILATUS 2M", 250.0), second, n_images=300, width=np.radians(0.3)
    )
    _, table = synthetic.observations(truth, truth, rng, d_min=2.5, n=3000)
    return experiments, Reflections.concatenate([spots, strong(table)]), (first, second)


def test_two_lattices_of_equal_strength(benchmark):
    def one(seed):
        experiments, spots, truths = two_crystals(seed)
        result = run(experiments, spots, max_lattices=2)
        ratios = [[factor(item.crystal, truth) for truth in truths] for item in result.experiments]
        return sorted(ratios), sum(result.indexed) / sum(result.total)

    for ratios, indexed in benchmark.pedantic(lambda: [one(seed) for seed in range(5)]):
        assert ratios == [[0.0, 1.0], [1.0, 0.0]]
        assert indexed > 0.94


@pytest.mark.parametrize("axes", [(10.0, 12.0, 260.0), (30.0, 30.0, 500.0)])
def test_an_axis_many_times_another(benchmark, axes):
    def one(seed):
        rng = np.random.default_rng([seed, 26])
        experiments, spots, truth = sweep(
            rng, (*axes, 90.0, 90.0, 90.0), n=2500, d_min=1.6, spurious=0.1, push=(3.0, -2.0)
        )
        return factor(run(experiments, spots).crystal, truth)

    assert benchmark.pedantic(lambda: [one(seed) for seed in range(3)]) == [1.0, 1.0, 1.0]


def test_a_reversed_axis_is_named(benchmark):
    def one(seed):
        experiments, spots, _ = sweep(np.random.default_rng([seed, 5]), spurious=0.1, push=(10.0, 4.0))
        item = experiments[0]
        turned = replace(item.goniometer, rotation_axis=vector(-item.goniometer.axis))
        with pytest.raises(DataError, match="turned the other way"):
            run(Experiments((replace(item, goniometer=turned),)), spots)

    benchmark.pedantic(lambda: [one(seed) for seed in range(3)])

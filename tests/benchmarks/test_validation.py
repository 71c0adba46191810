"""What validation costs on the tutorial's big job, and how often the level is chosen rightly."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from smalti.progress import silent
from smalti.steps.refining import RefineOptions, refine
from smalti.steps.refining.certainty.certainty import certainty_of
from smalti.steps.refining.certainty.halving import refine_halves
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.selection import select
from smalti.steps.refining.solving.rounds import fit_in_rounds
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.outliers.none import NoOutliers


def displaced(rng, name, shift, n, n_images):
    nominal = synthetic.experiment(
        synthetic.detector(name, 400.0 if "6M" in name else 150.0), synthetic.crystal(), n_images=n_images
    )
    moved = synthetic.displaced(nominal.detector, rng, (shift, shift, 0.5 * shift), (shift * 2e-3,) * 3)
    return synthetic.observations(replace(nominal, detector=moved), nominal, rng, d_min=1.9, n=n)


def test_halves_of_the_big_job(benchmark):
    experiments, table = displaced(np.random.default_rng(1), "PILATUS 6M", 0.05, 186_000, 1029)
    settings = RefineOptions()
    layout = Layout.of(experiments, Hierarchical(level=1), settings)
    selection = select(table, layout, settings)
    fit = fit_in_rounds(layout, selection, GaussNewton(), NoOutliers(), settings, silent)
    certainty = certainty_of(fit)
    halves = benchmark(refine_halves, fit, certainty, settings)
    assert 0.8 < halves.chi_squared / halves.freedom < 1.25
    benchmark.extra_info["held_out"] = int(selection.held_out.sum())


@pytest.mark.parametrize(("shift", "wanted"), [(1e-6, "level 0"), (0.03, "level 1")])
def test_the_level_is_chosen_rightly(benchmark, shift, wanted):
    """Half of the runs without priors, which would keep the panels of the richer candidates in place."""

    def run():
        chosen: Counter[str] = Counter()
        for seed in range(40):
            problem = displaced(np.random.default_rng(seed), "PILATUS 300K", shift, 1500, 60)
            component = Hierarchical(level="auto", priors=seed % 2 == 0)
            refined = refine(
                *problem, component, GaussNewton(), NoOutliers(), RefineOptions(halves="off", rounds=2)
            )
            chosen[refined.results["level_choice"]["chosen"]] += 1
        return chosen

    chosen = benchmark.pedantic(run, rounds=1)
    benchmark.extra_info.update(chosen)
    assert sum(count for name, count in chosen.items() if name.startswith(wanted)) >= 39

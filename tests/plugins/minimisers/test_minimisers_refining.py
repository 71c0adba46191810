"""Every minimiser on the refinement of a displaced detector."""

from dataclasses import replace

import numpy as np
import pytest

from smalti.steps.refining import RefineOptions, refine
from smalti.testing import synthetic
from smalti_plugins.detectors.hierarchical import Hierarchical
from smalti_plugins.minimisers.dogleg import Dogleg
from smalti_plugins.minimisers.gauss_newton import GaussNewton
from smalti_plugins.minimisers.lbfgs import LimitedMemoryBFGS
from smalti_plugins.minimisers.scipy_least_squares import ScipyLeastSquares
from smalti_plugins.outliers.none import NoOutliers
from smalti_plugins.outliers.student_t import StudentT
from smalti_plugins.outliers.tukey_bisquare import TukeyBisquare


@pytest.fixture(scope="module")
def problem():
    """Truth, experiments and 400 reflections of three displaced modules."""
    rng = np.random.default_rng(5)
    detector = synthetic.detector("PILATUS 300K", 150.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=100)
    truth = replace(nominal, detector=synthetic.displaced(detector, rng, (0.2, 0.2, 0.1)))
    return synthetic.observations(truth, nominal, rng, d_min=3.0, n=400)


def shifts(problem, minimiser, rejector=None):
    """Shifts and ESDs of all parameters of one round, and its steps."""
    refined = refine(
        *problem, Hierarchical(level=1), minimiser, rejector or NoOutliers(), RefineOptions(rounds=1)
    )
    rows = refined.results["parameters"]
    columns = [np.array([row[key] for row in rows]) for key in ("shift", "esd")]
    return (*columns, refined.results["steps"])


@pytest.mark.parametrize(
    "minimiser",
    [
        Dogleg(),
        Dogleg(radius=1.0),
        LimitedMemoryBFGS(),
        ScipyLeastSquares(),
        ScipyLeastSquares(method="dogbox"),
    ],
    ids=["dogleg", "dogleg-from-1-esd", "lbfgs", "trf", "dogbox"],
)
def test_the_minimum_is_that_of_gauss_newton(problem, minimiser):
    expected, esd, _ = shifts(problem, GaussNewton())
    found, _, steps = shifts(problem, minimiser)
    assert (np.abs(found - expected) < 0.05 * esd).all()
    assert (np.abs(expected) > 3.0 * esd).any()
    if minimiser == Dogleg():
        assert len(steps) <= 5


@pytest.mark.parametrize("rejector", [StudentT(), TukeyBisquare()], ids=lambda r: r.name)
def test_soft_weights_multiply_in_the_problem(problem, rejector):
    """The weights that a rejector gives are those with which the minimiser's problem is built."""
    seen = []

    class Watching(GaussNewton):
        def minimise(self, source, start):
            plain = source.source  # what remembers stands before it
            seen.append((plain.weights[:, 0] * plain.observations.variance[:, 0], plain, start))
            return super().minimise(source, start)

    shifts(problem, Watching(), rejector)
    relative, source, start = seen[0]
    weights = relative / relative.max()
    assert 0.3 < np.median(weights) < 1.0 and weights.min() < 0.7
    half = replace(source, weights=0.5 * source.weights, prior=replace(
        source.prior, precision=0.5 * source.prior.precision))  # fmt: skip
    one, two = source.normal_equations(start), half.normal_equations(start)
    assert two.objective == pytest.approx(0.5 * one.objective)
    np.testing.assert_allclose(two.matrix, 0.5 * one.matrix, rtol=1e-9, atol=1e-9 * np.abs(one.matrix).max())

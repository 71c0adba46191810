"""How sure parameters are where crystals were eliminated: of what they share, and then of each crystal.

The matrices are those of :mod:`smalti.steps.refining.certainty.sandwich`, in the form of arrows
(:mod:`smalti.steps.refining.problem.arrows`); two passes over the reflections make what is needed of them,
some crystals at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.certainty.sandwich import Information, factors_at_end
from smalti.steps.refining.problem.arrows import Arrow, held_arrow, pieces_of
from smalti.steps.refining.problem.covariance import Covariance
from smalti.steps.refining.problem.eliminating import eliminate
from smalti.steps.refining.problem.substituting import gathered, own_covariances, scatter_of_shared
from smalti.steps.refining.problem.uncertainty import Uncertainty, assess, inverse_of
from smalti.steps.refining.solving.rounds import Fit

__all__ = ["assess_with_crystals", "information_of_shared", "split_arrows"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

_PLACE, _ANGLE = (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def information_of_shared(fit: Fit, effective: float) -> Information:
    """Gather what is known of the shared parameters with crystals at their best.

    Its curvature is what the data tell of them by themselves. What they tell only because priors hold
    crystals counts among what holds the shared parameters.
    """
    factors = factors_at_end(fit, effective)
    g = len(fit.partition.shared)
    whole, scatter, data = np.zeros((g, g)), np.zeros((g, g)), np.zeros((g, g))
    held, _, _ = held_arrow(fit.source, fit.partition, fit.p)
    for crystals, H, M in split_arrows(fit, factors):
        K = held.of(crystals)
        S, Q = scatter_of_shared(H.plus(K), M.plus(K))
        whole += S
        scatter += Q
        data += eliminate(H).matrix
    known_by_priors = whole + held.shared - data
    return Information(data, scatter + held.shared - known_by_priors, known_by_priors, factors)


def assess_with_crystals(fit: Fit, known: Information) -> Uncertainty:
    """Work out the covariance of shared parameters, and by back substitution that of each crystal's own."""
    partition = fit.partition
    held, _, _ = held_arrow(fit.source, partition, fit.p)
    inverse = inverse_of(known.curvature + known.held)
    covariance = assess(known.curvature, known.scatter, known.held).covariance.shared
    share = np.zeros(partition.n)
    share[partition.shared] = np.clip(np.einsum("ij,ji->i", inverse, held.shared), 0.0, 1.0)
    of_crystals = np.zeros(partition.own.shape)

    def blocks() -> Iterator[tuple[Index, Array]]:
        for crystals, H, M in split_arrows(fit, known.factors):
            K = held.of(crystals)
            alone = own_covariances(H.plus(K), H.plus(K), inverse, inverse)
            of_crystals[crystals] = np.clip(np.einsum("kij,kji->ki", alone, K.own), 0.0, 1.0)
            yield crystals, own_covariances(H.plus(K), M.plus(K), inverse, covariance)

    found = Covariance(partition, covariance, gathered(partition, blocks()))
    share = partition.with_crystals(share, of_crystals)
    return Uncertainty(found, share, float(len(share) - share.sum()))


def split_arrows(fit: Fit, factors: Mapping[str, float]) -> Iterator[tuple[Index, Arrow, Arrow]]:
    """Give curvature and scatter of the data at the end of a fit, some crystals at a time."""
    source, partition, p = fit.source, fit.partition, fit.p
    passes = (pieces_of(source, partition, p, weights=source.weights * part) for part in (_PLACE, _ANGLE))
    for place, angle in zip(*passes, strict=True):
        yield (
            place.crystals,
            *(
                place.arrow.times(factors[f"{name}_xy"]).plus(angle.arrow, factors[f"{name}_phi"])
                for name in ("curvature", "scatter")
            ),
        )

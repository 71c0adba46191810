"""All that is known of the certainty of a refinement, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smalti.steps.refining.modes import Determination, determination
from smalti.steps.refining.rounds import Fit
from smalti.steps.refining.sandwich import information
from smalti.steps.refining.uncertainty import Uncertainty, assess, effective_parameters

__all__ = ["Certainty", "certainty_of"]


@dataclass(frozen=True)
class Certainty:
    """How sure a refinement is.

    Attributes
    ----------
    uncertainty : Uncertainty
        Of the parameters.
    determination : Determination
        What the data do not tell, or badly.
    factors : dict
        What robust weights and misjudged variances do to curvature and scatter.
    """

    uncertainty: Uncertainty
    determination: Determination
    factors: dict[str, float]


def certainty_of(fit: Fit) -> Certainty:
    """Assess the parameters at the end of a fit."""
    layout, last = fit.source.layout, fit.rounds[-1]
    known = information(fit, effective_parameters(last.equations, fit.source.prior))
    panel = fit.source.observations.spots.panel[fit.working]
    with_data = np.bincount(panel, minlength=layout.n_panels) > 0
    return Certainty(
        assess(known.curvature, known.scatter, known.held),
        determination(layout, fit.p, known.curvature, known.held, with_data),
        known.factors,
    )

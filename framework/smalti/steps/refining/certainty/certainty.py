"""All that is known of the certainty of a refinement, in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.certainty.following import assess_with_crystals, information_of_shared
from smalti.steps.refining.certainty.modes import Determination, determination
from smalti.steps.refining.certainty.reaching import Seen
from smalti.steps.refining.certainty.sandwich import Information, information
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.uncertainty import Uncertainty, assess
from smalti.steps.refining.problem.varying import steadied
from smalti.steps.refining.solving.rounds import Fit

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
    known : Information
        Of the parameters that are shared, from data and from what holds them.
    """

    uncertainty: Uncertainty
    determination: Determination
    known: Information

    @property
    def factors(self) -> dict[str, float]:
        """What robust weights and misjudged variances do to curvature and scatter."""
        return self.known.factors


def certainty_of(fit: Fit) -> Certainty:
    """Assess the parameters at the end of a fit."""
    layout, partition = fit.source.layout, fit.partition
    effective = fit.rounds[-1].effective
    known = information_of_shared(fit, effective) if partition.eliminates else information(fit, effective)
    spots = fit.source.observations.spots
    seen = Seen(
        np.bincount(spots.panel[fit.working], minlength=layout.n_panels) > 0,
        np.bincount(spots.experiment[fit.working], minlength=len(layout.uses)) > 0,
    )
    return Certainty(
        assess_with_crystals(fit, known)
        if partition.eliminates
        else assess(known.curvature, known.scatter, known.held),
        _determination(layout, partition, fit.p, known, seen),
        known,
    )


def _determination(
    layout: Layout,
    partition: Partition,
    p: NDArray[np.float64],
    known: Information,
    seen: Seen,
) -> Determination:
    """Analyse what holds the parameters; of crystals that vary what all their samples do together.

    That is what motions of everything are made of. How well each sample is known its own ESD tells.
    """
    if not layout.sample_offset:
        found = determination(layout, partition, p, known.curvature, known.held, seen)
        nowhere = np.zeros(layout.n)
        return replace(
            found,
            modes=tuple(
                replace(mode, direction=partition.with_shared(nowhere, mode.direction))
                for mode in found.modes
            ),
        )
    steady, at, together = steadied(layout, p)
    data, held = (together.T @ matrix @ together for matrix in (known.curvature, known.held))
    found = determination(steady, Partition.joint(steady.n), at, data, held, seen)
    # Motions of everything take each sample by its own amount, nearly the common one: no data see them.
    modes = tuple(
        replace(
            mode,
            direction=together @ mode.direction,
            eigenvalue=0.0 if mode.kind == "gauge" else mode.eigenvalue,
        )
        for mode in found.modes
    )
    smallest = min([found.smallest, *(mode.eigenvalue for mode in modes if mode.kind == "gauge")])
    return replace(found, modes=modes, smallest=smallest)

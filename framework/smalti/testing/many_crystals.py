"""Stills of many crystals with known truth, and how near a refinement of them comes to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smalti.models import Detector, Experiment, Experiments
from smalti.roles import DetectorParameterisation, Minimiser, OutlierRejector
from smalti.steps.refining import Refined, RefineOptions, refine
from smalti.steps.simulating import SimulateOptions
from smalti.steps.simulating.crystals import make_crystal
from smalti.steps.simulating.instrument import nominal
from smalti.steps.simulating.spots import resolution_limit
from smalti.steps.simulating.still_files import experiments_of
from smalti.steps.simulating.still_tables import Recipe, make_lot
from smalti.steps.simulating.structure import Structure
from smalti.tables import Reflections

__all__ = ["StillRecovery", "observed_stills", "recover_stills"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StillRecovery:
    """One draw: the truth and what a refinement made of it.

    Attributes
    ----------
    truth : Detector
    refined : Refined
    errors : (n,)
        Refined less true parameters of the detector that were refined, in their units.
    esds : (n,)
    """

    truth: Detector
    refined: Refined
    errors: Array
    esds: Array

    @cached_property
    def pulls(self) -> Array:
        """Errors over their standard deviations, (n,)."""
        return np.asarray(self.errors / self.esds)


def observed_stills(
    truth: Detector, options: SimulateOptions, *, start: Detector | None = None
) -> tuple[Experiments, Reflections]:
    """Observe stills on a true detector, as an indexer that believes in another would give them.

    Parameters
    ----------
    truth : Detector
    options : SimulateOptions
        Number of stills, seed, cell and whatever else; one file of them.
    start : Detector, optional
        The detector that is believed in; by default that of the headers.
    """
    stated = nominal(options)
    stated = replace(stated, detector=start or stated.detector)
    real = replace(stated, detector=truth)
    crystal = make_crystal(options)
    structure = Structure.of(crystal, max(resolution_limit(real), options.d_min), options)
    lot = make_lot(Recipe(real, stated, crystal, structure, options), 0, options.stills)
    experiments = experiments_of(stated, lot.given, crystal.space_group, str(options.seed), options.stills)
    names = {k: item.identifier for k, item in enumerate(experiments)}
    return experiments, lot.table.with_columns(identifiers=names)


def recover_stills(
    stated: Experiment,
    options: SimulateOptions,
    sigmas: Array,
    parameterisation: DetectorParameterisation,
    minimiser: Minimiser,
    rejector: OutlierRejector,
    refining: RefineOptions | None = None,
) -> StillRecovery:
    """Draw a detector about the stated one with standard deviations (n,), observe stills and refine.

    With the standard deviations of the prior its posterior is exact: pulls are those of a normal
    distribution.
    """
    rng = np.random.default_rng([options.seed, 11])
    p = sigmas * rng.normal(size=len(sigmas))
    truth = parameterisation.compose(stated.detector, p)
    experiments, table = observed_stills(truth, options, start=stated.detector)
    refined = refine(experiments, table, parameterisation, minimiser, rejector, refining)
    names = [f"Detector1{item.name}" for item in parameterisation.parameters(stated.detector)]
    drawn = dict(zip(names, p, strict=True))
    rows = [row for row in refined.results["parameters"] if row["name"] in drawn]
    errors = np.array([row["shift"] - drawn[row["name"]] for row in rows])
    return StillRecovery(truth, refined, errors, np.array([row["esd"] for row in rows]))

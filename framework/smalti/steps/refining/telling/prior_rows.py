"""The priors of the parts of detectors, as rows and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from smalti.steps.refining.problem.uncertainty import Uncertainty
from smalti.steps.refining.solving.learning import learn
from smalti.steps.refining.solving.rounds import Fit
from smalti.text import table

__all__ = ["prior_rows", "prior_table"]

Row = dict[str, Any]


def prior_rows(fit: Fit, uncertainty: Uncertainty) -> list[Row]:
    """Describe each group of parameters with one width.

    Its name, how many are in it, the unit, the width that the parameterisation states (the median, where
    its parts differ), the width taken, the standard deviation of the logarithm of a learnt width (else
    None), and the mean share of the prior.
    """
    layout, used = fit.source.layout, fit.source.prior
    stated, parameters = layout.prior, layout.parameters
    of_shared = fit.partition.prior_of_shared
    learnt = learn(fit.rounds[-1].equations, of_shared(used), of_shared(stated))
    rows = []
    for name, esd in zip(learnt.names, learnt.esd, strict=True):
        places = [k for k, group in enumerate(stated.groups) if group == name]
        rows.append(
            {
                "group": name,
                "n": len(places),
                "unit": parameters[places[0]].unit,
                "tolerance": float(np.median(stated.precision[places] ** -0.5)),
                "width": float(np.median(used.precision[places] ** -0.5)),
                "esd_of_log_width": float(esd) if stated.learn else None,
                "prior_share": float(np.mean(uncertainty.prior_share[places])),
            }
        )
    return rows


def prior_table(rows: Sequence[Row]) -> str:
    """Set the priors; empty where there are none."""
    if not rows:
        return ""
    heads = ["Parts of the detector", "Parameters", "Unit", "Tolerance", "Prior share"]
    shown = [
        [r["group"], r["n"], r["unit"], f"{r['tolerance']:.3g}", f"{r['prior_share']:.2f}"] for r in rows
    ]
    if any(row["esd_of_log_width"] is not None for row in rows):
        heads.insert(4, "Learnt")
        for cells, row in zip(shown, rows, strict=True):
            cells.insert(4, _learnt(row))
    return table(heads, shown, title="Priors:")


def _learnt(row: Row) -> str:
    """A learnt width with the factor by which it may be off."""
    if row["esd_of_log_width"] is None:
        return ""
    return f"{row['width']:.3g} (x/ {np.exp(row['esd_of_log_width']):.2f})"

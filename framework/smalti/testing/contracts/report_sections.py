"""What a section of the report promises."""

from __future__ import annotations

import json

import numpy as np

from smalti.models import Experiments
from smalti.roles import ReportSection
from smalti.steps.predicting import predict_indexed
from smalti.steps.reporting import make_report
from smalti.steps.reporting.brought import brought, complaint, plain
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic
from smalti.testing.contracts.breach import require

__all__ = ["CHECKS"]


def _data() -> tuple[Experiments, Reflections]:
    detector = synthetic.detector("PILATUS 300K", distance=150.0)
    truth = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    experiments, table = synthetic.observations(truth, truth, np.random.default_rng(3), d_min=2.5, n=600)
    used = table["flags"] | np.uint64(int(Flag.USED_IN_REFINEMENT))
    return experiments, predict_indexed(experiments, table.with_columns(flags=used))


def gives_data_that_can_be_drawn(section: ReportSection) -> None:
    """Its charts and tables are complete, hold finite numbers, and go into JSON and onto the page."""
    experiments, table = _data()
    figures = make_report(experiments, table).data
    given = section.section(experiments, table, figures)
    if given is None:
        return
    require(not complaint(given), complaint(given))
    json.dumps(plain(given), allow_nan=False)
    page = make_report(experiments, table, extra=[section])
    require(section.name in page.data["sections"], "the report leaves it out")


def bears_tables_of_every_stage(section: ReportSection) -> None:
    """A table without predictions, and an empty one, give a section or none, never an exception."""
    experiments, table = _data()
    figures = make_report(experiments, table).data
    plain_columns = {name: table[name] for name in table if not name.startswith("xyzcal")}
    for less in (Reflections(plain_columns), table.take(np.zeros(0, dtype=np.intp))):
        _, warnings = brought([section], experiments, less, figures)
        require(not warnings, warnings[0] if warnings else "")


def gives_the_same_twice(section: ReportSection) -> None:
    """The same data give the same section, and are left as they were."""
    experiments, table = _data()
    figures = make_report(experiments, table).data
    before = {name: table[name].copy() for name in table}
    first = section.section(experiments, table, figures)
    second = section.section(experiments, table, figures)
    as_json = [None if item is None else json.dumps(plain(item)) for item in (first, second)]
    require(as_json[0] == as_json[1], "a second call gives another section")
    require(all(np.array_equal(before[name], table[name]) for name in before), "it changes the table")


CHECKS = (gives_data_that_can_be_drawn, bears_tables_of_every_stage, gives_the_same_twice)

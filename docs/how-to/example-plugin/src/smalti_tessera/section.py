"""A section of the report: how many reflections each quarter of the detector has."""

from dataclasses import dataclass

import numpy as np

from smalti.charts import Chart, Curve, Section, Sheet
from smalti.hookspecs import API, hookimpl

SMALTI_API = API


@dataclass(frozen=True)
class Quarters:
    name = "quarters"

    def section(self, experiments, reflections, figures):
        middle = np.array(experiments[0].detector.panels[0].size_mm) / 2
        place = reflections["xyzobs.mm.value"][:, :2] > middle
        counts = [int(np.sum((place == corner).all(axis=1))) for corner in np.ndindex(2, 2)]
        chart = Chart("Spots", "quarter", "spots", [0, 1, 2, 3], [Curve("", counts)], kind="bars")
        rows = [[f"quarter {k}", count] for k, count in enumerate(counts)]
        return Section("Quarters", ["Spots of each quarter."], [chart], [Sheet(["quarter", "spots"], rows)])


@hookimpl
def smalti_report_sections():
    return [Quarters]

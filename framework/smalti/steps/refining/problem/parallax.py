"""Observed positions in millimetres that follow the geometry as it is refined.

X-rays are absorbed at some depth of the sensor, so that a spot seen at a pixel met the surface of the panel
elsewhere, by how much depends on the angle between ray and panel. Millimetres worked out once, with
the geometry before the refinement, stay wrong by what the geometry was (asked for in dials#3272).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from smalti.geometry.panels import PanelArrays, to_mm
from smalti.models import Panel
from smalti.steps.refining.problem.layout import Layout
from smalti.steps.refining.problem.observations import Observations
from smalti.tables import Reflections

__all__ = ["Parallax", "with_parallax"]

Array = NDArray[np.float64]

_SAME = 1.0
"""Pixels. A table whose millimetres are further from what its pixels give was not made from them."""


@dataclass(frozen=True)
class Parallax:
    """The observations whose millimetres depend on the geometry.

    Attributes
    ----------
    places : (M,) intp
        Which of the observations they are.
    pixels : (M, 2) px
    panel : (M,) intp
        Panel of each, counted over all detectors.
    arrays : PanelArrays
        Of all detectors, as they came.
    """

    places: NDArray[np.intp]
    pixels: Array
    panel: NDArray[np.intp]
    arrays: PanelArrays

    @classmethod
    def of(cls, table: Reflections, data: Observations, layout: Layout) -> Parallax | None:
        """Find them; None where no panel corrects for parallax, or the table has no pixels."""
        if "xyzobs.px.value" not in table or not data.n:
            return None
        thick = np.concatenate(
            [
                [_corrects(panel) for panel in layout.detector_block(number).detector.panels]
                for number in layout.panel_offset
            ]
        )
        places = np.flatnonzero(thick[data.spots.panel])
        if places.size == 0:
            return None
        detectors = [layout.detector_block(number).detector for number in layout.panel_offset]
        found = cls(
            places,
            table["xyzobs.px.value"][data.rows[places], :2].astype(float),
            data.spots.panel[places],
            PanelArrays.joined(detectors),
        )
        away = np.abs(found._millimetres(found.arrays) - data.observed[places, :2])
        if np.median(away / found.arrays.pixel_size[found.panel]) > _SAME:
            return None
        return found

    def take(self, rows: NDArray[np.intp], n: int) -> Parallax:
        """Give those of some of the n observations, by ascending index."""
        place = np.full(n, -1)
        place[rows] = np.arange(len(rows))
        left = place[self.places] >= 0
        return replace(
            self, places=place[self.places[left]], pixels=self.pixels[left], panel=self.panel[left]
        )

    def observed(self, data: Observations, d: Array) -> Observations:
        """Give the observations with the millimetres that panels at d (P, 3, 3) make of their pixels."""
        values = data.observed.copy()
        values[self.places, :2] = self._millimetres(replace(self.arrays, d=d))
        return replace(data, observed=values)

    def _millimetres(self, arrays: PanelArrays) -> Array:
        return to_mm(self.pixels, self.panel, arrays)


def with_parallax(table: Reflections, parallax: Parallax | None, data: Observations, d: Array) -> Reflections:
    """Give the table with millimetres of the refined geometry, for what was corrected in the refinement."""
    if parallax is None:
        return table
    values = np.array(table["xyzobs.mm.value"])
    values[data.rows, :2] = parallax.observed(data, d).observed[:, :2]
    return table.with_columns({"xyzobs.mm.value": values})


def _corrects(panel: Panel) -> bool:
    """Whether pixels become millimetres by parallax alone; tables of offsets are not known here."""
    return bool(
        panel.parallax and panel.thickness > 0.0 and panel.mu > 0.0 and "px_mm_strategy" not in panel.extra
    )

"""Ice rings, spot sizes by sensor, and the histogram."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from smalti.models import Detector
from smalti.steps.finding.filters import FilterCount, added, ice_rings, smallest_spot
from smalti.steps.finding.found import histogram

from .frames_on_disk import DETECTOR


def test_ice_rings_are_where_the_field_knows_them() -> None:
    # The rings of hexagonal ice known to every beamline, Angstrom; 7.338 would be 0 0 1, which is absent.
    known = np.array([3.90, 3.67, 3.44, 2.67, 2.25, 2.07, 1.95, 1.92, 1.88, 1.72])
    assert ice_rings(known, 0.002).all()
    assert not ice_rings(np.array([50.0, 10.0, 7.338, 5.0, 3.2, 3.0, 2.45]), 0.002).any()
    assert ice_rings(np.array([]), 0.002).shape == (0,)
    wide = ice_rings(np.linspace(1.5, 6.0, 500), 0.004)
    narrow = ice_rings(np.linspace(1.5, 6.0, 500), 0.001)
    assert np.all(wide | ~narrow)
    assert wide.sum() > narrow.sum() > 0


def test_only_rings_within_reach_are_looked_at() -> None:
    assert not ice_rings(np.array([8.0]), 0.002).any()
    assert ice_rings(np.array([3.895]), 0.002).all()


def test_smallest_spot_depends_on_the_sensor() -> None:
    assert smallest_spot(DETECTOR) == 3
    ccd = Detector.flat(tuple(replace(panel, type="SENSOR_CCD") for panel in DETECTOR.panels))
    assert smallest_spot(ccd) == 6


def test_counts_add_up_reason_by_reason() -> None:
    a = (FilterCount("small", 3, 10), FilterCount("far", 1, 9))
    b = (FilterCount("small", 4, 20), FilterCount("far", 0, 20))
    assert added([a, b]) == (FilterCount("small", 7, 30), FilterCount("far", 1, 29))
    assert added([]) == ()


def test_histogram_has_a_column_per_image() -> None:
    lines = histogram([0, 4, 8, -1, 1], height=4).splitlines()
    body = [line.split("|", 1)[1].ljust(5) for line in lines[:4]]
    assert ["".join(column).count("*") for column in zip(*body, strict=True)] == [0, 2, 4, 0, 1]
    assert lines[0].split("|")[0].strip() == "8"


def test_long_histograms_are_averaged() -> None:
    lines = histogram(list(range(1800)), width=60).splitlines()
    assert max(len(line) for line in lines) <= 70
    assert lines[-1].endswith("1800")
    assert histogram([5])

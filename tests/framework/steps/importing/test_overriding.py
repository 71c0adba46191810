"""What the user tells instead of the headers."""

from __future__ import annotations

from dataclasses import replace
from math import radians
from pathlib import Path

import numpy as np
import pytest

from smalti.errors import InputError, UsageError
from smalti.geometry.panels import PanelArrays, intersect, to_px
from smalti.geometry.rotation import rotation
from smalti.models import Beam, Detector
from smalti.solution import FrameHeader
from smalti.steps.importing.options import ImportOptions
from smalti.steps.importing.overriding import (
    Overrides,
    angles,
    with_beam_centre,
    with_distance,
    with_wavelength,
)
from smalti.testing.synthetic import detector

BEAM = Beam(wavelength=1.0)


def tilted(flat: Detector) -> Detector:
    d = flat.stacked()
    return flat.with_panel_frames(np.einsum("ij,pjk->pik", rotation((1, 0, 0), radians(20.0)), d))


def distance(of: Detector) -> float:
    d = of.stacked()[0]
    return abs(float(np.cross(d[:, 0], d[:, 1]) @ d[:, 2]))


def beam_on(panels: Detector) -> tuple[float, float]:
    """Raw pixel where the beam meets the plane of the first panel."""
    arrays = PanelArrays.of(panels)
    zero = np.zeros(1, dtype=np.intp)
    mm, _ = intersect(BEAM.unit_s0[None], zero, arrays)
    bare = replace(arrays, thickness=np.zeros(len(panels)))
    x, y = to_px(mm, zero, bare)[0] + panels.panels[0].window
    return float(x), float(y)


@pytest.mark.parametrize("modules", [True, False])
@pytest.mark.parametrize("tilt", [True, False])
def test_distance_moves_along_the_normal(modules: bool, tilt: bool) -> None:
    start = detector("PILATUS 200K", 200.0, modules=modules)
    start = tilted(start) if tilt else start
    moved = with_distance(start, BEAM, 300.0)
    assert distance(moved) == pytest.approx(300.0)
    a, b = start.stacked(), moved.stacked()
    np.testing.assert_allclose(a[:, :, :2], b[:, :, :2], atol=1e-12)
    shift = (b - a)[:, :, 2]
    np.testing.assert_allclose(np.cross(shift, np.cross(a[:, :, 0], a[:, :, 1])), 0.0, atol=1e-9)


def test_an_unknown_distance_is_put_where_the_beam_goes() -> None:
    moved = with_distance(detector("PILATUS 200K", 0.0), BEAM, 150.0)
    assert moved.root.origin[2] == pytest.approx(-150.0)


@pytest.mark.parametrize("modules", [True, False])
@pytest.mark.parametrize("tilt", [True, False])
def test_the_beam_meets_the_centre_told(modules: bool, tilt: bool) -> None:
    start = detector("PILATUS 200K", 200.0, modules=modules)
    start = tilted(start) if tilt else start
    moved = with_beam_centre(start, BEAM, (111.5, 222.25))
    assert beam_on(moved) == pytest.approx((111.5, 222.25))
    assert distance(moved) == pytest.approx(distance(start))


def test_what_has_no_meaning_is_refused_in_words() -> None:
    edge_on = detector("PILATUS 200K", 200.0)
    turn = rotation((0.0, 1.0, 0.0), np.pi / 2)
    edge_on = edge_on.moved({(): (turn, np.array([0.0, 0.0, -300.0]))})
    header = FrameHeader(BEAM, edge_on, None, 0.0, 0.1, 1.0, 0.0, (487, 407))
    with pytest.raises(InputError, match="never meets the detector"):
        Overrides(ImportOptions(beam_centre=(1.0, 2.0))).apply(header, Path("a.cbf"))
    with pytest.raises(UsageError, match=r"import\.axis is 0, 0, 0"):
        Overrides(ImportOptions(axis=(0.0, 0.0, 0.0))).apply(header, Path("a.cbf"))


def test_another_wavelength_is_attenuated_otherwise() -> None:
    hard = with_wavelength(detector("PILATUS 200K"), 0.5).panels[1]
    soft = with_wavelength(detector("PILATUS 200K"), 2.0).panels[1]
    assert soft.mu > 20.0 * hard.mu > 0.0 and hard.parallax


def test_angles_follow_the_numbers() -> None:
    numbers = (5, 6, 9)
    kept = angles(ImportOptions(), (1.0, 2.0, 5.0), (1.0,) * 3, numbers)
    assert kept == ((1.0, 2.0, 5.0), (1.0,) * 3)
    starts, widths = angles(ImportOptions(width=2.0), (0.5, 0.5, 0.5), (0.0,) * 3, numbers)
    assert widths == (radians(2.0),) * 3
    assert starts == pytest.approx((0.5, 0.5 + radians(2.0), 0.5 + radians(8.0)))
    starts, _ = angles(ImportOptions(start=90.0), (1.0, 2.0, 5.0), (1.0,) * 3, numbers)
    assert starts == pytest.approx((radians(90.0), radians(90.0) + 1.0, radians(90.0) + 4.0))

"""How large a report is and how long it takes: reflections, crystals and panels by the thousand."""

from __future__ import annotations

import functools
import json
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from smalti.models import Detector, Experiments, Group
from smalti.steps.predicting import predict_indexed
from smalti.steps.reporting import Report, make_report
from smalti.tables import Flag, Reflections
from smalti.testing import synthetic

LIMIT = 1_000_000
"""Bytes of a page that can be mailed."""

Data = tuple[Experiments, Reflections]


@functools.cache
def seen(tiles: int = 0) -> Data:
    """20,000 reflections on a Pilatus 6M, or on so many tiles along each side of a square, with points."""
    rng = np.random.default_rng(3)
    detector = tiled(tiles) if tiles else synthetic.detector("PILATUS 6M", 250.0)
    nominal = synthetic.experiment(detector, synthetic.crystal(), n_images=200)
    experiments, table = synthetic.observations(nominal, nominal, rng, n=20_000)
    flags = table["flags"] | np.uint64(int(Flag.USED_IN_REFINEMENT))
    assert experiments[0].crystal is not None
    points = table["miller_index"] @ experiments[0].crystal.A.T
    weights = np.full((table.n_rows, 3), 1e4)
    columns = {"flags": flags, "rlp": points, "xyzobs.mm.weights": weights}
    return experiments, predict_indexed(experiments, table.with_columns(columns))


def tiled(n: int) -> Detector:
    """A square of n x n tiles with gaps of three pixels."""
    one = synthetic.detector("PILATUS 6M", 250.0).panels[0]
    size = 2400 // n - 3
    fast, slow, pixel = np.array(one.fast), np.array(one.slow), one.pixel_size[0]
    corner = np.array([0.0, 0.0, -250.0]) - 1200 * pixel * (fast + slow)
    panels = tuple(
        replace(
            one,
            name=f"ARRAY_D0T{k}",
            image_size=(size, size),
            window=None,
            origin=tuple((corner + pixel * (size + 3) * (fast * (k % n) + slow * (k // n))).tolist()),
        )
        for k in range(n * n)
    )
    return Detector(panels, Group("", children=tuple(range(n * n))))


def repeated(data: Data, n: int) -> Data:
    """So many reflections, each seen a little elsewhere."""
    experiments, table = data
    table = table.take(np.arange(n) % table.n_rows)
    noise = np.random.default_rng(4).normal(0.0, 0.02, (n, 3)) * [1.0, 1.0, 0.05]
    return experiments, table.with_columns({"xyzobs.mm.value": table["xyzobs.mm.value"] + noise})


def details(n_panels: int, n_crystals: int = 1) -> dict[str, Any]:
    """What a refinement of all panels and crystals tells, each number with all its digits."""
    rng = np.random.default_rng(5)
    motion = [
        "shift_fast_um",
        "shift_slow_um",
        "normal_um",
        "tilt_fast_mrad",
        "tilt_slow_mrad",
        "rotation_mrad",
    ]
    keys = [*motion, *(f"esd_{key.removeprefix('shift_')}" for key in motion), "prior_share"]
    panels = [
        {"detector": 1, "panel": k, "weakest": "along its ray",
         "corner_um": rng.random(4).tolist(), "esd_corner_um": rng.random(4).tolist(),
         "half_difference_sigma": rng.random(),
         **dict(zip(keys, rng.uniform(0.0, 50.0, len(keys)).tolist(), strict=True))}
        for k in range(n_panels)
    ]  # fmt: skip
    names = [f"Detector1Group{k}{what}" for k in range(n_panels) for what in ("Dist", "Shift1", "Shift2")]
    names += [
        f"Crystal{k}{what}" for k in range(n_crystals) for what in ("Phi1", "Phi2", "Phi3", "g_param_0")
    ]
    parameters = [
        {"name": name, "label": name, "unit": "mm",
         **dict(zip(("value", "shift", "esd"), rng.random(3).tolist(), strict=True))}
        for name in names
    ]  # fmt: skip
    return {"panels": panels, "parameters": parameters}


def timed(name: str, data: Data, **words: Any) -> Report:
    start = time.process_time()
    report = make_report(*data, **words)
    seconds = time.process_time() - start
    page, numbers = len(report.html.encode()), len(json.dumps(report.data))
    print(f"{name}: {seconds:.2f} s, page {page / 1e3:.0f} kB, JSON {numbers / 1e3:.0f} kB")
    assert page < LIMIT
    return report


def test_a_million_reflections() -> None:
    few = timed("100,000 reflections", repeated(seen(), 100_000), before=seen(), details=details(60))
    many = timed("1,000,000 reflections", repeated(seen(), 1_000_000), before=seen(), details=details(60))
    # The cells are as many as they can be with both: only digits differ.
    assert len(many.html) < 1.05 * len(few.html)


@pytest.mark.parametrize("n", [300, 1000, 3000])
def test_many_crystals(n: int) -> None:
    experiments, table = seen()
    assert experiments[0].crystal is not None
    cells = np.random.default_rng(6).normal(1.0, 0.002, n)
    items = tuple(
        replace(experiments[0], identifier=f"still-{k}", crystal=scaled(experiments[0].crystal, cells[k]))
        for k in range(n)
    )
    ids = np.arange(table.n_rows, dtype=np.int32) % n
    joint = Experiments(items), table.with_columns({"id": ids})
    report = timed(f"{n:,} crystals", joint, before=joint, details=details(60, n))
    assert len(report.data["experiments"]) == n


def scaled(crystal: Any, factor: float) -> Any:
    axes = np.array(crystal.real_space) * factor
    return replace(crystal, real_space=tuple(tuple(row) for row in axes.tolist()))


@pytest.mark.parametrize("n", [16, 32])
def test_many_panels(n: int) -> None:
    data = seen(n)
    report = timed(f"{n * n:,} panels", data, before=data, details=details(n * n))
    assert len(report.data["panels"]) == n * n and report.data["map"]["kind"] == "flat"
    assert re.search(r'<g id="outlines">(.*?)</g>', report.html, re.S).group(1).count("<rect") == n * n

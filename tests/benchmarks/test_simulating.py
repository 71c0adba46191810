"""Time to draw one image of a PILATUS 6M: pytest tests/benchmarks --benchmark-enable --benchmark-only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from smalti.steps.simulating import QUICK_DEMO
from smalti.steps.simulating.backgrounds import make_scene
from smalti.steps.simulating.cbf import cbf_bytes, header
from smalti.steps.simulating.crystals import make_crystal
from smalti.steps.simulating.instrument import nominal, true
from smalti.steps.simulating.rendering import draw, spot_list
from smalti.steps.simulating.spots import expose, predict_spots
from smalti.steps.simulating.spurious import make_spurious


def test_drawing_one_image(benchmark: Any) -> None:
    truth = replace(true(QUICK_DEMO), crystal=make_crystal(QUICK_DEMO))
    table = predict_spots(truth, QUICK_DEMO)
    spots = spot_list(truth, table, expose(table, QUICK_DEMO), make_spurious(truth, 100, QUICK_DEMO))
    scene = make_scene(truth, QUICK_DEMO)
    text = header(nominal(QUICK_DEMO), 5, QUICK_DEMO.layout, len(scene.dead))

    def image() -> int:
        return len(cbf_bytes("image", draw(scene, spots, 5, QUICK_DEMO), text))

    assert benchmark(image) > 6_224_001

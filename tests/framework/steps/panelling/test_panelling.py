"""Modules to single panels and back: models and reflections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smalti.errors import DataError
from smalti.geometry.panels import PanelArrays, laboratory, to_mm
from smalti.models import Detector, Experiments, Group, ImageSet, Panel
from smalti.steps.panelling import convert_panels, to_modules, to_single
from smalti.storage import read_experiments, read_reflections
from smalti.tables import Reflections
from smalti.testing.synthetic import crystal, detector, displaced, experiment, observations


def corners(of: Detector) -> dict[tuple[int, int], np.ndarray]:
    """Laboratory positions of the outer corners of some raw pixels."""
    found = {}
    for d, panel in zip(of.stacked(), of.panels, strict=True):
        for x, y in ((0, 0), (panel.image_size[0], panel.image_size[1])):
            mm = np.array([x, y]) * panel.pixel_size
            found[panel.window[0] + x, panel.window[1] + y] = d @ np.array([*mm, 1.0])
    return found


def same(a: Detector, b: Detector) -> None:
    assert [p.name for p in a.panels] == [p.name for p in b.panels]
    assert [p.window for p in a.panels] == [p.window for p in b.panels]
    np.testing.assert_allclose(a.stacked(), b.stacked(), atol=1e-9)
    assert a.depth == b.depth


def test_there_and_back_is_the_same() -> None:
    start = detector("PILATUS 2M", 250.0)
    division = to_single(start)
    assert len(division.coarse) == 1 and division.deviation < 1e-12
    whole = division.coarse.panels[0]
    assert whole.image_size == (1475, 1679) and len(whole.mask) == 2 + 7
    assert whole.mask[0] == (487, 0, 494, 1679) and whole.mask[2] == (0, 195, 1475, 212)
    back = to_modules(division.coarse)
    same(back.fine, start)
    assert all(panel.mask == () for panel in back.fine.panels)


def test_the_plane_through_displaced_modules_is_the_nearest(rng: np.random.Generator) -> None:
    start = displaced(detector("PILATUS 2M", 250.0), rng, shift=(0.05, 0.05, 0.05))
    division = to_single(start)
    assert 0.05 < division.deviation < 0.4
    # No small rigid motion of the plane brings it nearer, in the least-squares sense.
    source = to_modules(division.coarse).fine
    here, there = corners(start), corners(source)
    a, b = np.array([here[key] for key in here]), np.array([there[key] for key in here])

    def cost(shift: np.ndarray, turn: np.ndarray) -> float:
        return float(((b + shift + np.cross(turn, b - b.mean(axis=0)) - a) ** 2).sum())

    best = cost(np.zeros(3), np.zeros(3))
    for direction in np.eye(3):
        for sign in (1.0, -1.0):
            assert cost(sign * 2e-2 * direction, np.zeros(3)) > best
            assert cost(np.zeros(3), sign * 2e-4 * direction) > best


def barrel() -> Detector:
    """Two rows at right angles, each of five modules."""
    row = Panel("row", (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (-200.0, 0.0, -100.0), (2463, 195), (0.172, 0.172))
    other = replace(row, name="other", slow=(0.0, 0.0, 1.0), origin=(-200.0, 50.0, -100.0), window=(0, 212))
    return Detector.flat((row, other))


def test_rows_of_a_barrel_divide_and_join() -> None:
    division = to_modules(barrel())
    assert len(division.fine) == 10 and division.fine.depth == 2
    assert division.parent.tolist() == [0] * 5 + [1] * 5
    assert {panel.window for panel in division.fine.panels[5:]} == {(494 * k, 212) for k in range(5)}
    joined = to_single(division.fine)
    assert joined.deviation < 1e-9
    np.testing.assert_allclose(joined.coarse.stacked(), barrel().stacked(), atol=1e-9)


def table(nominal: Detector, rng: np.random.Generator) -> tuple[Experiments, Reflections]:
    item = experiment(nominal, crystal(), n_images=30)
    experiments, reflections = observations(item, item, rng, n=400)
    x, y = reflections["xyzobs.px.value"][:, :2].astype(int).T
    z = np.zeros_like(x)
    box = np.column_stack([x - 2, x + 3, y - 2, y + 3, z, z + 2])
    cal = np.column_stack(
        [reflections["xyzobs.mm.value"][:, :2] + 0.01, reflections["xyzobs.mm.value"][:, 2]]
    )
    return experiments, reflections.with_columns({"bbox": box, "xyzcal.mm": cal, "xyzcal.px": cal})


def places(experiments: Experiments, reflections: Reflections, name: str) -> np.ndarray:
    arrays = PanelArrays.of(experiments[0].detector)
    return laboratory(reflections[name][:, :2], reflections["panel"].astype(np.intp), arrays)


def test_reflections_stay_where_they_are_in_the_laboratory(rng: np.random.Generator) -> None:
    experiments, before = table(detector("PILATUS 2M", 250.0), rng)
    there = convert_panels(experiments, before, "single")
    assert there.warnings == () and there.reflections is not None
    assert set(there.reflections["panel"].tolist()) == {0}
    back = convert_panels(there.experiments, there.reflections, "modules")
    assert back.warnings == () and back.reflections is not None
    for step, after in ((there, there.reflections), (back, back.reflections)):
        for name in ("xyzobs.mm.value", "xyzcal.mm"):
            np.testing.assert_allclose(
                places(step.experiments, after, name), places(experiments, before, name), atol=1e-9
            )
    same(back.experiments[0].detector, experiments[0].detector)
    for name in ("panel", "xyzobs.px.value", "xyzobs.mm.value", "xyzcal.mm", "miller_index"):
        np.testing.assert_allclose(back.reflections[name], before[name], atol=1e-9, err_msg=name)
    # Boxes are cut at the edges of the modules; inside they come back as they were.
    inside = (before["bbox"][:, 0] >= 0) & (before["bbox"][:, 1] <= 487)
    inside &= (before["bbox"][:, 2] >= 0) & (before["bbox"][:, 3] <= 195)
    np.testing.assert_array_equal(back.reflections["bbox"][inside], before["bbox"][inside])
    assert back.reflections["bbox"][:, [1, 3]].max() <= 487 and back.reflections["bbox"][:, :4].min() >= 0


def test_observed_millimetres_are_those_of_the_new_panels(rng: np.random.Generator) -> None:
    experiments, before = table(detector("PILATUS 2M", 250.0, modules=False), rng)
    after = convert_panels(experiments, before, "modules")
    assert after.reflections is not None
    panel = after.reflections["panel"].astype(np.intp)
    arrays = PanelArrays.of(after.experiments[0].detector)
    px = after.reflections["xyzobs.px.value"][:, :2]
    np.testing.assert_array_equal(after.reflections["xyzobs.mm.value"][:, :2], to_mm(px, panel, arrays))
    np.testing.assert_array_equal(after.reflections["xyzobs.mm.value"][:, 2], before["xyzobs.mm.value"][:, 2])


def test_spots_in_gaps_go_to_the_nearest_module(rng: np.random.Generator) -> None:
    experiments, before = table(detector("PILATUS 2M", 250.0, modules=False), rng)
    px = np.array(before["xyzobs.px.value"])
    px[:3, :2] = [(488.0, 50.0), (492.5, 50.0), (100.0, 195.4)]
    after = convert_panels(experiments, before.with_columns({"xyzobs.px.value": px}), "modules")
    assert after.reflections is not None
    assert after.reflections["panel"][:3].tolist() == [0, 1, 0]
    np.testing.assert_allclose(after.reflections["xyzobs.px.value"][1, :2], (492.5 - 494.0, 50.0))
    in_gap = int(after.warnings[0].split()[0])
    _, fast = np.divmod(px[:, 0], 494.0)
    _, slow = np.divmod(px[:, 1], 212.0)
    outside = np.hypot(
        *(np.maximum(np.minimum(v - n, p - v), 0) for v, n, p in ((fast, 487, 494), (slow, 195, 212)))
    )
    assert in_gap == int((outside > 1.0).sum()) >= 1


@dataclass
class Boxes:
    rows: int
    type_name: str = "Shoebox<>"

    def __len__(self) -> int:
        return self.rows

    def take(self, rows: Any) -> Boxes:
        return Boxes(len(rows))


def test_shoeboxes_are_left_out_and_it_is_said(rng: np.random.Generator) -> None:
    experiments, before = table(detector("PILATUS 2M", 250.0), rng)
    after = convert_panels(
        experiments, before.with_columns(opaque={"shoebox": Boxes(before.n_rows)}), "single"
    )
    assert after.reflections is not None and not after.reflections.opaque
    assert any("shoebox" in note for note in after.warnings)


def test_what_is_lost_is_said(rng: np.random.Generator) -> None:
    moved = displaced(detector("PILATUS 2M", 250.0), rng)
    after = convert_panels(Experiments((experiment(moved),)), None, "single")
    (note,) = after.warnings
    lost = to_single(moved).deviation
    assert f"{1e3 * lost:.1f} um" in note
    assert after.summary()["detectors"] == [{"panels_before": 24, "panels_after": 1, "lost_mm": lost}]
    assert "24" in after.text()


def test_what_cannot_be_converted_is_refused_or_said() -> None:
    bent = Detector(to_modules(barrel()).fine.panels, Group("all", children=tuple(range(10))))
    frames = to_modules(barrel()).fine.stacked()
    with pytest.raises(DataError, match="cannot be joined"):
        convert_panels(Experiments((experiment(bent.with_panel_frames(frames)),)), None, "single")
    odd = Detector.flat((Panel("p", (1, 0, 0), (0, -1, 0), (0, 0, -100.0), (100, 100), (0.1, 0.1)),))
    after = convert_panels(Experiments((experiment(odd),)), None, "modules")
    assert "no module layout" in after.warnings[0] and len(after.experiments[0].detector) == 1
    with pytest.raises(DataError, match="no detector"):
        convert_panels(
            Experiments(), Reflections({"panel": [0], "xyzobs.px.value": [(1.0, 2.0, 3.0)]}), "single"
        )
    with pytest.raises(DataError, match="do not belong"):
        wrong = Reflections({"panel": [7], "xyzobs.px.value": [(1.0, 2.0, 3.0)]})
        convert_panels(Experiments((experiment(detector("PILATUS 2M", modules=False)),)), wrong, "modules")


def test_several_experiments_keep_what_they_share(rng: np.random.Generator) -> None:
    start = detector("PILATUS 2M", 250.0)
    other = detector("PILATUS 200K", 100.0)
    sets = [ImageSet("a_##.cbf"), ImageSet("a_##.cbf"), ImageSet("b_##.cbf")]
    items = [replace(experiment(d), imageset=s) for d, s in zip((start, start, other), sets, strict=True)]
    # Found spots know their image set, not their experiment.
    spots = Reflections(
        {
            "id": [-1, -1, 2],
            "imageset_id": [1, 2, 2],
            "panel": [23, 1, 1],
            "xyzobs.px.value": [(5.0, 6.0, 0.5)] * 3,
        }
    )
    after = convert_panels(Experiments(tuple(items)), spots, "single")
    a, b, c = after.experiments
    assert a.detector is b.detector and len(a.detector) == len(c.detector) == 1
    assert len(after.experiments.unique("imageset")) == 3
    assert all(
        item.imageset is not None and item.imageset.params["multi_panel"] is False for item in (a, b, c)
    )
    assert after.reflections is not None
    expected = [(2 * 494 + 5.0, 7 * 212 + 6.0), (5.0, 212 + 6.0), (5.0, 212 + 6.0)]
    np.testing.assert_allclose(after.reflections["xyzobs.px.value"][:, :2], expected)


@pytest.mark.data
def test_real_reflections_of_one_panel_divide(data: Path) -> None:
    folder = data / "tables" / "i04_weak"
    experiments = read_experiments(folder / "data.expt")
    before = read_reflections(folder / "data.refl")
    after = convert_panels(experiments, before, "modules")
    assert after.reflections is not None and after.reflections.n_rows == before.n_rows
    assert len(after.experiments[0].detector) == 60
    # This table has no pixels: places in the laboratory are what must stay.
    assert "xyzobs.px.value" not in before
    for name in ("xyzobs.mm.value", "xyzcal.mm"):
        old, new = places(experiments, before, name), places(after.experiments, after.reflections, name)
        np.testing.assert_allclose(new, old, atol=1e-9)
    size = np.array([487, 195]) * 0.172
    outside = np.maximum(after.reflections["xyzobs.mm.value"][:, :2] - size, 0.0)
    assert np.percentile(outside.max(axis=1), 99.5) < 0.172
    assert any("shoebox" in note for note in after.warnings)
    back = convert_panels(after.experiments, after.reflections, "single").reflections
    assert back is not None
    for name in ("xyzobs.mm.value", "xyzcal.mm", "xyzcal.px"):
        np.testing.assert_allclose(back[name], before[name], atol=1e-6)

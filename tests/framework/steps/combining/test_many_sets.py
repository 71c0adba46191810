"""Joining and splitting hundreds of experiments, stills among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.models import Crystal, Experiment, Experiments
from smalti.steps.combining import CombineOptions, SplitOptions, combine, parts_text, split
from smalti.tables import Reflections
from smalti.testing import synthetic


def stills(number: int, n: int, wavelength: float = 1.3):
    """One data set of n stills, each with three spots of its own; models equal but not shared."""
    detector = synthetic.detector("PILATUS 300K", 120.0, modules=True)
    one = synthetic.experiment(detector, synthetic.crystal(), n_images=1)
    items = tuple(
        Experiment(
            replace(one.beam, wavelength=wavelength),
            replace(detector),
            crystal=replace(one.crystal, extra={"number": 1000 * number + k}),
            identifier=f"{number}-{k}",
        )
        for k in range(n)
    )
    ids = np.repeat(np.arange(n, dtype=np.int32), 3)
    table = Reflections(
        {"id": ids, "panel": np.zeros(3 * n, dtype=np.uint64), "n_signal": np.arange(3 * n, dtype=np.int32)},
        {k: item.identifier for k, item in enumerate(items)},
    )
    return Experiments(items), table


def number_of(crystal: Crystal | None) -> int:
    assert crystal is not None
    return int(crystal.extra["number"])


def test_hundreds_of_stills_are_joined_and_told_on_a_screen():
    sets = [stills(number, 60, 1.3 + 0.1 * (number % 2)) for number in range(10)]
    combined = combine(sets)
    assert combined.shared == {"beam": 2, "detector": 1, "crystal": 600}
    assert [number_of(item.crystal) for item in combined.experiments] == [
        1000 * number + k for number in range(10) for k in range(60)
    ]
    assert combined.reflections is not None
    np.testing.assert_array_equal(combined.reflections["id"], np.repeat(np.arange(600), 3))
    assert combined.reflections.identifiers[61] == "1-1"
    assert len(combined.rows) == 600 and len(combined.text().splitlines()) == 14
    assert "540-599   180 " in combined.text()


def test_more_data_sets_than_lines_are_summed_up():
    combined = combine([stills(number, 1 + number % 3) for number in range(40)])
    assert "40 data sets, by data set:" in combined.text()
    assert len(combined.text().splitlines()) < 12
    assert len(combined.summary()["experiments"]) == len(combined.experiments)


def test_one_metrology_under_many_detectors_at_their_own_distances():
    rng = np.random.default_rng(5)
    experiments, table = stills(0, 40)
    moved = tuple(
        replace(item, detector=synthetic.detector("PILATUS 300K", 100.0 + k, modules=True))
        for k, item in enumerate(experiments)
    )
    reference = synthetic.displaced(experiments[0].detector, rng)
    combined = combine([(Experiments(moved), table)], CombineOptions(), reference)
    assert combined.shared["detector"] == 40
    for item, before in zip(combined.experiments, moved, strict=True):
        there, here = item.detector.stacked()[:, :, 2], before.detector.stacked()[:, :, 2]
        assert np.abs(there.mean(axis=0) - here.mean(axis=0)).max() < 0.2
        among = item.detector.stacked()[:, :, 2]
        np.testing.assert_allclose(
            np.linalg.norm(among[1] - among[0]),
            np.linalg.norm(np.diff(reference.stacked()[:2, :, 2], axis=0)),
            atol=1e-9,
        )
    assert all(row["metrology_um"] > 1.0 for row in combined.rows)


@pytest.mark.parametrize(
    ("by", "n"), [("experiment", 300), ("crystal", 300), ("wavelength", 2), ("detector", 1)]
)
def test_every_part_has_its_own_reflections(by, n):
    joint = combine([stills(number, 150, 1.3 + 0.1 * number) for number in range(2)])
    parts = split(joint.experiments, joint.reflections, SplitOptions(by))
    assert len(parts) == n
    assert sorted(k for part in parts for k in part.numbers) == list(range(300))
    for part in parts:
        assert part.reflections is not None
        expected = np.repeat(np.arange(len(part.numbers)), 3)
        np.testing.assert_array_equal(part.reflections["id"], expected)
        names = [item.identifier for item in part.experiments]
        assert [part.reflections.identifiers[k] for k in range(len(names))] == names
        own = np.concatenate([np.arange(3 * k, 3 * k + 3) for k in part.numbers])
        start = np.concatenate([[0] * 450, [450] * 450])
        np.testing.assert_array_equal(part.reflections["n_signal"], own - start[own])


def test_wavelengths_apart_by_less_than_headers_tell_are_one():
    first, second = stills(0, 2, 1.30000), stills(1, 2, 1.300002)
    joint = combine([first, second])
    assert joint.shared["beam"] == 2
    assert len(split(joint.experiments, None, SplitOptions("wavelength"))) == 1


def test_many_parts_are_summed_up():
    text = parts_text([(f"part_{k:03d}", 1, 10 + k) for k in range(300)])
    assert "300 parts, part_000 to part_299:" in text and len(text.splitlines()) < 10
    assert "part_1" in parts_text([("part_0", 1, 3), ("part_1", 1, 4)])

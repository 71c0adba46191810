"""What is said when nothing fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smalti.geometry.rotation import rotation
from smalti.steps.indexing.candidates_result import candidate_table
from smalti.steps.indexing.centre import CentreShift
from smalti.steps.indexing.diagnosing import ICE, ice_share, nothing_found, signs
from smalti.steps.indexing.doubts import doubts, second_crystal
from smalti.steps.indexing.known import KnownLattice
from smalti.steps.indexing.options import IndexOptions
from smalti.steps.indexing.trials import Trial

OPTIONS = IndexOptions()


def trial(indexed=0.15, sharpness=0.2, shift=(0.0, 0.0), refused="explains only 15 % of the spots"):
    shifts = (CentreShift((0.0, 0.0), shift, 0.5, 0.1, 1),)
    return Trial(np.eye(3) / 50.0, 1.0, indexed, 1e-3, shifts, (), (), 0.5, 0.5, sharpness, refused=refused)


def even(rng, n=3000):
    """Lengths of points that fill space evenly to 1.6 Angstrom."""
    return rng.uniform(0.05**3, 0.62**3, n) ** (1 / 3)


def test_rings_of_ice_are_seen_and_a_lattice_is_not_taken_for_them(rng):
    assert ice_share(even(rng)) < 0.03
    rings = 1.0 / rng.choice(ICE, 600) + rng.normal(scale=3e-4, size=600)
    assert ice_share(np.concatenate([even(rng, 1400), rings])) == pytest.approx(0.3, abs=0.05)
    assert ice_share(np.zeros(0)) == 0.0


def test_each_sign_brings_its_cure(rng):
    length = even(rng)
    cases = {
        "rings of ice": (1.0 / np.repeat(ICE, 100), 90.0, (), "--d-min"),
        "are few": (length[:60], 90.0, (), "known_cell"),
        "covers only 1.5 deg": (length, 1.5, (), "other sweeps"),
        "further off than the 40 px": (length, 90.0, (trial(shift=(39.0, 2.0)),), "search_range"),
        "one of several": (length, 90.0, (trial(sharpness=0.8),), "--max-lattices"),
    }
    for words, (lengths, degrees, trials, cure) in cases.items():
        seen, cures = signs(lengths, degrees, trials, OPTIONS)
        assert any(words in sentence for sentence in seen), words
        assert any(cure in sentence for sentence in cures), cure


def test_spots_without_a_period_are_said_to_have_none(rng):
    seen, cures = signs(even(rng), 90.0, (replace(trial(), by_chance=True),), OPTIONS)
    assert "Any lattice has 11 % by chance: the spots show no periodicity." in seen
    assert any("smalti view" in cure for cure in cures)


def test_a_second_crystal_of_the_same_cell_is_named():
    first = replace(trial(0.5, 0.9, refused=""), A=np.diag([1 / 30.0, 1 / 40.0, 1 / 50.0]))
    turned = replace(first, A=rotation([0.3, 0.2, 0.9], 0.7) @ first.A, indexed=0.45)
    other = replace(first, A=np.diag([1 / 31.0, 1 / 44.0, 1 / 50.0]))
    assert second_crystal((first, other, first, turned)) is turned
    assert second_crystal((first, other, replace(turned, by_chance=True))) is None
    assert "a second crystal with the same cell explains 45 %" in doubts(0.5, (first, turned), (), (), 1)[0]
    assert "several lattices" in doubts(0.5, (first, turned), (), (), 2)[0]
    assert not any("second crystal" in words for words in doubts(0.9, (first, turned), (), (), 1))


def test_the_table_has_each_lattice_once():
    first = replace(trial(0.5, 0.9, refused=""), A=np.diag([1 / 30.0, 1 / 40.0, 1 / 50.0]), score=1.0)
    again = replace(first, A=np.diag([1 / 30.01, 1 / 40.0, 1 / 50.0]))
    turned = replace(first, A=rotation([0.3, 0.2, 0.9], 0.7) @ first.A)
    lines = candidate_table((first, again, turned)).splitlines()
    assert "each once; 3 tried" in lines[0]
    assert sum(line.startswith("30.0") for line in lines) == 2


def test_ordinary_spots_show_no_signs(rng):
    assert signs(even(rng), 90.0, (trial(),), OPTIONS) == ([], [])


def test_an_origin_between_rows_points_to_the_beam(rng):
    odd = trial(
        0.9, 0.8, refused="no spot has an index divisible by 2 or 3: the beam is off by part of a row"
    )
    seen, _ = signs(even(rng), 90.0, (odd,), OPTIONS)
    assert any("beam may be further off" in sentence for sentence in seen)


def test_the_error_says_what_was_tried_seen_and_what_to_try(rng):
    length = even(rng)
    none = nothing_found((), length, 90.0, 120.0, KnownLattice(), OPTIONS)
    assert none.what == "No lattice was found."
    assert "3,000 spots" in none.why and "120 Angstrom" in none.why
    assert "--auto" in none.fix
    some = nothing_found((trial(),), length, 90.0, 120.0, KnownLattice(), OPTIONS)
    assert "explains only 15 %" in some.why
    known = KnownLattice.parse("P4", ())
    assert "Leave out space group" in nothing_found((trial(),), length, 90.0, 1.0, known, OPTIONS).fix

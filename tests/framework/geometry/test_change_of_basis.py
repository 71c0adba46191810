"""Operators, and what a change of axes makes of a space group."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from smalti.errors import UsageError
from smalti.geometry.change_of_basis import (
    as_operator,
    as_rational,
    parse_operator,
    transformed_group,
    transformed_indices,
)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("h,k,l", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("K, H, -L", [[0, 1, 0], [1, 0, 0], [0, 0, -1]]),
        ("-h, k, -h-l", [[-1, 0, 0], [0, 1, 0], [-1, 0, -1]]),
        ("1/2h+1/2k,-1/2h+1/2k,l", [[0.5, 0.5, 0], [-0.5, 0.5, 0], [0, 0, 1]]),
        ("2h,k,l", [[2, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (
            "2/3h+1/3*k+1/3l,-1/3h+1/3k+1/3l,-1/3h-2/3k+1/3l",
            np.array([[2, 1, 1], [-1, 1, 1], [-1, -2, 1]]) / 3,
        ),
    ],
)
def test_operators_are_read_and_written(text, rows):
    M = parse_operator(text)
    assert M == pytest.approx(np.array(rows, dtype=float))
    assert parse_operator(as_operator(M)) == pytest.approx(M)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("h,k", "three"),
        ("h,k,x", "not understood"),
        ("h,k,", "not understood"),
        ("h,k,h+k", "in a plane"),
        ("h/2,k,l", "not understood"),
        ("1/0h,k,l", "by zero"),
        ("k,h,l", "right-handed"),
    ],
)
def test_what_is_no_operator_is_refused_in_words(text, why):
    with pytest.raises(UsageError) as caught:
        parse_operator(text)
    assert why in caught.value.why
    assert caught.value.fix


def test_the_cure_for_the_wrong_hand_works():
    with pytest.raises(UsageError) as caught:
        parse_operator("k,h,l")
    parse_operator(caught.value.fix.split(": ")[1].rstrip("."))


def test_indices_between_points_are_told():
    h, on = transformed_indices([[1, 1, 0], [2, 0, 3], [1, 0, 0]], parse_operator("1/2h+1/2k,-1/2h+1/2k,l"))
    assert on.tolist() == [True, True, False]
    assert h.tolist() == [[1, 0, 0], [1, -1, 3], [0, 0, 0]]


@pytest.mark.parametrize(
    ("name", "operator", "expected"),
    [
        ("P 1 21 1", "k,l,h", "P 21 1 1"),
        ("P 1 21 1", "l,h,k", "P 1 1 21"),
        ("P 21 21 2", "k,l,h", "P 21 2 21"),
        ("C 1 2 1", "-h-l,k,h", "A 1 2 1"),
        ("C 1 2 1", "-h-l,-k,l", "I 1 2 1"),
        ("P 4", "k,-h,l", "P 4"),
        ("R 3:H", "2/3h+1/3k+1/3l,-1/3h+1/3k+1/3l,-1/3h-2/3k+1/3l", "R 3:R"),
    ],
)
def test_space_groups_follow_the_axes(name, operator, expected):
    group = gemmi.SpaceGroup(expected)
    assert transformed_group(gemmi.SpaceGroup(name).hall, parse_operator(operator)) == (
        group.hall,
        group.xhm(),
    )


@pytest.mark.parametrize(("name", "operator"), [("P 1", "2h,k,l"), ("P 4", "1/2h,k,l")])
def test_what_cannot_be_written_is_told(name, operator):
    assert transformed_group(gemmi.SpaceGroup(name).hall, parse_operator(operator)) is None


@pytest.mark.parametrize("name", ["P 41 21 2", "I 4", "P 1 21 1", "R 3:H", "P 2 3"])
@pytest.mark.parametrize(
    "operators", [("l,h,k", "k,l,h"), ("h+k,-h,l", "-k,h+k,l"), ("l,h,k", "l,h,k", "l,h,k")]
)
def test_symmetry_comes_back_by_way_of_axes_on_which_it_has_no_name(name, operators):
    hall, total = gemmi.SpaceGroup(name).hall, np.eye(3)
    for operator in operators:
        M = parse_operator(operator)
        total = M @ total
        hall, _ = transformed_group(hall, M)
        ideal = gemmi.symops_from_hall(hall)
        for op in gemmi.SpaceGroup(name).operations():
            rot = np.linalg.inv(total).T @ (np.array(op.rot) / op.DEN) @ total.T
            assert np.rint(rot * 24).astype(int).tolist() in [item.rot for item in ideal]
    assert total == pytest.approx(np.eye(3))
    assert hall == gemmi.SpaceGroup(name).hall


def test_rational_matrices_are_told_from_others():
    M = parse_operator("1/2h+1/2k,-1/2h+1/2k,l")
    assert as_rational(M + 0.004) == pytest.approx(M)
    assert as_rational(M + 0.041) is None

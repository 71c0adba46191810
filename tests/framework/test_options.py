"""Options: declared once, validated at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from smalti.errors import UsageError
from smalti.options import build, describe, option, suggest


@dataclass(frozen=True)
class Cutter:
    width: float = option(1.5, "How wide to cut.", unit="mm", gt=0)
    passes: int = option(3, "How often.", ge=1, le=9)
    mode: Literal["fine", "coarse"] = option("fine", "How.")
    limits: tuple[float, ...] = option((), "Where.")
    depth: float | None = option(None, "How deep; none follows the width.")


def test_text_becomes_the_type_of_the_option() -> None:
    made = build(Cutter, {"width": "2", "passes": "4", "limits": "1, 2.5", "depth": "none"}, name="cutter")
    assert made == Cutter(2.0, 4, "fine", (1.0, 2.5), None)
    assert build(Cutter, {"depth": "3"}, name="cutter").depth == 3.0


def test_every_bad_value_is_reported_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        build(Cutter, {"width": "-1", "passes": "many", "mode": "rough"}, name="cutter")
    message = str(caught.value)
    for part in ("cutter.width", "cutter.passes", "cutter.mode", "'many'", "greater than 0"):
        assert part in message
    assert caught.value.exit_status == 2


def test_a_misspelt_option_gets_a_suggestion() -> None:
    with pytest.raises(UsageError, match="Did you mean 'width'"):
        build(Cutter, {"widht": 1}, name="cutter")


def test_options_describe_themselves() -> None:
    width, passes, mode, *_ = describe(Cutter)
    assert (width.name, width.default, width.unit, width.range) == ("width", 1.5, "mm", "> 0")
    assert passes.range == ">= 1, <= 9"
    assert "fine" in mode.annotation


def test_far_words_get_the_whole_list() -> None:
    assert suggest("zzz", ["tukey", "mcd"]) == "Known: mcd, tukey."
    assert suggest("tuky", ["tukey", "mcd"]) == "Did you mean 'tukey'?"


def test_a_choice_of_types_is_complained_of_once():
    @dataclass(frozen=True)
    class Choosing:
        held: bool | Literal["learnt"] = option(True, "Hold.")

    assert build(Choosing, {"held": "off"}, name="c").held is False
    assert build(Choosing, {"held": "learnt"}, name="c").held == "learnt"
    with pytest.raises(UsageError) as caught:
        build(Choosing, {"held": "lernt"}, name="c")
    assert caught.value.what == "Bad value for c.held."
    assert "c.held = 'lernt': input should be 'learnt'" in caught.value.why

"""Parameters are found by their names, merged by precedence and validated together."""

import tomllib
from dataclasses import dataclass, replace

import pytest

from smalti.cli.asking import make_request, read_parameters, split_words
from smalti.cli.command import PARAMETERS_ONLY, Choice, Command, Daily, Outcome, Stage
from smalti.cli.explaining import facts, parameter_list, shown, template
from smalti.cli.settings import Schema, gather
from smalti.discovery import discover
from smalti.errors import InputError, UsageError
from smalti.options import option


@dataclass(frozen=True)
class TryOptions:
    level: int = option(1, "How deep.", ge=0)
    label: str = option("plain", "What to call it.")
    cell: tuple[float, ...] | None = option(None, "A unit cell.", unit="Angstrom, deg")
    close: float = option(0.01, "How close to the spindle.", unit="", ge=0)
    clear: bool = option(False, "Whether to clear up.")


STAGE = Stage("try-out", TryOptions, (Choice("outliers", "outlier_rejector", "mcd", "Who judges."),))
COMMAND = Command(
    "refine",
    lambda request: Outcome({}, ""),
    usage="FILES",
    details="",
    example="smalti refine a.expt b.refl",
    stages=(STAGE,),
    daily=(Daily("--level", "try-out.level"), Daily("--outliers", "try-out.outliers")),
    output="tried",
)


@pytest.fixture(scope="module")
def schema():
    return Schema((STAGE,), discover())


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("try-out.level", ("try-out", "level")),
        ("try_out.level", ("try-out", "level")),
        ("level", ("try-out", "level")),
        ("lev", ("try-out", "level")),
        ("try.lab", ("try-out", "label")),
        ("outliers", ("try-out", "outliers")),
        ("tukey.iqr", ("tukey", "iqr_multiplier")),
        ("outliers.iqr-multiplier", ("outliers", "iqr_multiplier")),
        ("iqr_multiplier", ("tukey", "iqr_multiplier")),
    ],
)
def test_names_and_unique_beginnings(schema, word, meant):
    assert schema.resolve(word) == meant


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("try-out.levl", "'try-out.level'"),
        ("levl", "'level'"),
        ("tukey.iqr_multipler", "'tukey.iqr_multiplier'"),
        ("zzz", "smalti params search zzz"),
    ],
)
def test_a_misspelt_name_gets_a_suggestion(schema, word, hint):
    with pytest.raises(UsageError) as caught:
        schema.resolve(word)
    assert f"'{word}'" in caught.value.what
    assert hint in caught.value.fix


def test_an_ambiguous_beginning_lists_what_it_could_be(schema):
    with pytest.raises(UsageError) as caught:
        schema.resolve("cl")
    assert "try-out.close" in caught.value.why
    assert "try-out.clear" in caught.value.why


def test_the_command_line_wins_over_the_file_over_the_default(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('[try-out]\nlevel = 2\nlabel = "filed"\ncell = [1, 2, 3, 90, 90, 90]\n')
    values = {"params": [str(file)], "level": "3", "words": ["a.expt", "close=0.05"], "set_": ["tukey.iqr=2"]}
    request = make_request(COMMAND, values, ())
    made = request.settings.options(STAGE)
    assert made == TryOptions(3, "filed", (1.0, 2.0, 3.0, 90.0, 90.0, 90.0), 0.05)
    assert request.files == ("a.expt",)
    assert request.output == "tried"
    assert request.settings.changed() == {
        "try-out": {"level": 3, "label": "filed", "cell": made.cell, "close": 0.05}
    }
    assert request.settings.idle() == ("tukey.iqr_multiplier",)


def test_a_file_may_hold_what_other_commands_need_but_no_nonsense(tmp_path):
    file = tmp_path / "all.toml"
    file.write_text("[try-out]\nlevel = 2\n[simulate]\ndistance = 100.0\n")
    assert make_request(COMMAND, {"params": [str(file)]}, ()).settings.options(STAGE).level == 2
    file.write_text("[simulate]\ndistnace = 100.0\n")
    with pytest.raises(UsageError, match="distnace"):
        make_request(COMMAND, {"params": [str(file)]}, ())


def test_a_file_that_is_no_toml(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("[try-out\nlevel = 2\n")
    with pytest.raises(InputError) as caught:
        read_parameters(file)
    assert "line 1" in caught.value.why
    with pytest.raises(InputError, match="no file"):
        read_parameters(tmp_path / "none.toml")


def test_all_bad_values_at_once(schema):
    with pytest.raises(UsageError) as caught:
        gather(schema, [("level", "deep"), ("close", "-1")]).check()
    assert "try-out.level" in caught.value.what
    assert "try-out.close" in caught.value.what


def test_an_option_of_an_idle_component_is_checked_too(schema):
    with pytest.raises(UsageError, match="tukey.iqr_multiplier"):
        gather(schema, [("tukey.iqr_multiplier", "wide")]).check()


def test_a_component_by_name_with_its_options(schema):
    settings = gather(schema, [("outliers", "tukey"), ("outliers.iqr_multiplier", "2.5")])
    settings.check()
    assert settings.component(STAGE, "outliers").iqr_multiplier == 2.5
    assert settings.used()["tukey"]["iqr_multiplier"] == 2.5
    with pytest.raises(UsageError) as caught:
        gather(schema, [("outliers", "tuckey")]).check()
    assert "'tukey'" in caught.value.fix


def test_what_is_shown_can_be_read_again(schema, tmp_path):
    settings = gather(schema, [("label", 'a "b"'), ("cell", "1,2,3,90,90,90")])
    for which in ("changed", "used", "all"):
        file = tmp_path / f"{which}.toml"
        file.write_text(shown(settings, which))
        assert gather(schema, read_parameters(file)).options(STAGE) == settings.options(STAGE)
    assert tomllib.loads(shown(settings, "changed")) == {
        "try-out": {"label": 'a "b"', "cell": [1.0, 2.0, 3.0, 90.0, 90.0, 90.0]}
    }
    assert "tukey" in tomllib.loads(shown(settings, "all"))
    assert "tukey" not in tomllib.loads(shown(settings, "used"))


def test_the_template_gives_every_default_when_uncommented(schema, tmp_path):
    lines = template(schema).splitlines()
    assert tomllib.loads("\n".join(lines)) == {
        scope.name: {} for scope in schema.scopes.values() if scope.options
    }
    file = tmp_path / "template.toml"
    file.write_text("\n".join(line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in lines))
    settings = gather(schema, read_parameters(file))
    settings.check()
    assert settings.changed() == {}


def test_the_table_explains_and_searches(schema):
    text, rows = parameter_list(schema, "spindle")
    assert [row["parameter"] for row in rows] == ["try-out.close"]
    assert "How close to the spindle." in text
    _, rows = parameter_list(schema)
    assert {"try-out.level", "tukey.iqr_multiplier"} <= {row["parameter"] for row in rows}


def test_words_that_are_files_and_words_that_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd=name.cbf").write_text("x")
    assert split_words(["a.expt", "b.c=1", "odd=name.cbf", "x=2"]) == (
        ["a.expt", "odd=name.cbf"],
        ["b.c=1", "x=2"],
    )


@pytest.mark.parametrize("word", ["tukey", "=3"])
def test_set_without_a_value(word):
    with pytest.raises(UsageError, match="sets nothing"):
        make_request(COMMAND, {"set_": [word]}, ())


@pytest.mark.parametrize(("word", "what"), [("tukey", "no minus"), ("-tuckey", "no plugin 'tuckey'")])
def test_plugins_are_left_out_by_a_minus(word, what):
    with pytest.raises(UsageError, match=what):
        make_request(COMMAND, {"plugin": [word]}, ())
    left = make_request(COMMAND, {"plugin": ["-tukey"]}, ()).settings.registry
    assert "tukey" not in {component.name for component in left.components}


def test_a_command_without_files_takes_parameters_and_refuses_other_words():
    command = replace(COMMAND, usage=PARAMETERS_ONLY)
    assert make_request(command, {"words": ["level=3"]}, ()).settings.options(STAGE).level == 3
    with pytest.raises(UsageError, match="'level'"):
        make_request(command, {"words": ["level", "=3"]}, ())


def test_plugins_are_left_out_under_either_spelling():
    for word in ("-known-cell", "-known_cell"):
        registry = make_request(COMMAND, {"plugin": [word]}, ()).settings.registry
        assert [plugin.name for plugin in registry.plugins if plugin.disabled] == ["known-cell"]
    with pytest.raises(UsageError) as caught:
        make_request(COMMAND, {"plugin": ["-known-sell"]}, ())
    assert "'known-cell'" in caught.value.fix


def test_an_empty_default_is_not_shown():
    (label, cell) = (
        option
        for option in Schema((STAGE,), discover()).scopes["try-out"].options
        if option.name in ("label", "cell")
    )
    assert facts(label) == "[default plain]"
    assert facts(replace(label, default="")) == ""
    assert facts(cell) == "[Angstrom, deg; default none]"

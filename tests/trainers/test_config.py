from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from ppap.checkpoints.own import load_checkpoint, save_checkpoint
from ppap.data import KINDS
from ppap.rivals import RULES
from ppap.settings import RANGES, SettingError, Settings
from tests.ppap.checkpoints.test_own import made
from trainers.config import (
    KIND,
    TRAINING_RULES,
    Config,
    Limits,
    limits,
    parse_changes,
    read_config,
    to_json,
)

NUMBERS = [name for name, kind in KIND.items() if kind in (int, float)]
CHOICES = [name for name in KIND if limits(name).choices]


def refused(**changes: Any) -> SettingError:
    with pytest.raises(SettingError) as found:
        Config().with_(changes)
    assert found.value.field in changes
    assert str(found.value).startswith(f"{found.value.field} must be ")
    return found.value


# --- every setting


@pytest.mark.parametrize("name", KIND)
def test_every_setting_has_a_meaning_a_range_and_a_usual_value_inside(name: str) -> None:
    allowed = limits(name)
    assert allowed.meaning.endswith(".")
    assert allowed.meaning[0].isupper() or allowed.meaning[0] in "τΦΨσ" or ":" in allowed.meaning
    assert allowed.sentence(KIND[name])
    usual = getattr(Config(), name)
    assert type(usual) is KIND[name]
    assert getattr(Config().with_({name: str(usual)}), name) == usual


def test_the_usual_settings_are_the_published_ones_on_coco_stuff() -> None:
    usual = Config()
    assert usual.settings == Settings(0.55, 0.15, 3, 4, 2)
    found = (usual.temperature, usual.anchors, usual.batch, usual.epochs, usual.clip)
    assert found == (0.8, 0.25, 64, 5, 10)
    net = (usual.optimizer, usual.lr, usual.weight_decay, usual.schedule)
    assert net == ("adamw", 1e-3, 0.01, "constant")
    assert (usual.linear_lr, usual.cluster_lr, usual.size, usual.eval_size) == (
        1e-3,
        1e-3,
        224,
        320,
    )
    assert (usual.cluster_start, usual.cluster_starts, usual.probe_epochs) == ("noise", 1, 0)
    assert usual.selection == "last"


def test_the_five_settings_have_the_ranges_of_propagation() -> None:
    for name, allowed in RANGES.items():
        assert (limits(name).least, limits(name).most) == (allowed.least, allowed.most)


def test_choices_are_what_there_is() -> None:
    assert limits("rule").choices == TRAINING_RULES == (*RULES, "frozen", "stego")
    assert limits("dataset").choices == ("", *KINDS)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize(
    "value", ["nan", "inf", "-inf", math.nan, math.inf, "", "much", "1e999", None, [1], True, False]
)
def test_no_number_is_refused(name: str, value: object) -> None:
    assert limits(name).sentence(KIND[name]) in str(refused(**{name: value}))


@pytest.mark.parametrize("name", NUMBERS)
def test_the_ends_of_every_range(name: str) -> None:
    allowed, kind = limits(name), KIND[name]
    base = Config(validate_every=1) if name != "epochs" else Config(rule="frozen", probe_epochs=1)
    step = 1 if kind is int else 1e-9
    for end, beyond in ((allowed.least, -step), (allowed.most, step)):
        if math.isinf(end):
            continue
        inside = not (allowed.above and end == allowed.least)
        if inside:
            assert getattr(base.with_({name: end}), name) == end
        else:
            refused(**{name: end})
        # Far enough for floating point to notice.
        refused(**{name: end + beyond * max(1, abs(end))})


@pytest.mark.parametrize("name", [n for n in NUMBERS if KIND[n] is int])
def test_whole_numbers(name: str) -> None:
    allowed = limits(name)
    value = int(max(allowed.least, 1)) + 1
    writings: list[object] = [value, float(value), f"{value}", f"{value}.0", f" {value} "]
    for written in writings:
        found = getattr(Config().with_({name: written}), name)
        assert (found, type(found)) == (value, int)
    refused(**{name: value + 0.5})


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_is_none(name: str) -> None:
    error = refused(**{name: "something else"})
    assert all(choice in str(error) for choice in limits(name).choices)
    assert "not 'something else'" in str(error)
    refused(**{name: 3})


def test_words_for_yes_and_no() -> None:
    for word, value in (
        ("true", True), ("True", True), ("yes", True), ("1", True), (1, True), (True, True),
        ("false", False), ("FALSE", False), ("no", False), ("0", False), (0, False), (False, False),
    ):  # fmt: skip
        assert Config(crf=word).crf is value  # type: ignore[arg-type]
    for wrong in ("", "maybe", 2, None, "on"):
        assert "true or false" in str(refused(crf=wrong))


def test_text_is_text() -> None:
    assert Config(backbone="./Straße.pth").backbone == "./Straße.pth"
    for wrong in (3, None, "two\nlines", "\x00", "\udcff"):
        assert str(refused(backbone=wrong)).startswith("backbone must be text, not ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"phi0": 1.5}, "phi0 must be a number from -1 to 1, not '1.5'."),
        ({"size": 8}, "size must be a whole number from 16 to 4,096, not '8'."),
        ({"anchors": 0}, "anchors must be a number above 0 and at most 1, not '0'."),
        ({"clip": 0}, "clip must be a number above 0, not '0'."),
        ({"max_steps": -1}, "max_steps must be a whole number, 0 or more, not '-1'."),
        ({"crops": "ten"}, "crops must be one of none, five, not 'ten'."),
        ({"lr": "9" * 99}, f"lr must be a number above 0 and at most 10, not '{'9' * 40}…'."),
    ],
)
def test_errors_name_the_field_and_the_range(changes: dict[str, Any], said: str) -> None:
    assert str(refused(**changes)) == said


def test_ranges_in_words() -> None:
    assert Limits("").sentence(int) == "a whole number"
    assert Limits("").sentence(float) == "a number"
    assert Limits("").sentence(str) == "text"
    assert Limits("", choices=("", "a")).sentence(str) == "one of (empty), a"


# --- what does not go together


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"epochs": 0}, "epochs", "nothing would be trained"),
        ({"epochs": 0, "probe_epochs": 3}, "epochs", "the rule ppap trains: use rule=frozen"),
        (
            {"selection": "held_out", "validate_every": 0},
            "validate_every",
            "selection=held_out needs validations",
        ),
        (
            {"selection": "evaluation", "validate_every": 0},
            "validate_every",
            "selection=evaluation needs validations",
        ),
    ],
)
def test_settings_that_contradict(changes: dict[str, Any], field: str, said: str) -> None:
    with pytest.raises(SettingError, match=said) as found:
        Config().with_(changes)
    assert found.value.field == field


def test_which_part_is_trained() -> None:
    assert {rule: Config(rule=rule).head for rule in TRAINING_RULES} == {
        **dict.fromkeys(TRAINING_RULES, "block"),
        "stego": "code",
    }


# --- names


@pytest.mark.parametrize(
    ("wrong", "near"),
    [
        ("phi", "phi0"), ("learning_rate", "linear_lr"), ("temprature", "temperature"),
        ("anchor", "anchors"), ("weigth_decay", "weight_decay"), ("selction", "selection"),
        ("LR", None), ("qqqq", None),
    ],
)  # fmt: skip
def test_an_unknown_setting_suggests_the_nearest(wrong: str, near: str | None) -> None:
    for make in (lambda: Config().with_({wrong: 1}), lambda: parse_changes([f"{wrong}=1"])):
        with pytest.raises(SettingError, match=f"There is no setting called '{wrong}'") as found:
            make()
        assert found.value.field == wrong
        if near:
            assert f"Did you mean {near}?" in str(found.value)
        else:
            assert "There are: recipe, dataset, " in str(found.value)


def test_changes_as_a_command_line_writes_them() -> None:
    given = ["phi0=0.6", " rule = tps ", "backbone=a=b.pth", "dataset="]
    assert parse_changes(given) == {
        "phi0": "0.6",
        "rule": "tps",
        "backbone": "a=b.pth",
        "dataset": "",
    }
    for wrong in ("phi0", "=3", "", " =1"):
        with pytest.raises(SettingError, match="is not a setting: write key=value"):
            parse_changes([wrong])
    with pytest.raises(SettingError, match="phi0 is given twice"):
        parse_changes(["phi0=1", "phi0=0.5"])


# --- kept


def other() -> Config:
    """Every setting another than usual."""
    changes: dict[str, Any] = {}
    for name, kind in KIND.items():
        allowed, usual = limits(name), getattr(Config(), name)
        if allowed.choices:
            changes[name] = next(c for c in reversed(allowed.choices) if c != usual)
        elif name == "devices":
            changes[name] = "0,2"
        elif name == "track":
            changes[name] = "tensorboard,wandb:online"
        elif name == "track_project":
            changes[name] = "team/other"
        elif kind is bool:
            changes[name] = not usual
        elif kind is str:
            changes[name] = "Ünü/sual.pth"
        elif kind is int:
            changes[name] = usual + 1
        else:
            changes[name] = usual / 3 or 0.1
    return Config(**changes)


def test_it_survives_json_and_a_checkpoint(tmp_path: Path) -> None:
    config = other()
    assert all(getattr(config, f.name) != getattr(Config(), f.name) for f in fields(Config))
    assert read_config(json.loads(to_json(config))) == config
    save_checkpoint(replace(made(), config=config.as_dict()), tmp_path / "a.pt")
    assert read_config(load_checkpoint(tmp_path / "a.pt").config) == config
    assert list(json.loads(to_json(config))) == list(KIND)


def test_an_older_file_lacks_settings_and_a_newer_one_has_more() -> None:
    assert read_config({"phi0": 0.3}) == Config(phi0=0.3)
    with pytest.raises(SettingError, match="no setting called 'phi1'"):
        read_config({"phi1": 0.3})


def test_it_cannot_be_changed_by_accident() -> None:
    config = Config()
    with pytest.raises(AttributeError):
        config.phi0 = 0.3  # type: ignore[misc]
    assert config.with_({"phi0": 0.3}).phi0 == 0.3
    assert config.phi0 == 0.55

from __future__ import annotations

import math
from typing import Any

import pytest

from ppap.settings import (
    EMBEDDED_PRESET,
    PRESETS,
    RANGES,
    SettingError,
    Settings,
    excerpt,
    read_settings,
)

FINE = {"phi0": 0.55, "psi0": 0.15, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
NO_NUMBERS: tuple[Any, ...] = (None, [], {}, "", "a lot", "nan", True, False, b"\xff")
NO_NUMBERS += (math.nan, math.inf, -math.inf, 1e300, -1e300, 10**400, 10**5000)


def test_presets_are_those_of_table_7() -> None:
    table = {
        "COCO-Stuff ViT-S/8": (0.55, 0.20, 3, 3, 2),
        "COCO-Stuff ViT-S/16": (0.55, 0.15, 3, 4, 2),
        "Cityscapes ViT-S/8": (0.60, 0.20, 3, 3, 3),
        "Cityscapes ViT-B/8": (0.60, 0.20, 3, 2, 3),
        "Potsdam-3 ViT-B/8": (0.55, 0.15, 5, 3, 1),
    }
    assert {p.title: tuple(p.settings.as_dict().values()) for p in PRESETS} == table
    assert len({p.key for p in (*PRESETS, EMBEDDED_PRESET)}) == 6


def test_the_embedded_preset_is_the_measured_one() -> None:
    assert tuple(EMBEDDED_PRESET.settings.as_dict().values()) == (0.60, 0.30, 3, 4, 3)


@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_a_range_belong_to_it(name: str) -> None:
    for value in (RANGES[name].least, RANGES[name].most):
        assert getattr(read_settings({**FINE, name: value}), name) == value


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: repr(excerpt(value, 12)))
def test_what_is_no_number_in_the_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(SettingError) as caught:
        read_settings({**FINE, name: value})
    allowed = RANGES[name]
    assert caught.value.field == name
    sentence = str(caught.value)
    assert sentence.startswith(f"{allowed.symbol} must be ")
    assert f"from {allowed.least:,.10g} to {allowed.most:,.10g}" in sentence
    assert len(sentence) < 120


@pytest.mark.parametrize(("name", "value"), [("phi0", 1.01), ("psi0", -1.01), ("sigma_pos", 0)])
def test_just_outside_is_refused(name: str, value: float) -> None:
    with pytest.raises(SettingError):
        read_settings({**FINE, name: value})


def test_steps_are_whole() -> None:
    with pytest.raises(SettingError, match="whole number"):
        read_settings({**FINE, "steps": 1.5})


def test_texts_become_numbers_of_the_right_kind() -> None:
    read = read_settings({**FINE, "phi0": "0.5", "steps": "3.0"})
    assert read.phi0 == 0.5
    assert (read.steps, type(read.steps)) == (3, int)
    # ``range`` takes no 2.0, wherever the settings came from.
    assert type(Settings(0.5, 0.1, 3, 4, 2.0).steps) is int  # type: ignore[arg-type]


def test_missing_and_unknown_names_are_refused() -> None:
    with pytest.raises(SettingError, match="σ_amb is missing") as caught:
        read_settings({name: value for name, value in FINE.items() if name != "sigma_amb"})
    assert caught.value.field == "sigma_amb"
    with pytest.raises(SettingError, match=r"no setting called 'tau'"):
        read_settings({**FINE, "tau": 0.8})
    with pytest.raises(SettingError) as caught:
        read_settings({**FINE, "x" * 10**6: 1})
    assert len(str(caught.value)) < 120


def test_an_excerpt_is_short_whatever_the_value() -> None:
    assert excerpt("short") == "short"
    assert excerpt("x" * 100) == "x" * 40 + "…"
    assert excerpt(10**5000) == "a number that long"

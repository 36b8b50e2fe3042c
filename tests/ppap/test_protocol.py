"""Our own way and the published one, as a whole and switch by switch."""

from __future__ import annotations

import pytest

from ppap.protocol import (
    MEANINGS,
    NAMES,
    OF_EVALUATION,
    PUBLISHED,
    STUDIO,
    SWITCHES,
    Protocol,
    in_words,
)
from ppap.settings import SettingError
from tests.conftest import ROOT


def test_by_default_nothing_is_as_published() -> None:
    assert Protocol() == STUDIO == Protocol.of("studio") == Protocol.of([])
    assert STUDIO.record() == []
    assert STUDIO.resizing == "smooth"
    assert not STUDIO.half


def test_published_is_every_switch() -> None:
    assert Protocol.of("published") == PUBLISHED
    assert PUBLISHED.record() == list(SWITCHES)
    assert PUBLISHED.resizing == "nearest"
    assert PUBLISHED.half_training
    assert PUBLISHED.half


@pytest.mark.parametrize("name", NAMES)
def test_every_name_and_record_is_read_back(name: str) -> None:
    found = Protocol.of(name)
    assert found.name == name
    assert Protocol.of(found.record()) == found
    assert name not in SWITCHES or found.record() == [name]


def test_several_switches_have_a_name_too() -> None:
    evaluated = PUBLISHED.only(OF_EVALUATION)
    assert evaluated.record() == list(OF_EVALUATION)
    assert evaluated.name == ",".join(OF_EVALUATION)
    assert Protocol.of(evaluated.name) == evaluated
    assert STUDIO.only(OF_EVALUATION) == STUDIO


@pytest.mark.parametrize("said", ["", "Published", "nearest,", "name", None, 3, ["nearest", 1], {}])
def test_what_is_none_is_refused_by_name(said: object) -> None:
    with pytest.raises(SettingError, match=r"protocol must be one of studio, published, nearest"):
        Protocol.of(said)


@pytest.mark.parametrize("name", SWITCHES)
def test_every_difference_has_a_row_on_the_page(name: str) -> None:
    page = (ROOT / "docs/deviations.md").read_text(encoding="utf-8")
    assert f"\n| `{name}` |" in page


def test_in_words() -> None:
    assert in_words([]) == ""
    assert in_words(["scaler", "nearest"]) == f"{MEANINGS['scaler']}; {MEANINGS['nearest']}"

"""Runs that differ only in the seed: what makes them one, and what does not."""

from __future__ import annotations

import pytest

from trainers.config import KIND, Config
from trainers.runs.alike import NO_MATTER, fold_of, seed_of

USUAL = Config().as_dict()


def test_what_does_not_matter_are_settings() -> None:
    trackers = {"tensorboard", "track", "track_project"}
    assert set(NO_MATTER) - trackers <= set(KIND)
    assert trackers & set(KIND)


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 5},
        {"device": "cpu"},
        {"workers": 0, "cache": "off"},
        {"crf": True},
        {"k_share": 0.5},
    ],
)
def test_these_are_the_same_run(changes: dict[str, object]) -> None:
    assert fold_of({**USUAL, **changes}, "/data") == fold_of(USUAL, "/data")


@pytest.mark.parametrize(
    "changes",
    [{"phi0": 0.6}, {"batch": 32}, {"rule": "knn"}, {"backbone": "x"}, {"recipe": "camvid"},
     {"precision": "float32"}, {"rule": "knn", "k_share": 0.5}],
)  # fmt: skip
def test_these_are_not(changes: dict[str, object]) -> None:
    assert fold_of({**USUAL, **changes}, "/data") != fold_of(USUAL, "/data")
    assert fold_of(USUAL, "/other") != fold_of(USUAL, "/data")
    assert fold_of(USUAL, None) != fold_of(USUAL, "/data")


def test_settings_that_an_older_run_does_not_name_are_as_usual() -> None:
    older = {name: value for name, value in USUAL.items() if name != "exchange"}
    assert fold_of(older, None) == fold_of(USUAL, None)
    knn = {**USUAL, "rule": "knn"}
    assert fold_of({**knn, "k_share": 0.5}, None) != fold_of(knn, None)


def test_of_a_run_that_nothing_is_known_of_nothing_is_said() -> None:
    assert fold_of({}, "/data") == ""
    assert seed_of({}) is None
    assert seed_of({"recipe": "camvid"}) == 0
    assert seed_of({"seed": 7}) == 7

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import sample
from ppap.studio.sources import Sources
from ppap.studio.train.predictions import MOST
from ppap.studio.train.server import Training
from trainers.launching.runner import Runner


@pytest.fixture
def tab(tmp_path: Path) -> Training:
    sources = Sources([], uploads=tmp_path, any_folder=True)
    return Training(Runner(tmp_path / "runs"), sources)


def write_run(tab: Training, name: str, step: int = 5, **config: Any) -> None:
    folder = tab.runner.root / name
    (folder / "pictures").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    if step:
        (folder / f"pictures/step-{step:08d}-image-0002.png").write_bytes(b"png")


def asked(tab: Training, *names: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tab.predicting.predictions(list(names))["runs"]
    return found


def test_runs_tell_their_pictures_and_what_sets_them_apart(tab: Training) -> None:
    write_run(tab, "a", phi0=0.5, seed=1, device="cpu", workers=0)
    write_run(tab, "b", step=9, phi0=0.6, seed=1, device="cuda", workers=4)
    write_run(tab, "waits", step=0, seed=7)
    write_run(tab, "elsewhere", eval_split="test", seed=8)
    a, b, waits, elsewhere = asked(tab, "a", "b", "waits", "elsewhere")
    assert (a["name"], a["steps"], a["images"]) == ("a", [5], [2])
    assert b["steps"] == [9]
    # Where it ran decides nothing, and who is not beside them sets nobody apart.
    assert a["differs"] == [["phi0", "0.5"]]
    assert b["differs"] == [["phi0", "0.6"]]
    assert waits["differs"] == elsewhere["differs"] == []
    assert a["data"] == b["data"] != elsewhere["data"]


def test_settings_that_a_rule_does_not_read_tell_nothing(tab: Training) -> None:
    write_run(tab, "a", rule="ppap", phi0=0.5)
    write_run(tab, "b", rule="knn", phi0=0.6, k_share=0.1)
    a, b = asked(tab, "a", "b")
    assert (a["differs"], b["differs"]) == ([["rule", "ppap"]], [["rule", "knn"]])


def test_the_sample_is_a_run_like_others(tab: Training) -> None:
    (one,) = asked(tab, sample.KEY)
    assert one["steps"] == [90]
    assert one["names"]["0"] == "cheetah1"
    assert "animal" in one["classes"]
    assert tab.picture(sample.KEY, 90, one["images"][0]) is not None


def test_what_is_gone_is_left_out_and_what_is_odd_is_refused(tab: Training) -> None:
    write_run(tab, "a")
    assert [one["name"] for one in asked(tab, "gone", "../a", "a", "a")] == ["a"]
    wrong: list[Any] = [None, {}, [], "a", [1], [["a"]]]
    for odd in wrong:
        assert "in a list" in tab.predicting.predictions(odd)["error"]
    assert "At most" in tab.predicting.predictions(["a"] * (MOST + 1))["error"]

"""The Train page's side of the server, without a browser."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import training_lists as lists
from ppap.studio.requests import CLOSED
from ppap.studio.sources import Sources
from ppap.studio.train.server import Training, read_cursor
from ppap.studio.training_lists import GROUPS, training_lists
from tests.support.pretend_run import ENDS
from tests.support.small_segmenters import write_folder
from tests.support.small_studio import draw, wait_until
from tests.trainers.launching.test_runner import HOSTILE, PRETENDER, Pretending
from tests.trainers.runs.test_watching import line
from trainers.config import KIND, Config
from trainers.launching import orders, runner
from trainers.launching.runner import Runner
from trainers.recipes import find
from trainers.runs.watching import Cursor
from trainers.slurm.options import VARIABLE

ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    10**5000,
    1.5,
    math.nan,
    math.inf,
    "",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\0",
    "\ud800",
    "x" * 10**5,
    [],
    [1],
    [[]],
    {},
    {"name": []},
    {"watch": 5},
    {"watch": [1]},
    {"watch": [{}] * 100},
    {"action": "stop"},
    {"action": "rm -rf", "name": "a"},
    {"recipe": {"a": 1}, "settings": 5},
    {"recipe": "samples", "name": "ok", "settings": {"phi0": [1]}},
    b"\xff",
]
ORDER = {"recipe": "samples", "name": "one", "settings": {"train_split": ENDS}}


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Training]:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    runs = Pretending(tmp_path / "runs", patience=30)
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=True)
    yield Training(runs, sources)
    runs.end_all()


def wait(tab: Training, name: str, state: str) -> None:
    wait_until(lambda: tab.runner.standing(name).state == state)


@pytest.mark.parametrize("argument", ODD, ids=lambda odd: repr(type(odd)))
def test_every_call_answers_odd_arguments_with_a_sentence(tab: Training, argument: Any) -> None:
    for call in tab.calls():
        reply = call(argument)
        json.dumps(reply).encode()
        if call.__name__ == "watch" and isinstance(argument, dict) and "watch" not in argument:
            assert reply["runs"] == []  # it asks for the list alone
            continue
        if call.__name__ == "lists":
            continue
        if call.__name__ in ("check", "inspect") and "errors" in reply:
            assert reply["errors"]
            continue
        assert reply["error"].endswith((".", "?")), (call.__name__, reply)
        assert "studio failed" not in reply["error"], (call.__name__, reply)
    assert not tab.runner.root.exists() or tab.runner.runs() == []


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_is_started_or_written_under_a_hostile_name(tab: Training, name: Any) -> None:
    outside = sorted(tab.runner.root.parent.iterdir())
    reply = tab.start({**ORDER, "name": name})
    assert reply["field"] == "name"
    for action in ("stop", "kill", "resume", "delete", "contents"):
        assert tab.act({"action": action, "name": name})["field"] == "name"
    assert [p for p in sorted(tab.runner.root.parent.iterdir()) if p.name != "runs"] == outside
    assert tab.picture(str(name), 1, 1) is None


def test_the_form_offers_every_setting_once() -> None:
    offered = [name for _, members in GROUPS for name in members]
    assert sorted([*offered, "recipe", "backbone", "rule"]) == sorted(KIND)
    lists = training_lists()
    json.dumps(lists, allow_nan=False)
    assert lists["recipes"][0]["name"] == "samples"
    by_name = {s["name"]: s for group in lists["groups"] for s in group["settings"]}
    assert by_name["k_share"]["rules"] == ["knn"]
    assert by_name["self_weight"]["rules"] == ["stego"]
    assert "baseline" not in by_name["psi0"]["rules"]
    assert "baseline" in by_name["phi0"]["rules"]
    assert by_name["batch"]["rules"] is None
    assert by_name["crf"]["kind"] == "bool"
    assert set(by_name["schedule"]["choices"]) == {"constant", "cosine"}


def test_an_order_is_checked_as_it_is_typed(tab: Training, tmp_path: Path) -> None:
    reply = tab.check({"recipe": "samples", "name": "a", "settings": {"phi0": "0.5x", "lr": "2"}})
    assert list(reply["errors"]) == ["phi0"]
    reply = tab.check({"recipe": "samples", "name": "a", "settings": {"seed": "3"}})
    assert reply["errors"] == {}
    assert reply["command"].endswith("--set seed=3")
    backbone = {"backbone": str(tmp_path / "none.pth")}
    reply = tab.check({"recipe": "samples", "name": "a", "settings": backbone})
    assert "There is no file" in reply["errors"]["backbone"]
    assert "offers" not in reply


def test_what_may_be_meant_is_offered(tab: Training, tmp_path: Path) -> None:
    write_folder(tmp_path / "CamVid", 2)
    (tmp_path / "dino.pth").write_bytes(b"x")
    order = {"recipe": "camvid", "name": "a", "settings": {"dataset": "folder"}}
    for call in (tab.check, tab.inspect):
        reply = call({**order, "data": f" {tmp_path}/CamVidd"})
        assert f"Did you mean {tmp_path}/CamVid?" in reply["errors"]["data"]
        assert reply["offers"] == {"data": [f"{tmp_path}/CamVid"]}
    order["settings"] = {"dataset": "folder", "backbone": f"{tmp_path}/dinno.pth"}
    reply = tab.check({**order, "data": f"{tmp_path}/CamVid"})
    assert list(reply["errors"]) == ["backbone"]
    assert reply["offers"] == {"backbone": [f"{tmp_path}/dino.pth"]}
    reply = tab.check({**order, "settings": {}, "data": ""})  # nothing is near nothing
    assert list(reply) == ["errors", "command", "command_said"]


def test_a_folder_of_another_kind_is_led_to_the_recipe_for_any(
    tab: Training, tmp_path: Path
) -> None:
    draw(tmp_path / "photos/1.png", 1)
    order = {"recipe": "camvid", "name": "a", "data": str(tmp_path / "photos")}
    assert "The recipe own takes any folder" in tab.inspect(order)["errors"]["data"]
    assert "The recipe own takes any folder" in tab.start(order)["error"]
    fine = tab.inspect({**order, "recipe": "own", "settings": {"batch": "1"}})
    assert "data" not in fine["errors"]
    (tmp_path / "empty").mkdir()
    reply = tab.inspect({**order, "data": str(tmp_path / "empty")})
    assert "recipe own" not in reply["errors"]["data"]
    assert [recipe["name"] for recipe in training_lists()["recipes"]][:2] == ["samples", "own"]


def test_the_findings_of_the_data_are_told_before_the_start(tab: Training, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_folder(data, 4)
    order = {"recipe": "camvid", "name": "a", "data": str(data), "settings": {"dataset": "folder"}}
    (data / "train.txt").write_text("p0\np1\nmissing\n", encoding="utf-8")
    reply = tab.inspect(order)
    assert reply["findings"][0]["severity"] == "error"
    assert reply["estimate"] is None
    assert "missing" in reply["errors"]["data"]
    refused = tab.start(order)
    assert (refused["field"], refused["error"]) == ("data", reply["errors"]["data"])
    assert not tab.runner.root.exists()


def test_a_split_that_is_not_there_is_told_before_the_start(tab: Training, tmp_path: Path) -> None:
    """A night in the queue is a long way to a typing error."""
    data = tmp_path / "data"
    write_folder(data, 4)
    settings = {"dataset": "folder", "eval_split": "vall"}
    order = {"recipe": "camvid", "name": "a", "data": str(data), "settings": settings}
    told = tab.inspect(order)["errors"]
    assert list(told) == ["eval_split"]
    assert "vall" in told["eval_split"]
    refused = tab.start(order)
    assert (refused["field"], refused["error"]) == ("eval_split", told["eval_split"])
    assert not tab.runner.root.exists()
    sound = {**order, "settings": {**settings, "eval_split": "val"}}
    assert "eval_split" not in tab.inspect(sound)["errors"]


def test_a_run_is_started_watched_and_deleted(tab: Training) -> None:
    assert tab.start(ORDER)["run"]["name"] == "one"
    assert tab.start(ORDER)["field"] == "name"
    wait(tab, "one", "finished")
    wait_until(lambda: tab.runner.standing("one").code == 0)
    first = tab.watch({"watch": [{"name": "one", "log": True}, {"name": "gone"}]})
    assert [run["state"] for run in first["runs"]] == ["finished"]
    assert list(first["changes"]) == ["one"]
    changes = first["changes"]["one"]
    assert changes["series"]["step"]["loss"]["x"] == [1, 2, 3, 4, 5]
    assert changes["log"] == "Step 5 of 10\n"
    again = tab.watch(
        {"known": first["version"], "watch": [{"name": "one", "cursor": changes["cursor"]}]}
    )
    assert again["runs"] is None
    assert again["changes"]["one"]["series"] == {}
    assert tab.search({"name": "one", "words": "STEP"})["lines"][0]["text"] == "Step 5 of 10"
    assert tab.act({"action": "contents", "name": "one"})["contents"]["files"] >= 4
    assert tab.act({"action": "rename", "name": "one", "new_name": "../x"})["field"] == "new_name"
    assert tab.act({"action": "rename", "name": "one", "new_name": "two"})["run"]["name"] == "two"
    assert "contents" in tab.act({"action": "delete", "name": "two"})
    assert tab.watch({})["runs"] == []


def test_a_run_is_cloned_with_changes(tab: Training) -> None:
    tab.start({**ORDER, "settings": {"train_split": ENDS, "seed": "1"}})
    wait(tab, "one", "finished")
    details = tab.details("one")
    assert details["settings"] == {"train_split": ENDS, "seed": "1"}
    assert details["free_name"] == "one-2"
    assert "--set train_split=ends seed=1" in details["command"]
    tab.clone("one", "other", {"seed": 2})
    wait(tab, "other", "finished")
    assert tab.details("other")["settings"] == {"train_split": ENDS, "seed": "2"}
    compared = tab.compare(["one", "other"])
    assert {"name": "seed", "values": [1, 2]} in compared["settings"]


def test_a_run_of_the_command_line_can_be_cloned_too(tab: Training) -> None:
    folder = tab.runner.root / "typed"
    folder.mkdir(parents=True)
    own = find("camvid").config.backbone
    config = Config(recipe="camvid", phi0=0.3, backbone=own).as_dict()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "state.json").write_text(json.dumps({"state": "finished", "data": "/data"}))
    details = tab.details("typed")
    assert (details["recipe"], details["data"]) == ("camvid", "/data")
    assert details["settings"]["phi0"] == "0.3"
    assert "backbone" not in details["settings"]


def test_a_studio_that_is_open_to_others_only_shows(tab: Training, tmp_path: Path) -> None:
    folder = tab.runner.root / "there"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    closed = Training(tab.runner, tab.sources, allowed=False)
    assert closed.lists(None)["closed"] == CLOSED
    assert closed.start(ORDER)["error"] == CLOSED
    for action in ("stop", "kill", "resume", "rename", "delete"):
        assert closed.act({"action": action, "name": "there", "new_name": "x"})["error"] == CLOSED
    assert closed.watch({})["runs"][0]["name"] == "there"
    inside = Sources([tmp_path / "offered"], uploads=tmp_path, any_folder=False)
    reply = Training(tab.runner, inside).check(
        {"recipe": "camvid", "name": "a", "data": str(tmp_path)}
    )
    assert "shows only the folders" in reply["errors"]["data"]


@pytest.mark.parametrize("raw", [None, [], {}, {"step": -5, "log": "a", "file": True, "x": 1}])
def test_odd_cursors_mean_the_beginning(raw: Any) -> None:
    assert read_cursor(raw) == Cursor()
    assert read_cursor({"step": 3, "log": -1}) == Cursor(step=3)


def test_a_picture_is_one_of_a_run(tab: Training) -> None:
    folder = tab.runner.root / "one"
    (folder / "pictures").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "metrics.jsonl").write_text(line(1, loss=1.0))
    file = folder / "pictures" / "step-00000007-image-0002.png"
    file.write_bytes(b"png")
    assert tab.picture("one", 7, 2) == file
    assert tab.picture("one", 7, 3) is None
    assert tab.picture("../one", 7, 2) is None
    assert tab.changes("one", None)["pictures"] == {"steps": [7], "images": [2]}


def test_what_a_run_needs_is_worked_out_before_it_begins(tmp_path: Path) -> None:
    sources = Sources([], uploads=tmp_path, any_folder=True)
    tab = Training(Runner(tmp_path / "runs", cache=tmp_path / "cache"), sources)
    order = {"recipe": "samples", "name": "a", "settings": {"size": "64", "eval_size": "64"}}
    found = tab.inspect(order)["estimate"]
    # Five crops of six photos in batches of ten: three steps a round, thirty rounds.
    assert (found["images"], found["steps"], found["refusal"]) == (30, 90, "")
    assert found["disk_bytes"] > 10**6
    assert found["memory_bytes"] > 5 * 10**8
    assert found["seconds"] is None
    more = tab.inspect({**order, "settings": {**order["settings"], "keep": "1000"}})["estimate"]  # type: ignore[dict-item]
    assert more["disk_bytes"] > 50 * found["disk_bytes"] / 5
    wrong = tab.inspect({**order, "settings": {"size": "65"}})
    assert list(wrong["errors"]) == ["size"]
    huge = tab.inspect({**order, "settings": {"cache": "on", "cache_gb": "0"}})["estimate"]
    assert "larger cache_gb" in huge["refusal"]
    refused = tab.start({**order, "settings": {"cache": "on", "cache_gb": "0"}})
    assert "larger cache_gb" in refused["error"]
    assert not (tmp_path / "runs").exists()


def test_an_order_for_slurm_is_checked_at_its_fields(
    tab: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "slurm.toml"))
    (tmp_path / "slurm.toml").write_text('partition = "gpu"\nextra = ["--exclusive"]\n')
    monkeypatch.setattr(lists, "why_absent", lambda: "")
    monkeypatch.setattr(orders, "why_absent", lambda: "")
    offered = tab.lists(None)["slurm"]
    assert offered["absent"] == ""
    usual = {one["name"]: one["usual"] for one in offered["options"]}
    assert usual["partition"] == "gpu"
    assert usual["extra"] == "--exclusive"
    assert usual["nodes"] == "1"
    order = {"recipe": "samples", "name": "a", "on": "slurm"}
    reply = tab.check({**order, "slurm": {"partition": "a b"}})
    assert list(reply["errors"]) == ["slurm.partition"]
    reply = tab.check({**order, "slurm": {"partition": "", "time": "5:00:00"}})
    assert reply["errors"] == {}
    assert reply["command"].endswith(
        "--on slurm --slurm partition=gpu time=5:00:00 extra=--exclusive"
    )
    odd: list[Any] = [[0], "x", {"wrap": "rm"}, {"nodes": [1]}, {"extra": {"--wrap": 1}}]
    for one in odd:
        assert tab.check({**order, "slurm": one})["errors"]
    (tmp_path / "slurm.toml").write_text("partition = [")
    assert "cannot be read" in tab.check(order)["errors"]["slurm"]
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "slurm.toml"))
    assert "cannot be read" in tab.lists(None)["slurm"]["absent"]


def test_a_run_goes_on_with_other_devices(tab: Training) -> None:
    tab.start({**ORDER, "name": "a", "settings": {}})
    wait(tab, "a", "running")
    wait_until(lambda: tab.runner.standing("a").step == 5)
    tab.act({"action": "stop", "name": "a"})
    wait(tab, "a", "stopped")
    for settings, field in (({"devices": "x"}, "devices"), ({"lr": "1"}, "lr"), ([1], None)):
        reply = tab.act({"action": "resume", "name": "a", "settings": settings})
        assert reply["field"] == field
        assert reply["error"]
    reply = tab.act({"action": "resume", "name": "a", "on": "the moon"})
    assert reply["field"] == "on"
    reply = tab.act({"action": "resume", "name": "a", "settings": {"devices": "1"}, "on": "here"})
    assert reply["run"]["state"] in ("running", "finished")
    wait(tab, "a", "finished")
    assert tab.details("a")["script"] == ""

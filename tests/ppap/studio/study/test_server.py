"""The Study page's side of the server, with the real command and with stand-ins."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import trainers.study
from ppap.settings import Settings
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.requests import read_request
from ppap.studio.sources import Sources
from ppap.studio.study import studies
from ppap.studio.study.routes import routes
from ppap.studio.study.server import Studying
from ppap.studio.study.studies import Studies, explore_request
from ppap.study.dark import THEMED
from ppap.study.saved import read_study
from tests.ppap.study.test_run import striped

QUICK: dict[str, Any] = {
    "images": 3,
    "anchors": 20,
    "size": 64,
    "x": {"setting": "phi0", "first": 0.4, "last": 0.6, "count": 2},
    "y": {"setting": "steps", "values": [1, 2]},
}

FIVE = {"phi0": 0.6, "psi0": 0.2, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}


class Place:
    """A folder of runs, a data set, and the page's server over them."""

    def __init__(self, root: Path, *, allowed: bool = True) -> None:
        self.runs, self.data = root / "runs", root / "stripes"
        if not self.data.exists():
            striped(self.data)
        sources = Sources([self.data], uploads=root / "uploads", any_folder=False)
        self.studies = Studies(self.runs)
        self.studying = Studying(
            self.studies,
            sources,
            folders=[str(self.data)],
            backbone="embedded",
            allowed=allowed,
        )

    def request(self, **changes: Any) -> dict[str, Any]:
        return {"data": str(self.data), **QUICK, **changes}

    def ended(self) -> dict[str, Any]:
        self.studying.wait()
        current: dict[str, Any] = self.studying.status(None)["current"]
        return current


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.studying.close()


def stand_in(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Another program in place of the command; it gets the same arguments."""
    monkeypatch.setattr(studies, "COMMAND", (sys.executable, "-c", script))


def test_a_run_brings_its_features(place: Place) -> None:
    file = place.runs / "mine/checkpoints/last.pt"
    file.parent.mkdir(parents=True)
    file.touch()
    sources = Sources([], uploads=place.runs / "uploads", any_folder=True)
    studying = Studying(
        place.studies,
        sources,
        folders=[],
        backbone="embedded",
        checkpoints=Checkpoints(place.runs, sources),
    )
    assert [one["run"] for one in studying.hello(None)["runs"]] == ["mine"]
    wanted = studying.read({**QUICK, "data": str(place.data), "run": "mine"})
    words = wanted.arguments(place.runs)
    assert f"--checkpoint={file}" in words
    assert not any(word.startswith("--backbone") for word in words)
    trainers.study.parser().parse_args(words)
    alone = studying.read({**QUICK, "data": str(place.data), "checkpoint": str(file)})
    assert alone.checkpoint == str(file)
    for odd in ("mime", "../mine", 5):
        reply = studying.check({**QUICK, "data": str(place.data), "run": odd})
        assert "There is no run" in reply["errors"]["run"], reply
    assert studying.check({**QUICK, "data": str(place.data), "run": "mime"})["offers"]
    # Without runs there is nothing to choose.
    assert place.studying.hello(None)["runs"] == []
    assert (
        "run" in place.studying.check({**QUICK, "data": str(place.data), "run": "mine"})["errors"]
    )


def test_a_study_from_start_to_file(place: Place) -> None:
    assert place.studying.hello(None)["studies"] == []
    begun = place.studying.start(place.request())
    assert begun["state"] == "running"
    assert "already running" in place.studying.start(place.request())["error"]
    done = place.ended()
    assert (done["state"], done["share"]) == ("done", 1.0), done
    (listed,) = place.studying.hello(None)["studies"]
    assert listed["key"] == done["key"]
    assert "3 images at 64 px" in listed["text"]
    reply = place.studying.study(done["key"])
    assert reply["study"] == read_study(place.studies.folder_of(done["key"]))
    assert reply["study"]["sweep"]["x"]["values"] == [0.4, 0.6]
    assert reply["study"]["sweep"]["y"]["values"] == [1, 2]
    assert len(reply["rows"]) == 9
    assert reply["rows"][0][0].startswith("PPAP (Φ⁰")
    assert {len(cells) for *_, cells in reply["rows"]} == {len(reply["headings"])}
    assert reply["headings"][1]["hint"].startswith("The share of patches in P")
    assert reply["rows"][0][2][1].split("\n")[1].count(" to ") == 1  # the precision's interval
    assert reply["said"]["rules"].startswith(reply["rows"][0][2][1].split("\n")[0])
    anchors = reply["study"]["anchors"]
    assert len(anchors["image"]) == reply["study"]["rules"][0]["anchors"]
    assert (reply["explore"]["size"], reply["explore"]["picture"]) == (64, "square")
    assert {"sweep.svg", "sweep.png", "table6.csv", "study.html"} <= set(reply["files"])
    assert place.studies.file(done["key"], "sweep.svg").read_text().startswith("<?xml")
    assert [row[0] for row in reply["stages"]["rows"]] == [
        "these features, suggested, complete",
        "these features, suggested, pure",
    ]
    assert "area" in reply["stages"]["areas"][0]
    assert json.loads(json.dumps(reply))
    assert place.studying.remove(done["key"]) == {"studies": []}
    assert not (place.runs / ".studies" / done["key"]).exists()


def test_what_the_command_is_told(place: Place, tmp_path: Path) -> None:
    wanted = place.studying.read(place.request(split="train", settings=FIVE))
    assert wanted.settings == Settings(0.6, 0.2, 3, 4, 2)
    words = wanted.arguments(tmp_path / "out")
    assert f"--data={place.data}" in words
    assert "--split=train" in words
    assert "--backbone=embedded" in words
    assert words[words.index("--set") + 1] == "phi0=0.6"
    assert words[-2:] == ["--x=phi0=0.4,0.6", "--y=steps=1,2"]
    checked = place.studying.check(place.request(batches="2", seed="7"))
    assert checked["errors"] == {}
    command = shlex.split(checked["command"])
    assert command[:3] == ["python", "-m", "trainers.study"]
    assert {"--batches=2", "--seed=7", "--images=3", f"--data={place.data}"} <= set(command)
    given = trainers.study.parser().parse_args(command[3:])
    assert trainers.study.plan_of(given).seed == 7
    assert place.studying.read(place.request(sweep=False)).arguments(tmp_path)[-1] == "--no-sweep"
    samples = place.studying.read({"data": "samples"})
    assert "--kind=samples" in samples.arguments(tmp_path)
    assert samples.x is not None
    assert len(samples.x.values) == 10


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"data": ""}, "data", "Enter a folder"),
        ({"data": 3}, "data", "Enter a folder"),
        ({"data": "/"}, "data", "open to other machines"),
        ({"data": "../.."}, "data", "open to other machines"),
        ({"split": "--out=x"}, "split", "a name such as train"),
        ({"split": "a\nb"}, "split", "a name such as train"),
        ({"data": "samples", "split": "banana"}, "split", "no splits"),
        ({"images": "many"}, "images", "Images must be a whole number from 1 to 256, not many"),
        ({"images": 10**9}, "images", "from 1 to 256"),
        ({"batches": 0}, "batches", "from 1 to 20"),
        ({"seed": -1}, "seed", "Seed must be a whole number from 0"),
        ({"anchors": float("nan")}, "anchors", "not nan"),
        ({"size": 31}, "size", "from 32 to 1,024"),
        ({"backbone": "../secret.pth"}, "backbone", "open to other machines"),
        ({"backbone": ["x"]}, "backbone", "a name or a file"),
        ({"settings": {**FIVE, "phi0": 2}}, "phi0", "Φ⁰ must be a number from -1 to 1"),
        ({"settings": {"--set": 1}}, "--set", "no setting called"),
        ({"x": {"setting": "<b>"}}, "x", "no setting called <b>"),
        ({"x": {"setting": "phi0", "first": 0, "last": 1, "count": 99}}, "x", "from 1 to 40"),
        ({"x": {"setting": "phi0", "values": "; touch x"}}, "x", "must be a list"),
        ({"x": {"setting": "steps", "values": [1]}}, "y", "both are T"),
        ({"y": {"setting": "psi0", "first": "a", "last": 1, "count": 3}}, "y", "not a"),
        ({"y": {"setting": "psi0", "first": 0, "last": 3, "count": 3}}, "y", "from -1 to 1"),
        ({"sweep": "yes"}, None, "true or false"),
    ],
)
def test_nonsense_gets_a_sentence_and_starts_nothing(
    place: Place, changes: dict[str, Any], field: str | None, sentence: str
) -> None:
    reply = place.studying.start(place.request(**changes))
    assert sentence in reply["error"]
    assert reply["field"] == field
    checked = place.studying.check(place.request(**changes))
    if field is None:
        assert checked["error"] == reply["error"]
    else:
        assert checked == {"errors": {field: reply["error"]}, "command": ""}
    assert place.studying.status(None) == {"current": None}
    assert not (place.runs / ".studies").exists()


def test_what_a_folder_lacks_is_said_before_the_start(place: Place) -> None:
    (place.data / "empty").mkdir()
    for changes, field, part, offers in (
        ({"split": "trian"}, "split", "Did you mean train?", ["train"]),
        ({"split": "test"}, "split", "It has train, val and all.", None),
        ({"data": f"{place.data}/image"}, "data", "Did you mean", [f"{place.data}/images"]),
        ({"data": f"{place.data}/empty"}, "data", "empty contains no images", None),
    ):
        for call in (place.studying.check, place.studying.start):
            reply = call(place.request(**changes))
            errors = reply.get("errors") or {reply["field"]: reply["error"]}
            assert list(errors) == [field]
            assert part in errors[field]
        told = place.studying.check(place.request(**changes))
        assert told.get("offers") == ({field: offers} if offers else None)
    assert not (place.runs / ".studies").exists()
    assert place.studying.check(place.request(split="val"))["errors"] == {}
    many = place.request(data="", split="--x", anchors="no", size=5, x={"setting": "y"})
    assert list(place.studying.check(many)["errors"]) == ["split", "data", "x", "anchors", "size"]


def test_explore_is_asked_for_the_images_of_a_study() -> None:
    study: dict[str, Any] = {
        "plan": {"size": 320},
        "indices": [[3, 5, 8], [0, 1, 2]],
        "backbone_name": "embedded",
        "dataset": {"kind": "camvid", "folder": "/data/CamVid", "split": "train"},
    }
    wanted = {
        "source": "folder",
        "folder": "/data/CamVid",
        "split": "train",
        "images": [3, 5, 8],
        "count": 3,
        "size": 320,
        "picture": "square",
        "backbone": "embedded",
        "checkpoint": "",
    }
    assert explore_request(study) == wanted
    assert read_request(wanted).recipe() == {**wanted, "seed": 0}
    many = explore_request({**study, "indices": [list(range(100))]})
    assert many is not None
    assert many["images"] == list(range(64))
    samples = explore_request({**study, "dataset": {"kind": "samples"}})
    assert samples == {
        "source": "samples",
        "size": 320,
        "picture": "square",
        "backbone": "embedded",
        "checkpoint": "",
    }
    filed = explore_request({**study, "backbone_name": "/weights/dino.pth"})
    assert filed is not None
    assert (filed["backbone"], filed["checkpoint"]) == ("checkpoint", "/weights/dino.pth")
    named = explore_request({**study, "backbone_name": "dinov2_vits14@/weights/x.pth"})
    assert named is not None
    assert (named["backbone"], named["checkpoint"]) == (
        "checkpoint",
        "dinov2_vits14@/weights/x.pth",
    )
    assert explore_request({**study, "plan": {"size": 48}}) is None
    old = {name: value for name, value in study.items() if name != "indices"}
    assert explore_request(old) is None


@pytest.mark.parametrize("key", ["../runs", "", None, ["x"], "..", ".", "nothing"])
def test_no_key_leads_elsewhere(place: Place, key: Any) -> None:
    (place.runs / ".studies").mkdir(parents=True)
    (place.runs / "study.json").write_text('{"format": 1}')
    for call in (place.studying.study, place.studying.remove):
        assert "There is no study" in call(key)["error"]
    assert (place.runs / "study.json").exists()


def test_only_a_study_s_own_files_are_served(place: Place) -> None:
    folder = place.runs / ".studies" / "one"
    folder.mkdir(parents=True)
    for name in ("study.json", "sweep.svg", ".hidden.svg", "secret.pem"):
        (folder / name).write_text("{}")
    assert place.studies.file("one", "sweep.svg") == folder / "sweep.svg"
    others: tuple[Any, ...] = (".hidden.svg", "secret.pem", "../../x.svg", "nothing.svg", None)
    for name in others:
        with pytest.raises(ValueError, match="no file"):
            place.studies.file("one", name)


def test_figures_come_in_two_themes(place: Place) -> None:
    folder = place.runs / ".studies" / "one"
    folder.mkdir(parents=True)
    light = f'<svg><desc>{THEMED}</desc><g style="fill: #222222"/></svg>'
    (folder / "trust.svg").write_text(light)
    (folder / "study.json").write_text("{}")
    client = TestClient(Starlette(routes=routes(place.studying)))
    figure = "/studio/study/one/trust.svg?show=1"
    assert client.get(figure).text == light
    dark = client.get(f"{figure}&dark=1")
    assert dark.text == light.replace("#222222", "#e7ebf4")
    assert dark.headers["content-type"].startswith("image/svg+xml")
    assert client.get("/studio/study/one/..svg?dark=1").status_code == 404


def test_progress_and_cancel(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        monkeypatch,
        "import sys, time; print('Sweeping: 42 %, 5 s left', file=sys.stderr, flush=True); "
        "time.sleep(600)",
    )
    place.studying.start(place.request())
    for _ in range(200):
        current = place.studying.status(None)["current"]
        if current["share"]:
            break
        time.sleep(0.05)
    assert (current["share"], current["text"]) == (0.42, "Sweeping: 42 %, 5 s left")
    place.studying.cancel(None)
    assert place.ended()["state"] == "cancelled"
    assert place.studies.listed() == []
    assert list((place.runs / ".studies").iterdir()) == []


def test_a_failure_says_what_the_command_said(place: Place, tmp_path: Path) -> None:
    for file in (place.data / "images").iterdir():
        file.write_bytes(b"no picture")
    place.studying.start(place.request(images=6))
    failed = place.ended()
    assert failed["state"] == "failed"
    assert "0.png is not an image" in failed["text"]
    assert failed["text"] not in failed["lines"]
    assert list((place.runs / ".studies").iterdir()) == []


def test_where_others_can_reach_it_studies_can_only_be_read(tmp_path: Path) -> None:
    place = Place(tmp_path, allowed=False)
    assert "cannot start" in place.studying.start(place.request())["error"]
    assert "cannot delete" in place.studying.remove("x")["error"]
    assert place.studying.hello(None)["studies"] == []

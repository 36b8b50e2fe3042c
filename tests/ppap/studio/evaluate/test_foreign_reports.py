"""Reports on predictions from files: opened, drawn and compared as a run's own are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ppap.places import ROOT
from ppap.studio.checkpoints import Checkpoints
from ppap.studio.evaluate.server import Evaluating
from ppap.studio.sources import Sources
from tests.ppap.studio.evaluate.test_server import Place
from trainers.evaluate import main as evaluate

KEY = ".evaluations/theirs"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("foreign")
    place = Place(root)
    words = [f"--predictions={root}/written/clusters", f"--data={place.data}", "--split=all"]
    words += [f"--pictures={place.runs}/{KEY}", "--workers=0"]
    assert evaluate(words) == 0
    place.close()
    return root


@pytest.fixture
def place(made: Path) -> Iterator[Place]:
    place = Place(made)
    yield place
    place.close()


def test_the_report_opens(place: Place) -> None:
    reply = place.evaluating.report(KEY)
    assert reply["report"]["linear"] is None
    assert "2 clusters, predicted by another method" in reply["subject"]
    assert reply["explanation"].startswith("U: clusters, matched one to one with the classes. Acc")
    assert reply["later"]["rows"] == []
    assert reply["page"]
    ours = place.evaluating.report("first")
    assert reply["scores"][0][1][:2] == ours["scores"][0][1][:2]
    assert reply["scores"][0][1][2:] == [None, None]
    assert ours["explanation"].startswith("U: clusters, matched one to one with the classes; L:")
    listed = {one["key"]: one["title"] for one in place.evaluating.reports.listed()}
    assert listed == {"first": "first", KEY: "clusters"}


def test_its_images_are_those_that_the_run_draws(place: Place) -> None:
    for index in range(3):
        theirs = place.evaluating.image({"report": KEY, "index": index})
        ours = place.evaluating.image({"report": "first", "index": index})
        assert set(theirs["maps"]) == {"truth", "cluster"}
        assert theirs["maps"]["cluster"] == ours["maps"]["cluster"]
        assert theirs["maps"]["truth"] == ours["maps"]["truth"]
        assert theirs["photo"] == ours["photo"]


def test_what_has_no_features_is_not_explored(place: Place) -> None:
    assert "predictions come from files" in place.evaluating.explore(KEY)["error"]


def test_pages_see_only_folders_that_they_may_look_into(place: Place) -> None:
    few = Sources([place.data], uploads=place.root / "uploads", any_folder=False)
    evaluating = Evaluating(Checkpoints(place.runs, few), place.crf, folders=[str(place.data)])
    assert "error" in evaluating.image({"report": KEY, "index": 0})
    file = place.runs / KEY / "report.json"
    whole = file.read_text()
    report = json.loads(whole)
    assert (ROOT / report["checkpoint"]).is_dir()
    report["images"][0]["file"] = "../../secret.png"
    file.write_text(json.dumps(report))
    said = place.evaluating.image({"report": KEY, "index": 1})
    file.write_text(whole)
    assert "does not contain everything its report mentions" in said["error"]


def test_files_that_changed_are_not_drawn(place: Place) -> None:
    report = place.evaluating.report(KEY)["report"]
    file = place.root / "written/clusters" / report["images"][0]["file"]
    whole = file.read_bytes()
    file.unlink()
    gone = place.evaluating.image({"report": KEY, "index": 0})["error"]
    file.write_bytes(whole)
    assert "does not exist" in gone


def test_a_link_leads_out_of_no_folder(place: Place) -> None:
    written = place.root / "written/clusters"
    few = Sources([place.data, written], uploads=place.root / "uploads", any_folder=False)
    evaluating = Evaluating(Checkpoints(place.runs, few), place.crf, folders=[str(place.data)])
    report = place.evaluating.report(KEY)["report"]
    file = written / report["images"][0]["file"]
    ask = {"report": KEY, "index": report["images"][0]["index"]}
    assert "maps" in evaluating.image(ask)
    elsewhere = file.rename(place.root / "secret.png")
    try:
        file.symlink_to(elsewhere)
        assert "lies outside the folders" in evaluating.image(ask)["error"]
        assert "maps" in place.evaluating.image(ask), "where every folder may be looked into"
    finally:
        file.unlink(missing_ok=True)
        elsewhere.rename(file)


@pytest.mark.parametrize(
    ("part", "name", "value", "sentence"),
    [
        ("predictions", "values", [0, 10**12], "mentions numbers that no file contains"),
        ("predictions", "values", [0, -1], "mentions numbers that no file contains"),
        ("predictions", "values", [0, 0], "mentions numbers that no file contains"),
        ("cluster", "assignment", [0, 1], "does not say which class each cluster is"),
        ("cluster", "assignment", [0, 1, 3], "does not say which class each cluster is"),
        ("cluster", "assignment", [0, "1", -1], "does not say which class each cluster is"),
        ("cluster", "assignment", None, "does not say which class each cluster is"),
    ],
)
def test_a_damaged_report_is_not_drawn(
    place: Place, part: str, name: str, value: Any, sentence: str
) -> None:
    for key in (KEY, "first") if part == "cluster" else (KEY,):
        file = place.runs / key / "report.json"
        whole = file.read_text()
        report = json.loads(whole)
        report[part][name] = value
        file.write_text(json.dumps(report))
        said = place.evaluating.image({"report": key, "index": 0})
        file.write_text(whole)
        assert sentence in said["error"]

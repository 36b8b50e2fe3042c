"""The results that come with the project: they open with today's formats, and stay as they are."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import samples_dataset
from ppap.evaluation.files import JSON
from ppap.studio import sample
from ppap.studio.access.owners import Ownership
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.evaluate.endpoints import EvaluateEndpoints
from ppap.studio.evaluate.reports import Reports, read_json
from ppap.studio.evaluate.shown import sample_image
from ppap.studio.requests import RequestError
from ppap.studio.sources import Sources
from ppap.studio.study.endpoints import StudyEndpoints
from ppap.studio.study.server import Studying
from ppap.studio.study.studies import Studies
from ppap.studio.train.endpoints import TrainingEndpoints
from ppap.studio.train.server import Training
from ppap.study.saved import PAGE, VALUES, read_study
from trainers.launching.runner import Runner

MOST_BYTES = 400_000


@pytest.fixture
def training(tmp_path: Path) -> Training:
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=False)
    return Training(Runner(tmp_path / "runs"), sources)


@pytest.fixture
def studying(tmp_path: Path) -> Studying:
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=False)
    # Somebody else's studio, in which users log in.
    studies = Studies(tmp_path / "runs", Ownership(logins=True))
    return Studying(studies, sources, folders=[], backbone="embedded")


def test_it_is_small_and_tells_no_place_of_a_machine() -> None:
    files = [file for file in sample.RESULTS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    for file in files:
        if file.suffix in (".json", ".jsonl", ".txt"):
            assert not any(f'"{root}' in file.read_text() for root in ("/", "C:\\")), file


def test_the_study_opens_and_its_files_are_drawn(studying: Studying) -> None:
    with asking(Visitor(user="ada")):
        reply = studying.study(sample.KEY)
        assert reply["study"] == read_study(sample.STUDY)
        assert len(reply["study"]["rules"]) > 3
        for name in ("sweep.svg", PAGE, "trust.png", VALUES):
            assert name in reply["files"]
            assert studying.studies.file(sample.KEY, name).stat().st_size > 1000
    drawn = sample.study_folder()
    for figure in sample.STUDY.glob("*.svg"):  # what is shipped is what would be drawn today
        assert figure.read_bytes() == (drawn / figure.name).read_bytes()
    for odd in ("../study.json", "", None, "run.pt"):
        with pytest.raises(RequestError):
            studying.studies.file(sample.KEY, odd)


def test_the_run_is_watched_like_any_other(training: Training) -> None:
    watched = training.watch({"watch": [{"name": sample.KEY, "cursor": None, "log": True}]})
    assert watched["runs"] == []
    standing = watched["sample"]
    assert (standing["state"], standing["name"], standing["checkpoint"]) == (
        "finished",
        sample.KEY,
        False,
    )
    changes = watched["changes"][sample.KEY]
    assert len(changes["series"]["step"]["loss"]["x"]) > 20
    assert "Finished in" in changes["log"]
    (step,), images = changes["pictures"]["steps"], changes["pictures"]["images"]
    picture = training.picture(sample.KEY, step, images[0])
    assert isinstance(picture, bytes)
    side = sample.side()
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (4 * side, side)
    assert training.picture(sample.KEY, step + 1, images[0]) is None
    assert training.picture(sample.KEY, step, 99) is None
    details = training.details(sample.KEY)
    assert details["recipe"] == "samples"
    assert details["free_name"] == "samples"
    assert "trainers.train samples" in details["command"]
    assert training.search({"name": sample.KEY, "words": "finished"})["lines"]


def test_the_report_says_what_its_pictures_show(tmp_path: Path) -> None:
    reports = Reports(tmp_path / "runs")
    report = reports.read(sample.KEY)
    assert report == read_json(sample.RUN / JSON)
    photos = samples_dataset()
    right = counted = 0
    for index, name in sample.pictured():
        assert photos.items[index].name == name
        reply = sample_image(index, whole=False)
        shape = (reply["height"], reply["width"])
        truth, cluster = (
            np.frombuffer(zlib.decompress(base64.b64decode(reply["maps"][kind])), np.uint8)
            for kind in ("truth", "cluster")
        )
        assert truth.size == cluster.size == shape[0] * shape[1]
        known = truth != 255
        right += int((cluster[known] == truth[known]).sum())
        counted += int(known.sum())
    assert 100 * right / counted == pytest.approx(report["cluster"]["accuracy"])


def test_nobody_changes_or_deletes_it(
    training: Training, studying: Studying, tmp_path: Path
) -> None:
    for action in ("stop", "kill", "resume", "rename", "delete", "contents"):
        refused = training.act({"action": action, "name": sample.KEY, "new_name": "mine"})
        assert refused["error"] == sample.KEPT
    assert studying.remove(sample.KEY)["error"] == sample.KEPT
    with pytest.raises(RequestError, match="cannot be changed"):
        Reports(tmp_path / "runs").remove(sample.KEY)
    assert sample.there()


def test_scripts_see_it_when_they_ask(
    training: Training, studying: Studying, tmp_path: Path
) -> None:
    class Page:
        reports = Reports(tmp_path / "runs")

    def keys(found: dict[str, Any]) -> list[str]:
        ((_, listed),) = found.items()
        return [one.get("key", one.get("name")) for one in listed]

    for listing in (
        TrainingEndpoints(training).list_runs,
        StudyEndpoints(studying, None).studies,  # type: ignore[arg-type]
        EvaluateEndpoints(Page()).reports,  # type: ignore[arg-type]
    ):
        assert keys(listing()) == []
        assert keys(listing(samples=True)) == [sample.KEY]
    assert TrainingEndpoints(training).run_changes(sample.KEY)["run"]["state"] == "finished"


def test_pages_do_without_it(
    training: Training, studying: Studying, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample, "RUN", tmp_path / "nothing")
    assert studying.hello(None)["sample"] is None
    assert training.watch({})["sample"] is None
    assert "There is no study" in studying.study(sample.KEY)["error"]
    assert Reports(tmp_path / "runs").sample() is None

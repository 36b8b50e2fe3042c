"""The Evaluate page's server functions: reports on disk, and the command that makes them."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.backbones import load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.data import VOID_COLOUR, open_dataset
from ppap.evaluation.source import read_square
from ppap.segmenter import Segmenter
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.evaluate import reports as reporting
from ppap.studio.evaluate import requests as evaluations
from ppap.studio.evaluate.server import Evaluating
from ppap.studio.jobs import Job, follow_line
from ppap.studio.sources import Sources
from tests.support.many_classes import IDS, run_of_many_classes
from tests.support.small_runs import save_vit
from tests.support.small_segmenters import save_small, write_folder
from tests.support.small_studio import wait_until
from trainers.config import Config
from trainers.evaluate import main as evaluate
from trainers.runs.folder import Run

LONG = 300


class Place:
    """An Evaluating, a data set, and a run with a checkpoint and a report."""

    def __init__(self, root: Path, *, local: bool = True) -> None:
        self.root, self.runs, self.data = root, root / "runs", root / "data"
        if not self.data.exists():
            write_folder(self.data, 5)
            vit = load_backbone(str(save_vit(root / "vit.pth")))
            torch.manual_seed(1)
            made = Segmenter(vit, 3)
            torch.nn.init.normal_(made.linear_probe.weight)
            # So that clusters and their classes have different numbers.
            made.cluster_probe.clusters.data = made.cluster_probe.clusters.data.roll(1, 0)
            self.run = Run(self.runs / "first")
            save_small(made.eval(), self.run.checkpoints / "last.pt", 32, dataset="folder")
            self.run.write_state("finished", data=str(self.data), step=7)
            words = [str(self.run.folder), "--split=all", f"--json={self.run.folder}/report.json"]
            words.append(f"--write-predictions={root}/written")
            assert evaluate([*words, "--crf", "--workers=0"]) == 0
        self.run = Run(self.runs / "first")
        self.sources = Sources([self.data], uploads=root / "uploads", any_folder=local)
        self.crf = CrfProcesses()
        self.evaluating = Evaluating(
            Checkpoints(self.runs, self.sources), self.crf, folders=[str(self.data)]
        )

    def close(self) -> None:
        self.evaluating.close()
        self.crf.close()

    def request(self, **changes: Any) -> dict[str, Any]:
        return {"checkpoint": {"run": "first", "which": "last"}, "split": "all", **changes}

    def said(self) -> dict[str, Any]:
        current: dict[str, Any] = self.evaluating.status(None)["current"]
        return current


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluating")
    Place(root).close()
    return root


@pytest.fixture
def place(made: Path) -> Iterator[Place]:
    place = Place(made)
    yield place
    place.close()


def stand_in(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Another program in place of the command; it gets the same arguments."""
    monkeypatch.setattr(evaluations, "COMMAND", (sys.executable, "-c", script))


def test_a_run_s_report_opens_at_once(place: Place) -> None:
    hello = place.evaluating.hello(None)
    (one,) = [report for report in hello["reports"] if report["key"] == "first"]
    assert (one["title"], one["crf"], one["split"]) == ("first", True, "all")
    assert hello["data"] == [str(place.data)]
    assert hello["checkpoints"][0]["data"] == str(place.data)
    reply = place.evaluating.report("first")
    stored = json.loads((place.run.folder / "report.json").read_text())
    assert reply["report"] == stored
    assert one["accuracy"] == stored["crf"]["cluster"]["accuracy"]
    assert reply["scores"][0][0] == "measured here"
    assert reply["scores"][0][1][0] == stored["cluster"]["accuracy"]
    assert "5 images" in reply["subject"]
    assert json.loads(json.dumps(hello))
    assert json.loads(json.dumps(reply))


def test_a_report_opens_in_explore(place: Place, tmp_path: Path) -> None:
    images = {"source": "folder", "folder": str(place.data), "kind": "folder", "split": "all"}
    wanted = {**images, "size": 32, "count": 8, "seed": 0, "picture": "square"}
    features = {"backbone": "run", "run": "first", "at": 7, "output": "backbone"}
    assert place.evaluating.explore("first") == {"request": {**wanted, **features}}
    assert "There is no report" in place.evaluating.explore("second")["error"]
    moved = place.data.rename(place.root / "elsewhere")
    try:
        said = place.evaluating.explore("first")["error"]
    finally:
        moved.rename(place.data)
    assert said.startswith(f"The images of first are no longer at {place.data}.")


@pytest.mark.parametrize("crf", [False, True])
def test_an_image_is_predicted_as_it_was_scored(place: Place, crf: bool) -> None:
    report = json.loads((place.run.folder / "report.json").read_text())
    assert report["cluster"]["assignment"] != [0, 1, 2]
    refine = "crf" if crf else "none"
    reply = place.evaluating.image({"report": "first", "index": 3, "refine": refine})
    size = reply["square"]["size"]
    assert (reply["width"], reply["height"], reply["square"]["left"]) == (size, size, 0)
    maps = {
        name: np.frombuffer(zlib.decompress(base64.b64decode(data)), np.uint8).reshape(size, size)
        for name, data in reply["maps"].items()
    }
    truth = read_square(open_dataset(place.data, split="all"), 3, size).labels
    assert np.array_equal(maps["truth"], np.where(truth < 0, 255, truth))
    (measured,) = [one for one in report["images"] if one["index"] == 3]
    assert reply["name"] == measured["name"]
    known = maps["truth"] != 255
    scores = {"cluster": measured["cluster"], "linear": measured["linear"]}
    if crf:
        scores |= {f"{name}_crf": measured["crf"][name] for name in ("cluster", "linear")}
    assert set(maps) == {"truth", *scores}
    for name, score in scores.items():
        right = 100 * (maps[name] == maps["truth"])[known].mean()
        assert right == pytest.approx(score["accuracy"], abs=1e-3)
    assert reply["photo"].startswith("data:image/jpeg;base64,")


def test_an_evaluation_from_start_to_report(place: Place) -> None:
    started = place.evaluating.start(place.request())
    assert started["state"] == "running"
    assert "is being evaluated" in place.evaluating.start(place.request())["error"]
    wait_until(lambda: place.said()["state"] != "running", LONG)
    said = place.said()
    assert said["state"] == "done", said
    report = place.evaluating.report(said["key"])["report"]
    first = place.evaluating.report("first")["report"]
    assert report["cluster"] == first["cluster"]
    assert "crf" not in report
    assert (
        place.evaluating.reports.page(said["key"])
        .read_text(encoding="utf-8")
        .startswith("<!doctype")
    )
    newest = place.evaluating.reports.listed()[0]
    step = report["step"]
    assert (newest["key"], newest["title"]) == (said["key"], f"first (last, step {step})")
    # The folder of evaluations is taken for no run.
    assert [one["run"] for one in place.evaluating.hello(None)["checkpoints"]] == ["first"]
    assert (
        "without CRF"
        in place.evaluating.image({"report": said["key"], "index": 0, "refine": "crf"})["error"]
    )


def test_two_pages_that_delete_one_report(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (place.run.folder / "report.json").read_text()
    made = place.runs / ".evaluations" / "twice"
    made.mkdir(parents=True)
    (made / "report.json").write_text(text)
    reports = place.evaluating.reports
    found = reports.folder_of(".evaluations/twice")
    read = reporting.read_json

    def gone_at_once(file: Path) -> Any:
        report = read(file)
        shutil.rmtree(found, ignore_errors=True)
        return report

    monkeypatch.setattr(reporting, "read_json", gone_at_once)
    # Other tests of this file leave reports of theirs.
    keys = [one["key"] for one in reports.listed()]
    assert "first" in keys
    assert ".evaluations/twice" not in keys
    monkeypatch.setattr(reporting.Reports, "folder_of", lambda *_: found)
    assert "error" not in place.evaluating.remove(".evaluations/twice")

    def kept(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", kept)
    said = place.evaluating.remove(".evaluations/twice")["error"]
    assert said == "The report cannot be deleted: Permission denied."


def test_a_report_made_here_can_be_deleted_and_a_run_s_cannot(place: Place) -> None:
    made = place.run.folder.parent / ".evaluations" / "one"
    made.mkdir(parents=True)
    (made / "report.json").write_text((place.run.folder / "report.json").read_text())
    keys = [one["key"] for one in place.evaluating.reports.listed()]
    assert {"first", ".evaluations/one"} <= set(keys)
    assert [one["own"] for one in place.evaluating.reports.listed() if one["key"] == "first"] == [
        False
    ]
    assert "deleted together with the run" in place.evaluating.remove("first")["error"]
    for odd in (".evaluations/../first", ".evaluations/", "../x", "", None, ".evaluations/two"):
        assert "There is no report" in place.evaluating.remove(odd)["error"], odd
    place.evaluating.allowed = False
    assert "cannot delete" in place.evaluating.remove(".evaluations/one")["error"]
    place.evaluating.allowed = True
    assert made.is_dir()
    left = place.evaluating.remove(".evaluations/one")["reports"]
    assert not made.exists()
    assert ".evaluations/one" not in [one["key"] for one in left]
    assert (place.run.folder / "report.json").is_file()


def test_progress_is_read(place: Place) -> None:
    one = Job("k", "t", place.root, "report.json")
    for line in ("Evaluating x on cpu", "Evaluating: 1,200 of 4,800 images, 3 min left", ""):
        follow_line(one, line)
    assert one.share == 0.25
    assert one.text.endswith("3 min left")
    assert one.lines == ["Evaluating x on cpu"]


def test_cancel_ends_it_and_leaves_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(
        monkeypatch,
        "import sys, time; from pathlib import Path; "
        "out = next(word for word in sys.argv if word.startswith('--pictures=')); "
        "Path(out.removeprefix('--pictures='), 'half').touch(); "
        "print('Evaluating: 1 of 4 images', file=sys.stderr, flush=True); "
        "time.sleep(600)",
    )
    before = len(place.evaluating.reports.listed())
    key = place.evaluating.start(place.request())["key"]
    wait_until(lambda: place.said()["share"] == 0.25, LONG)
    place.evaluating.cancel(None)
    wait_until(lambda: place.said()["state"] == "cancelled", LONG)
    assert len(place.evaluating.reports.listed()) == before
    assert not (place.runs / key).exists()
    current = place.evaluating._jobs._job
    assert current is not None
    assert current.process is not None
    assert current.process.poll() is not None


def test_a_failure_says_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "import sys; print('No memory.', file=sys.stderr); sys.exit(1)")
    place.evaluating.start(place.request())
    wait_until(lambda: place.said()["state"] == "failed", LONG)
    assert place.said()["text"] == "No memory."
    assert place.said()["lines"] == []
    stand_in(monkeypatch, "import sys; sys.exit(9)")
    place.evaluating.start(place.request())  # and another may begin
    wait_until(lambda: "exit status 9" in place.said()["text"], LONG)


def test_what_is_wrong_is_said_at_its_field_before_the_start(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.evaluating.check(place.request()) == {"errors": {}}
    (tmp_path / "nothing").mkdir()
    monkeypatch.setattr("ppap.studio.checkpoints.why_unavailable", lambda: "No CRF here.")
    for changes, field, part, offers in (
        ({"data": f"{place.data}x"}, "data", "Did you mean", [str(place.data)]),
        ({"data": str(tmp_path / "nothing")}, "data", "nothing contains no images", None),
        ({"data": 5}, "data", "must be a folder", None),
        ({"split": "vall"}, "split", "Did you mean val or all?", ["val", "all"]),
        ({"split": "--crf"}, "split", "a name such as train", None),
        ({"checkpoint": None}, "checkpoint", "Choose a checkpoint", None),
        ({"checkpoint": {"file": ""}}, "checkpoint", "enter a checkpoint file", None),
        ({"checkpoint": {"run": "frst"}}, "checkpoint", "Did you mean first?", ["first"]),
        ({"crf": True}, "refine", "No CRF here.", None),
    ):
        told = place.evaluating.check(place.request(**changes))
        assert list(told["errors"]) == [field], changes
        assert part in told["errors"][field]
        assert told.get("offers") == ({field: offers} if offers else None)
        refused = place.evaluating.start(place.request(**changes))
        assert (refused["field"], refused["error"]) == (field, told["errors"][field])
    assert "true or false" in place.evaluating.check(place.request(crf="yes"))["errors"]["refine"]
    # One slip does not hide the others.
    both = place.request(checkpoint={"file": ""}, data=f"{place.data}x", split="--crf")
    assert list(place.evaluating.check(both)["errors"]) == ["checkpoint", "split", "data"]
    fine = place.request(checkpoint={"file": ""}, split="vall", data=str(place.data))
    assert list(place.evaluating.check(fine)["errors"]) == ["checkpoint", "split"]


def test_a_run_s_data_that_has_gone_is_missed_before_the_start(place: Place) -> None:
    away = place.data.rename(place.data.with_name("away"))
    try:
        told = place.evaluating.check(place.request())
    finally:
        away.rename(place.data)
    assert f"is no longer at {place.data}" in told["errors"]["data"]
    assert place.evaluating.check(place.request()) == {"errors": {}}


def test_the_command_is_a_list_of_words(place: Place, tmp_path: Path) -> None:
    strange = tmp_path / "--crf; touch x"
    strange.mkdir()
    wanted = place.evaluating.read(place.request(data=str(strange), split="val", crf=True))
    words = wanted.arguments(tmp_path / "out")
    assert words[0] == str(place.run.checkpoints / "last.pt")
    assert f"--data={strange}" in words
    assert "--split=val" in words
    assert words[words.index("--refine") + 1] == "crf"
    plain = place.evaluating.read({"checkpoint": {"run": "first"}})
    words = plain.arguments(tmp_path)
    assert f"--data={place.data}" in words  # the run's own
    assert not any(word.startswith(("--split", "--refine", "--kind")) for word in words)
    place.run.write_config(Config(dataset="folder"))
    words = place.evaluating.read({"checkpoint": {"run": "first"}}).arguments(tmp_path)
    assert {"--kind=folder", f"--data={place.data}"} <= set(words)
    place.run.config_file.unlink()
    samples = place.evaluating.read(place.request(data="samples"))
    assert "--kind=samples" in samples.arguments(tmp_path)


def test_refusals_are_sentences(place: Place) -> None:
    checkpoint = {"file": str(place.run.checkpoints / "last.pt")}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"checkpoint": {}}, "Choose a run"),
        ({"checkpoint": {"run": "../first"}}, "There is no run called"),
        ({"checkpoint": checkpoint}, "Enter the data set folder"),
        ({"data": str(place.root / "none")}, "There is no folder"),
        ({"data": 5}, "must be a folder"),
        ({"split": "--crf"}, "The split must be"),
        ({"split": "a b"}, "The split must be"),
        ({"split": "val\n--crf"}, "The split must be"),
        ({"crf": "yes"}, "CRF must be"),
    ]
    for changes, part in cases:
        assert part in place.evaluating.start(place.request(**changes))["error"], changes
    for key in ("../first", ".evaluations", ".evaluations/../first", "", None, ["first"], "data"):
        assert "There is no report" in place.evaluating.report(key)["error"]
    for index in (99, -1, True, "0", 1.5, None):
        said = place.evaluating.image({"report": "first", "index": index})
        assert "has no image" in said["error"]


def test_others_may_read_but_not_start(made: Path) -> None:
    place = Place(made, local=False)
    place.evaluating.allowed = False
    assert "cannot start" in place.evaluating.start(place.request())["error"]
    assert "report" in place.evaluating.report("first")
    place.close()


def test_a_checkpoint_that_has_changed_is_not_taken_for_the_old_one(made: Path) -> None:
    place = Place(made)
    file = place.run.checkpoints / "last.pt"
    kept = file.read_bytes()
    try:
        segmenter = load_segmenter(file).segmenter
        torch.nn.init.normal_(segmenter.linear_probe.weight)
        save_small(segmenter, file, 32, dataset="folder")
        os.utime(file, (9, 9))
        said = place.evaluating.image({"report": "first", "index": 0})
        assert "has changed since this report" in said["error"]
        file.unlink()
        said = place.evaluating.image({"report": "first", "index": 0})
        assert "no longer exists" in said["error"]
    finally:
        file.write_bytes(kept)
        place.close()


def test_damaged_reports_are_left_out(place: Place) -> None:
    for name, text in (("half", "{"), ("other", "[]"), ("foreign", '{"format": "x"}')):
        (place.runs / name).mkdir(exist_ok=True)
        (place.runs / name / "report.json").write_text(text)
    keys = [one["key"] for one in place.evaluating.reports.listed()]
    assert not {"half", "other", "foreign"} & set(keys)
    assert "cannot be read" in place.evaluating.report("half")["error"]


def test_more_than_255_classes(tmp_path: Path) -> None:
    run = run_of_many_classes(tmp_path)
    data = tmp_path / "ImageNetS300"
    sources = Sources([data], uploads=tmp_path / "uploads", any_folder=True)
    crf = CrfProcesses()
    evaluating = Evaluating(Checkpoints(tmp_path / "runs", sources), crf, folders=[])
    try:
        report = evaluating.report("many")["report"]
        assert len(report["classes"]) == 301
        reply = evaluating.image({"report": "many", "index": 2})
    finally:
        evaluating.close()
        crf.close()
    # As the page reads them: two bytes a pixel, the largest number for none.
    maps = {
        name: np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<u2").reshape(48, 48)
        for name, packed in reply["maps"].items()
    }
    truth = read_square(open_dataset(data, split="validation"), 2, 48).labels
    assert np.array_equal(maps["truth"], np.where(truth < 0, 65535, truth))
    assert set(np.unique(maps["truth"]).tolist()) == {*IDS, 65535}
    known = maps["truth"] != 65535
    (measured,) = [one for one in report["images"] if one["index"] == 2]
    for name in ("cluster", "linear"):
        right = 100 * (maps[name] == maps["truth"])[known].mean()
        assert right == pytest.approx(measured[name]["accuracy"], abs=1e-3)
    assert maps["linear"].min() > 249
    assert maps["linear"].max() > 255
    # The picture files are in the colours of their classes, too.
    strips = sorted(run.folder.glob("*-1-*.png"))
    assert strips
    shown = np.array(Image.open(strips[0]).convert("RGB"))[:, 52:100]
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 9
    assert {tuple(c) for c in np.unique(shown.reshape(-1, 3), axis=0)} - {VOID_COLOUR} == {
        tuple(report["colours"][i]) for i in IDS
    }

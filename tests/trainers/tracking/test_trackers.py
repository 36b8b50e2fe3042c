"""No tracker can harm a run: whatever it does, it is said once and the run goes on."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_runs import ALONE
from trainers.config import Config
from trainers.runs.folder import Run
from trainers.tracking import aside, trackers
from trainers.tracking.about import About, curves, read_first_line, scores_of, told
from trainers.tracking.aside import Aside, TrackerError
from trainers.tracking.asked import Asked
from trainers.tracking.identity import Known
from trainers.tracking.trackers import Trackers
from trainers.training.distributed import World
from trainers.training.records import Records

WANDB = Asked("wandb")
PYTHON = sys.executable


class Noted:
    def __init__(self, fails: str = "") -> None:
        self.fails, self.calls = fails, [""][:0]

    def _call(self, name: str) -> None:
        if name == self.fails:
            raise OSError(28, "No space left on device")
        self.calls.append(name)

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        self._call(f"{kind} {step}")

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        self._call("report")

    def close(self, *, failed: bool) -> None:
        self._call(f"failed {failed}")


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Trackers, Noted, Noted]:
    good, bad = Noted(), Noted(fails="step 2")
    found = {"wandb": good, "trackio": bad}
    monkeypatch.setattr(trackers, "require_trackers", lambda track: None)
    monkeypatch.setattr(trackers, "Aside", lambda about, asked: found[asked.name])
    return Trackers("trackio,wandb", About(tmp_path, "run", "ppap")), good, bad


def test_a_tracker_that_fails_is_left_out_and_said_once(
    made: tuple[Trackers, Noted, Noted], caplog: pytest.LogCaptureFixture
) -> None:
    all_of_them, good, bad = made
    with caplog.at_level(logging.WARNING, "trainers"):
        for step in (1, 2, 3):
            all_of_them.write("step", step, {"loss": 1.0})
        all_of_them.report(3, {"U-mIoU": 20.0})
        all_of_them.close(failed=False)
    assert good.calls == ["step 1", "step 2", "step 3", "report", "failed False"]
    assert bad.calls == ["step 1"]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(
        "trackio no longer gets this run's numbers: [Errno 28] No space left on device."
    )


def test_without_a_report_there_are_no_scores(made: tuple[Trackers, Noted, Noted]) -> None:
    all_of_them, good, _ = made
    all_of_them.report(3, {})
    all_of_them.close(failed=True)
    assert good.calls == ["failed True"]


def test_only_the_first_process_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def begin(*_: object) -> Noted:
        begun.append(Noted())
        return begun[-1]

    monkeypatch.setattr("trainers.training.records.Trackers", begin)
    for rank in (1, 0):
        world = World(rank, 2, rank, ALONE.device)
        given = Records(Config(track="wandb"), Run(tmp_path), world=world, total=4)
        given.begin(0, validated=True)
        given.close()
        assert len(begun) == (rank == 0)


# --- the process beside


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a program stand in for the tracker's process."""
    file = folder / "program"
    file.write_text(f"#!{PYTHON}\nimport sys, json, time\n{text}\n")
    file.chmod(0o700)
    monkeypatch.setattr(aside.sys, "executable", str(file))


def test_a_process_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "print('anything'); print(json.dumps({'failed': 'no such project'})); sys.exit(3)"
    program(tmp_path, text, monkeypatch)
    beside = Aside(About(tmp_path, "run", "ppap"), WANDB)
    beside.process.wait(60)
    with pytest.raises(TrackerError, match=r"^no such project$"):
        beside.write("step", 1, {"loss": 1.0})
    program(tmp_path, "sys.exit(3)", monkeypatch)
    beside = Aside(About(tmp_path, "run", "ppap"), WANDB)
    with pytest.raises(TrackerError, match="ended with status 3"):
        beside.close(failed=False)


def test_a_process_that_hangs_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "time.sleep(600)", monkeypatch)
    monkeypatch.setattr(aside, "MOST_WAITING", 300_000)
    monkeypatch.setattr(aside, "PATIENCE", 0.05)
    beside = Aside(About(tmp_path, "run", "ppap"), WANDB)
    with pytest.raises(TrackerError, match="on its own"):
        beside.close(failed=False)
    beside.process.kill()
    beside.process.wait()
    beside = Aside(About(tmp_path, "run", "ppap"), WANDB)
    with pytest.raises(TrackerError, match="more slowly than they arrive"):
        beside.report(1, {"x" * 1_000_000: 1.0})
    beside.process.wait(60)


def test_signals_to_a_run_do_not_reach_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "sys.stdin.read()", monkeypatch)
    beside = Aside(About(tmp_path, "run", "ppap"), WANDB)
    assert os.getpgid(beside.process.pid) != os.getpgid(0)
    beside.close(failed=False)


# --- what is told


def test_only_finite_numbers_are_curves() -> None:
    given = {"kind": "step", "step": 3, "loss": 0.5, "a": float("nan"), "b": None, "c": "x", "d": 1}
    assert curves("step", {**given, "on": True}) == {"step/loss": 0.5, "step/d": 1}


def test_settings_do_not_tell_where_files_lie() -> None:
    assert told({"backbone": "/home/me/secret/vit.pth", "lr": 0.1}) == {
        "backbone": "vit.pth",
        "lr": 0.1,
    }
    assert told({"backbone": "dino_vits16@/a/b.pth"})["backbone"] == "dino_vits16@b.pth"
    assert told({"backbone": "dino_vits16"})["backbone"] == "dino_vits16"


def test_the_scores_of_a_report() -> None:
    report = {"cluster": {"miou": 20.5, "accuracy": 40}, "linear": {"miou": None}}
    assert scores_of(report) == {"U-mIoU": 20.5, "U-Acc": 40.0}
    assert scores_of({"cluster": None}) == {}


def test_what_the_process_is_told_comes_through(tmp_path: Path) -> None:
    about = About(tmp_path, "run", "team/project", {"lr": 0.1}, from_step=3, known=70)
    assert read_first_line(about.first_line(WANDB)) == (about, WANDB)
    assert (about.entity, about.project_name) == ("team", "project")
    assert About(tmp_path, "run", "project").entity is None


# --- how far a tracker has been told


def test_what_was_sent_is_not_sent_again(tmp_path: Path) -> None:
    file = tmp_path / "tracking/wandb.json"
    known = Known.of(file)
    known.at("online")
    known.sent("step", 4)
    again = Known.of(file)
    again.at("online")
    assert again.id == known.id
    assert [again.has("step", 4), again.has("validation", 4), again.has("step", 5)] == [
        True,
        False,
        False,
    ]
    again.at("elsewhere")
    assert not again.has("step", 4)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"id": "../x", "name": 1}', '{"id": 1'])
def test_a_damaged_note_begins_a_new_identity(tmp_path: Path, content: str) -> None:
    file = tmp_path / "wandb.json"
    file.write_text(content)
    known = Known.of(file)
    assert known.id.isalnum()
    assert not known.has("step", 0)

"""What trackers stored of a run that failed, went on and was reported: read back by their own means
and held against ``metrics.jsonl``; and nothing was asked of a network.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.small_runs import Place
from trainers import train
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics
from trainers.tracking.about import FOLDER, About, curves, scores_of
from trainers.tracking.aside import Aside
from trainers.tracking.trackers import Trackers
from trainers.training.trainer import Trainer

MISSING = [
    name for name in ("tensorboard", "wandb", "trackio") if not importlib.util.find_spec(name)
]
pytestmark = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (requirements-track.txt)"
)

Steps = dict[int, dict[str, float]]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """All that wants to reach a network comes here instead, and somebody is logged in."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "WANDB_BASE_URL", "HF_ENDPOINT"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.lower(), address)
        for name in ("NO_PROXY", "no_proxy", "HF_HUB_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_TOKEN", "hf_" + "a" * 34)
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        monkeypatch.setenv("WANDB_MODE", "online")  # what the run says counts
        monkeypatch.setenv("TRACKIO_SPACE_ID", "me/space")
        monkeypatch.setenv("TRACKIO_WEBHOOK_URL", address)
        yield server


def asked_of(network: socket.socket) -> bool:
    """Whether anybody wanted to reach the network so far."""
    network.setblocking(False)
    try:
        network.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def in_metrics(run: Run) -> Steps:
    found: Steps = {}
    for line in read_metrics(run.metrics_file):
        found.setdefault(line["step"], {}).update(curves(line["kind"], line))
    return found


def in_tensorboard(folder: Path) -> Steps:
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    found: Steps = {}
    for tag in accumulator.Tags()["scalars"]:
        for event in accumulator.Scalars(tag):
            assert tag not in found.setdefault(event.step, {}), "a step is there twice"
            found[event.step][tag] = event.value
    return found


def in_wandb(folder: Path) -> tuple[Steps, dict[str, Any], list[dict[str, Any]]]:
    """Steps, summary and runs, as W&B's own inspector reads the only offline folder."""
    (offline,) = (folder / FOLDER / "wandb").glob("offline-run-*")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(offline)]
    quiet = {**os.environ, "WANDB_ERROR_REPORTING": "false"}  # it would count its uses
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    found: Steps = {}
    summary: dict[str, Any] = {}
    for one in records:
        if one["type"] == "history":
            step = one["history"]["item"]["_step"]
            assert step not in found, "a step is there twice"
            numbers = one["history"]["item"].items()
            found[step] = {n: value for n, value in numbers if not n.startswith("_")}
        elif one["type"] == "summary":
            summary |= one["summary"]["update"]
    return found, summary, [one["run"] for one in records if one["type"] == "run"]


def in_trackio(database: Path) -> tuple[Steps, dict[str, Any]]:
    """Steps and settings of the only run in trackio's database."""
    with closing(sqlite3.connect(database)) as opened:
        rows = opened.execute("SELECT run_id, step, metrics FROM metrics").fetchall()
        ((run, config),) = opened.execute("SELECT run_id, config FROM configs").fetchall()
    found: Steps = {}
    for of, step, text in rows:
        assert of == run
        for name, value in json.loads(text).items():
            assert name not in found.setdefault(step, {}), "a step is there twice"
            found[step][name] = value
    return found, json.loads(config)


def close_to(found: Steps, expected: Steps) -> None:
    """TensorBoard keeps numbers in single precision."""
    assert found.keys() == expected.keys()
    for step, numbers in expected.items():
        assert found[step] == pytest.approx(numbers, rel=1e-6)


def test_tensorboard_that_comes_late_is_told_what_was_before(tmp_path: Path) -> None:
    lines = [{"kind": "step", "step": step, "loss": 1 / step} for step in (1, 2, 3)]
    content = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(content)
    about = About(tmp_path, "run", "ppap", from_step=3, known=len(content))
    for step, value in ((4, 0.25), (4, 0.125)):  # the second goes on from step 3 once more
        board = Trackers("tensorboard", about)
        board.write("step", step, {"loss": value})
        board.close(failed=False)
        told = {1: 1.0, 2: 0.5, 3: 1 / 3, 4: value}
        expected = {at: {"step/loss": loss} for at, loss in told.items()}
        close_to(in_tensorboard(tmp_path / "tensorboard"), expected)


def without_report(found: Steps) -> tuple[Steps, dict[str, float]]:
    """Steps as of metrics.jsonl, and the report's scores."""
    scores = {n: v for step in found.values() for n, v in step.items() if n.startswith("report/")}
    kept = {
        step: {name: value for name, value in numbers.items() if name not in scores}
        for step, numbers in found.items()
    }
    return kept, scores


@pytest.mark.slow
def test_a_run_that_failed_went_on_and_was_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: socket.socket
) -> None:
    place = Place(tmp_path)
    home = tmp_path / "trackio"
    monkeypatch.setenv("TRACKIO_DIR", str(home))
    settings = place.config(epochs=1, track="tensorboard,wandb,trackio", checkpoint_every=2)
    after = Trainer._after_step

    def failing(self: Trainer) -> bool:
        if self.step == 4:
            raise OSError("the machine fails")  # numbers of steps 3 and 4 have been told
        return after(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_after_step", failing)
        assert train.main(place.words("run", settings)) != 0
    run = Run(tmp_path / "run")
    told_before = in_metrics(run)
    assert sorted(told_before) == [1, 2, 3, 4]
    close_to(in_tensorboard(run.folder / "tensorboard"), told_before)
    assert in_wandb(run.folder)[0] == told_before
    assert in_trackio(home / "ppap.db")[0] == told_before

    assert train.main(place.resumed("run")) == 0
    expected = in_metrics(run)
    assert sorted(expected) == [1, 2, 3, 4, 5]
    assert expected[4] != told_before[4]  # told anew: the clock went on
    report = json.loads((run.folder / "report.json").read_text())
    scores = {f"report/{name}": value for name, value in scores_of(report).items()}
    assert {"report/U-mIoU", "report/L-Acc"} <= scores.keys()

    close_to(in_tensorboard(run.folder / "tensorboard"), expected)
    close_to(in_tensorboard(run.folder / "tensorboard/report"), {5: scores})

    steps, summary, (as_told,) = in_wandb(run.folder)
    assert steps == expected
    assert scores.items() <= summary.items()
    assert as_told["project"] == "ppap"
    assert as_told["display_name"] == "run"
    config = as_told["config"]["update"]
    assert (config["rule"], config["backbone"]) == ("ppap", place.vit.name)
    assert str(tmp_path) not in json.dumps(as_told)
    assert as_told["host"] == "-"

    found, config = in_trackio(home / "ppap.db")
    assert without_report(found) == (expected, scores)
    assert (config["rule"], config["backbone"]) == ("ppap", place.vit.name)
    assert config["_Username"] is None
    log = run.log_file.read_text()
    assert "no longer gets" not in log
    assert not asked_of(network)


@pytest.mark.slow
def test_a_killed_run_leaves_what_was_told_and_two_of_one_name_stay_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: socket.socket
) -> None:
    home = tmp_path / "trackio"
    monkeypatch.setenv("TRACKIO_DIR", str(home))
    for folder in ("a", "b", "a"):
        place = tmp_path / folder / "run"
        place.mkdir(parents=True, exist_ok=True)
        trackers = Trackers("trackio", About(place, "run", "team/project", {"seed": 1}))
        trackers.write("step", 1, {"loss": 0.5})
        ((_, beside),) = trackers.told
        assert isinstance(beside, Aside)
        with beside.process as process:  # its pipes are closed, as when the run is killed
            pass
        assert process.returncode == 0
    with closing(sqlite3.connect(home / "project.db")) as opened:
        rows = opened.execute("SELECT run_name, step, metrics FROM metrics").fetchall()
    assert sorted((step, json.loads(text)) for _, step, text in rows) == [
        (1, {"step/loss": 0.5}),
        (1, {"step/loss": 0.5}),
    ]
    assert len({name for name, *_ in rows}) == 2
    assert not asked_of(network)

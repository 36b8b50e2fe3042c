"""Runs in several processes through torchrun: led, stopped, broken, and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from ppap.checkpoints.own import load_checkpoint
from tests.conftest import ROOT
from tests.support.small_runs import Place, weights
from tests.support.small_studio import wait_until
from trainers.config import Config
from trainers.engines import torchrun, worker
from trainers.engines.nodes import HEAD, NODE, NODES, Nodes, from_environment
from trainers.engines.torchrun import Failure, Leader, root_of, to_lead
from trainers.launching.orders import read_order
from trainers.launching.runner import Runner
from trainers.runs.folder import Run
from trainers.runs.launch import is_alive, read_launch
from trainers.runs.metrics import read_metrics


def failed(code: int, said: str = "", at: int = 0) -> Any:
    """As torchrun reports a process that failed."""
    return SimpleNamespace(exitcode=code, message=said or "To enable traceback see", timestamp=at)


LOST = "Process 0 of 2 has lost the others: one of them has ended. Continue with --resume."


def test_the_cause_is_told_not_what_came_of_it() -> None:
    assert root_of({0: failed(1, LOST, 7), 1: failed(-9, "Signal 9", 7)}) == Failure(1, -9, "")
    assert root_of({0: failed(1, LOST, 3), 1: failed(1, "No room.", 9)}) == Failure(
        1, 1, "No room."
    )
    assert root_of({1: failed(1, "b", 5), 0: failed(1, "a", 6)}) == Failure(1, 1, "b")
    assert root_of({0: failed(1, LOST, 3)}) == Failure(0, 1, LOST)


def test_a_failure_in_words() -> None:
    assert Failure(1, -9, "").sentence(4, "cuda:1") == (
        "Process 1 of 4, on cuda:1, was killed (SIGKILL), perhaps by the system because memory ran "
        "out. Continue with --resume."
    )
    assert Failure(3, 1, "No room.").sentence(4, "cpu") == (
        "Process 3 of 4, on cpu, failed: No room."
    )
    assert "exit status 3; its last lines" in Failure(0, 3, "").sentence(2, "cpu")


def outcome(run: Run, error: BaseException | None, asked: signal.Signals | None = None) -> int:
    leader = Leader([], run, ("cuda:0", "cuda:2"))
    leader.error, leader.asked = error, asked
    return leader.outcome(began=0.0)


def broken(failures: dict[int, Any]) -> ChildFailedError:
    error = ChildFailedError.__new__(ChildFailedError)
    error.failures = failures
    return error


def test_how_it_ended_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path)
    run.write_config(Config())
    run.write_state("running", step=3)
    assert outcome(run, None) == 0
    # One that had nothing to save yet when it was told to stop.
    assert outcome(run, broken({1: failed(-15)}), signal.SIGTERM) == 143
    # Wrong arguments: said once, and the run's folder is as it was.
    assert outcome(run, broken({1: failed(2, "There is no GPU.")})) == 2
    assert capsys.readouterr().err == "There is no GPU.\n"
    # The first process has said and written its own reason.
    assert outcome(run, broken({0: failed(1, "The loss is no number.")})) == 1
    assert run.state()["state"] == "running"
    assert outcome(run, broken({1: failed(-9), 0: failed(1, LOST)})) == 1
    assert run.state()["state"] == "failed"
    assert run.state()["reason"].startswith("Process 1 of 2, on cuda:2, was killed (SIGKILL)")
    assert outcome(run, RuntimeError("The port is taken.\nmore")) == 1
    assert "cannot connect to each other: The port is taken. Continue" in run.state()["reason"]


def test_only_one_process_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "WORLD_SIZE", NODES):
        monkeypatch.delenv(name, raising=False)
    config = Config(device="cpu", devices="2")
    share = to_lead(config)
    assert share is not None
    assert share.count == 2
    assert to_lead(Config(device="cpu")) is None
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "7")
    assert to_lead(config) is None
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert to_lead(config) is None


def test_the_machines_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (NODES, NODE, HEAD):
        monkeypatch.delenv(name, raising=False)
    assert from_environment() == Nodes()
    assert "--standalone" in Nodes().words()
    for name, value in {NODES: "3", NODE: "1", HEAD: "node7:21234"}.items():
        monkeypatch.setenv(name, value)
    found = from_environment()
    assert found == Nodes(3, 1, "node7:21234")
    assert found.words() == [
        "--nnodes=3",
        "--node-rank=1",
        "--master-addr=node7",
        "--master-port=21234",
    ]
    share = to_lead(Config(device="cpu", batch=6))
    assert share is not None  # one process here, and others elsewhere


def test_a_process_ends_with_its_leader(tmp_path: Path) -> None:
    """Even where the leader is killed, which can tell nobody."""
    follow = (
        "import os, time\n"
        "from trainers.engines import worker\n"
        "worker.LOOK_SECONDS = 0.05\n"
        "worker.follow_leader()\n"
        "open('follows', 'w').write(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    script = (
        "import os, subprocess, sys\n"
        f"environment = {{**os.environ, {worker.LEADER!r}: str(os.getpid()), 'WORLD_SIZE': '2'}}\n"
        f"subprocess.run([sys.executable, '-c', {follow!r}], env=environment)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    leader = subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment)
    file = tmp_path / "follows"
    wait_until(lambda: file.exists() and bool(file.read_text()))
    follower = psutil.Process(int(file.read_text()))
    leader.kill()
    leader.wait()
    wait_until(lambda: not follower.is_running() or follower.status() == psutil.STATUS_ZOMBIE)


def test_a_last_word_is_left_where_torchrun_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(worker.WORD, str(tmp_path / "word.json"))
    worker.leave_word("No room.")
    assert json.loads((tmp_path / "word.json").read_text())["message"] == "No room."
    monkeypatch.setenv(worker.WORD, str(tmp_path / "nowhere/word.json"))
    worker.leave_word("No room.")  # nowhere to write it is no failure of its own


def process_of(runner: Runner, name: str, rank: int) -> psutil.Process:
    """One of the processes of a run."""
    launch = read_launch(runner.root / name)
    assert launch is not None
    assert launch.trainer is not None
    children = psutil.Process(launch.trainer.pid).children()
    return next(one for one in children if one.environ().get("RANK") == str(rank))


@pytest.mark.slow
def test_two_processes_from_the_queue_break_and_go_on_in_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Their weights are those of one process; one is killed; then one process goes on."""
    place = Place(tmp_path)
    config = place.config(
        batch=4, epochs=2000, checkpoint_every=1, keep=1000, validate_every=0, optimizer="adam"
    )
    words = place.words("two", config)
    changes = dict(word.split("=", 1) for word in words[words.index("--set") + 1 :])
    raw = {"recipe": words[0], "name": "two", "data": str(place.data)}
    order, errors = read_order({**raw, "settings": {**changes, "devices": "2"}})
    assert order is not None, errors
    runner = Runner(tmp_path / "runs", cache=place.cache, patience=60)
    run = Run(runner.root / "two")
    try:
        assert runner.start(order).device == "cpu"
        wait_until(lambda: len(run.steps()) >= 3, 120)
        process_of(runner, "two", 1).send_signal(signal.SIGKILL)
        wait_until(lambda: not is_alive(run.folder), 120)
        found = runner.standing("two")
        assert (found.state, found.code) == ("failed", 1)
        assert found.text.startswith("Process 1 of 2, on cpu, was killed (SIGKILL)")
    finally:
        if is_alive(run.folder):
            runner.stop("two", now=True)
        wait_until(lambda: not is_alive(run.folder), 60)
    assert "Traceback" not in (run.folder / "console.txt").read_text()
    trainer = place.trainer("runs/two", config)  # goes on from the last checkpoint, in one
    assert trainer.step >= 3
    trainer.close()
    assert "each batch was shared by 2 processes, and from here on by one" in caplog.text

    place.train("one", config, steps=3)
    alone = Run(tmp_path / "one")
    ours, theirs = (
        [line for line in read_metrics(one.metrics_file) if line["step"] <= 3]
        for one in (run, alone)
    )
    for step, line in enumerate(theirs):
        for number in ("loss", "cluster_loss", "linear_loss", "positives", "gradient_norm"):
            assert ours[step][number] == pytest.approx(line[number], rel=1e-4), number
    trained = load_checkpoint(run.checkpoints / "step-00000003.pt").trained.tensors
    for name, weight in weights(alone).items():
        assert (trained[name] - weight).norm() <= 1e-4 * weight.norm(), name


def test_signals_reach_each_process_once_and_again_when_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[int, int]] = []

    class Child:
        def __init__(self, pid: int, words: list[str]) -> None:
            self.pid, self.words = pid, words

        def cmdline(self) -> list[str]:
            return self.words

        def send_signal(self, number: int) -> None:
            sent.append((self.pid, number))

    children = [Child(1, ["python", "-m", "trainers.train"]), Child(2, ["sleep", "1"])]
    me = SimpleNamespace(children=lambda: children)
    monkeypatch.setattr(torchrun.psutil, "Process", lambda: me)
    leader = Leader([], Run(Path("nowhere")), ("cpu", "cpu"))
    leader._take(signal.SIGTERM, None)
    assert sent == []  # those that are not there yet are told in time
    assert leader.signal_all(signal.SIGTERM) == {1}
    assert leader.signal_all(signal.SIGTERM, but={1}) == set()
    leader._take(signal.SIGINT, None)
    assert sent == [(1, signal.SIGTERM), (1, signal.SIGINT)]

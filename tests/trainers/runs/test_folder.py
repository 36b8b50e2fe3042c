from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ppap.settings import SettingError
from tests.conftest import ROOT
from trainers.config import Config
from trainers.processes import process_started
from trainers.runs.folder import (
    BEST,
    LAST,
    REPORTED,
    Run,
    RunError,
    locked,
    process_identity,
    write_text,
)
from trainers.runs.log import end_log, start_log
from trainers.runs.metrics import Metrics, cut, read_metrics


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Run(tmp_path / "run")
    made.checkpoints.mkdir(parents=True)
    return made


def checkpoint(run: Run, step: int) -> Path:
    file = run.checkpoints / f"step-{step:08d}.pt"
    file.write_text(str(step))
    return file


# --- configuration and state


def test_the_configuration(tmp_path: Path) -> None:
    run = Run(tmp_path / "new/run")
    assert not run.exists()
    with pytest.raises(RunError, match=r"run is not a run: it has no config\.json"):
        run.config()
    config = Config(phi0=0.3, backbone="Ünü.pth")
    run.write_config(config)
    assert run.exists()
    assert run.config() == config


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("{", RunError, r"config\.json cannot be read"),
        ("[1]", RunError, "does not contain a configuration"),
        ('{"phi": 1}', SettingError, "Did you mean phi0"),
        ('{"phi0": 7}', SettingError, "phi0 must be a number from -1 to 1"),
    ],
)
def test_a_configuration_that_is_none(
    run: Run, text: str, error: type[Exception], said: str
) -> None:
    run.config_file.write_text(text)
    with pytest.raises(error, match=said):
        run.config()


def test_the_state_says_who_and_when(run: Run) -> None:
    assert run.state() == {}
    before = time.time()
    run.write_state("running", step=3, steps=9, data="/data", time_left=math.nan)
    state = run.state()
    assert (state["state"], state["step"], state["steps"], state["data"]) == (
        "running", 3, 9, "/data",
    )  # fmt: skip
    assert state["pid"] == os.getpid()
    assert state["started"] == process_started(os.getpid())
    assert before <= state["time"] <= time.time()
    assert state["time_left"] is None  # JSON has no NaN
    # What is not said anew about the data and the steps lasts; the rest does not.
    run.write_state("failed", reason="why")
    state = run.state()
    assert (state["state"], state["step"], state["data"]) == ("failed", 3, "/data")
    assert "time_left" not in state
    run.state_file.write_text('{"state": "run')
    assert run.state() == {}
    run.state_file.write_text("[]")
    assert run.state() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="processes are told apart by /proc")
def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        began, own = process_started(child.pid), process_identity()["started"]
        assert began is not None
        assert own is not None
        assert began > own
    finally:
        child.communicate(b"\n")
    assert process_started(child.pid) is None


# --- checkpoints


def test_numbered_checkpoints(run: Run) -> None:
    assert run.steps() == []
    assert run.latest() is None
    for step in (30, 4, 1000):
        checkpoint(run, step)
    for other in ("last.pt", ".step-00000050.pt.x.partial", "step-00000007.pt.old"):
        (run.checkpoints / other).touch()
    assert [file.read_text() for file in run.steps()] == ["4", "30", "1000"]
    assert run.latest() == run.checkpoints / "step-00001000.pt"


def test_names_are_links_that_outlive_the_number(run: Run) -> None:
    first, second = checkpoint(run, 1), checkpoint(run, 2)
    run.link(first, BEST)
    run.link(second, LAST)
    assert (run.checkpoints / BEST).samefile(first)
    run.link(second, LAST)  # again, which changes nothing
    assert (run.checkpoints / LAST).read_text() == "2"
    run.thin_out(1)
    assert run.steps() == [second]
    assert (run.checkpoints / BEST).read_text() == "1"
    run.link(second, BEST)
    assert (run.checkpoints / BEST).read_text() == "2"
    assert not list(run.checkpoints.glob(".*"))


def test_a_disk_without_links(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not here")

    monkeypatch.setattr(os, "link", refuse)
    run.link(checkpoint(run, 3), BEST)
    run.thin_out(1)
    checkpoint(run, 4)
    run.thin_out(1)
    assert (run.checkpoints / BEST).read_text() == "3"


@pytest.mark.parametrize(("keep", "left"), [(1, "5"), (2, "45"), (9, "12345")])
def test_the_newest_are_kept(run: Run, keep: int, left: str) -> None:
    for step in range(1, 6):
        checkpoint(run, step)
    run.thin_out(keep)
    assert "".join(file.read_text() for file in run.steps()) == left


def test_what_lies_behind_the_newest_neither_counts_nor_goes(run: Run) -> None:
    """A run goes on from 2 where 4 and 5 are damaged."""
    for step in (1, 2, 4, 5):
        checkpoint(run, step)
    run.thin_out(1, checkpoint(run, 3))
    assert "".join(file.read_text() for file in run.steps()) == "345"
    run.thin_out(1, checkpoint(run, 6))
    assert "".join(file.read_text() for file in run.steps()) == "6"


def test_which_is_evaluated(run: Run) -> None:
    with pytest.raises(RunError, match="has no checkpoint yet"):
        run.to_evaluate()
    run.link(checkpoint(run, 1), LAST)
    assert run.to_evaluate().name == LAST
    run.link(checkpoint(run, 1), BEST)
    assert run.to_evaluate().name == LAST
    run.link(checkpoint(run, 1), REPORTED)
    assert run.to_evaluate().name == REPORTED


def test_what_a_killed_process_left_is_cleared(run: Run) -> None:
    run.pictures.mkdir()
    left = [folder / ".a.png.xyz.partial" for folder in (run.folder, run.checkpoints, run.pictures)]
    for file in (*left, run.folder / ".hidden", run.folder / "a.partial"):
        file.touch()
    run.clear()
    assert not any(file.exists() for file in left)
    assert (run.folder / ".hidden").exists()
    assert (run.folder / "a.partial").exists()
    Run(run.folder / "nothing").clear()


# --- the lock


HOLDS = """
    import sys, time
    from pathlib import Path
    from trainers.runs.folder import Run, RunError, locked
    try:
        with locked(Run(Path(sys.argv[1]))):
            print("held", flush=True)
            input()
    except RunError as error:
        print(error, flush=True)
"""


def another(run: Run, script: str = HOLDS) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(run.folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.slow
def test_one_process_at_a_time(run: Run) -> None:
    run.write_state("running", step=1)
    with another(run) as other:
        assert said(other) == "held"
        with pytest.raises(RunError, match=r"being trained by another process \(\d+\)\. Wait"):
            locked(run).__enter__()
        other.send_signal(signal.SIGKILL)
        other.wait()
        # Its lock ended with it.
        with locked(run), another(run) as third:
            assert "being trained by another process" in said(third)
    with locked(run):
        pass


LEAVES_A_CHILD = """
    import os, sys, time
    from pathlib import Path
    from trainers.runs.folder import Run, locked
    with locked(Run(Path(sys.argv[1]))):
        child = os.fork()
        if child == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
            os._exit(0)
        time.sleep(60)
"""


def test_a_child_does_not_hold_on_to_it(run: Run) -> None:
    """A reader that outlives its killed trainer must not keep the run from going on."""
    with another(run, LEAVES_A_CHILD) as other:
        child = int(said(other))
        with pytest.raises(RunError):
            locked(run).__enter__()
        other.kill()
        other.wait()
        try:
            with locked(run):
                os.kill(child, 0)  # it is still there
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(
            RunError, match=r"A run cannot be written to .*file/run: .* Choose another --out"
        ),
        locked(Run(tmp_path / "file/run")),
    ):
        pass


# --- metrics


def test_lines_of_numbers(run: Run) -> None:
    metrics = Metrics(run, from_step=0)
    metrics.write("step", 1, loss=0.5, precision=math.nan, left=None)
    metrics.write("validation", 1, split="Straße", score=math.inf)
    # Whoever looks meanwhile sees whole lines.
    assert read_metrics(run.metrics_file) == [
        {"kind": "step", "step": 1, "loss": 0.5, "precision": None, "left": None},
        {"kind": "validation", "step": 1, "split": "Straße", "score": None},
    ]
    metrics.close()
    assert "Straße" in run.metrics_file.read_text(encoding="utf-8")
    assert read_metrics(run.folder / "nothing.jsonl") == []


def steps_left(run: Run, from_step: int, *, validated: bool = True) -> list[tuple[str, int]]:
    Metrics(run, from_step=from_step, validated=validated).close()
    return [(line["kind"], line["step"]) for line in read_metrics(run.metrics_file)]


def test_what_comes_again_is_cut_off(run: Run) -> None:
    lines = [("step", 1), ("step", 2), ("validation", 2), ("step", 3), ("validation", 4)]
    text = "".join(json.dumps({"kind": kind, "step": step}) + "\n" for kind, step in lines)
    for from_step, validated, left in (
        (9, True, lines),
        (2, True, lines[:3]),
        (2, False, lines[:2]),  # its validation is still to come
        (3, False, lines[:4]),
        (0, True, []),
    ):
        run.metrics_file.write_text(text)
        assert steps_left(run, from_step, validated=validated) == left


def test_a_torn_line_is_none(run: Run) -> None:
    whole = '{"kind": "step", "step": 1}\n'
    for torn in ('{"kind": "step", "st', '{"kind": "step", "step": 2}', "\n", "[]\n", '{"a": 1}\n'):
        run.metrics_file.write_text(whole + torn)
        assert cut(run.metrics_file.read_bytes(), 9).lines == [whole.encode()]
        assert len(read_metrics(run.metrics_file)) == 1


# --- small files and the log


def test_small_files_are_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    file = run.folder / "a.json"
    write_text(file, "one")

    def fail(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", fail)
    with pytest.raises(OSError, match="No space"):
        write_text(file, "another")
    assert file.read_text() == "one"
    assert not list(run.folder.glob(".*"))


def test_the_log(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    start_log(run.log_file).info("ready")
    logging.getLogger("trainers.cache").warning("a page is damaged")
    start_log(run.log_file, quiet=True).info("again")  # closes the first
    end_log()
    logging.getLogger("trainers").info("to nobody")
    lines = run.log_file.read_text().splitlines()
    assert [line[20:] for line in lines] == ["ready", "a page is damaged", "again"]
    assert all(time.strptime(line[:19], "%Y-%m-%d %H:%M:%S") for line in lines)
    assert capsys.readouterr().err == "ready\na page is damaged\n"


def test_paths_of_another_encoding_are_kept(tmp_path: Path) -> None:
    name = os.fsdecode(b"/data/Pr\xfcfung")
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    run.write_state("running", data=name)
    assert run.state()["data"] == name
    # What is typed again from there must name the same folder.
    write_text(tmp_path / "command.txt", f"--data {name}\n")
    assert (tmp_path / "command.txt").read_bytes() == b"--data /data/Pr\xfcfung\n"

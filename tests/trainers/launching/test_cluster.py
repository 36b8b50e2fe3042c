"""Runs that are jobs: on a SLURM of their own where there is one (``.ci/slurm.sh start``)."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ppap.settings import SettingError
from tests.support.small_studio import wait_until
from tests.trainers.launching.test_runner import NEEDS, PRETENDER
from trainers.launching import cluster, orders, runner
from trainers.launching.cluster import Lookout, code_of, refresh
from trainers.launching.estimates import Estimate
from trainers.launching.orders import Order, command_line, read_order
from trainers.launching.runner import Runner
from trainers.runs.folder import RunError
from trainers.runs.launch import Launch, is_alive, read_launch, write_launch
from trainers.runs.standing import Standing, standing
from trainers.slurm import commands
from trainers.slurm.commands import SlurmError
from trainers.slurm.jobs import GONE, Job
from trainers.slurm.options import VARIABLE

# Of a SLURM that was started for tests; no other is ever sent anything.
OWN, REQUIRED = "PPAP_TEST_SLURM", "PPAP_REQUIRE_SLURM"


class OnCluster(Runner):
    """A runner whose runs pretend."""

    def estimate(self, order: Order) -> Estimate:
        return replace(NEEDS, device="SLURM")

    def send(self, name: str, does: str = "", **slurm: Any) -> Standing:
        settings = {"device": "cpu", **({"train_split": does} if does else {})}
        raw = {"recipe": "samples", "name": name, "settings": settings}
        order, errors = read_order({**raw, "on": "slurm", "slurm": slurm})
        assert order is not None, errors
        return self.start(order)

    def wait(self, name: str, *states: str, seconds: float = 60) -> Standing:
        def there() -> bool:
            return next(one for one in self.runs() if one.name == name).state in states

        wait_until(there, seconds)
        return self.standing(name)

    def job(self, name: str) -> Job:
        launch = read_launch(self.root / name)
        assert launch is not None
        assert launch.job is not None
        return launch.job


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OnCluster]:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    monkeypatch.setattr(cluster, "EVERY", 0.2)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.toml"))
    made = OnCluster(tmp_path / "runs")
    yield made
    for folder in cluster.open_jobs(made.root).values():
        subprocess.run(["scancel", made.job(folder.name).number], check=False)


@pytest.fixture
def real(runs: OnCluster) -> OnCluster:
    """With a real SLURM behind it."""
    if not os.environ.get(OWN) or shutil.which("sbatch") is None:
        if os.environ.get(REQUIRED):
            pytest.fail("there is no SLURM for tests, which is required here")
        pytest.skip("there is no SLURM for tests: .ci/slurm.sh start, as root on Debian")
    return runs


def scontrol(*words: str) -> None:
    subprocess.run(["scontrol", *words], check=True, capture_output=True)


def test_a_job_waits_runs_is_stopped_goes_on_and_is_found_by_another_studio(
    real: OnCluster,
) -> None:
    assert real.send("one", extra="--begin=now+1hour").state == "queued"
    wait_until(lambda: real.runs()[0].text.endswith("until its start time."), 60)
    scontrol("update", f"JobId={real.job('one').number}", "StartTime=now")
    other = Runner(real.root)  # a studio that was started anew
    wait_until(lambda: other.runs()[0].state == "running", 60)
    wait_until(lambda: other.standing("one").step == 5, 60)
    found = other.runs()[0]
    assert found.device.startswith(f"SLURM job {real.job('one').number} on n")
    assert found.device in found.text
    assert "pretend_run.py" in other.script("one")
    with pytest.raises(RunError, match="is running: stop it before it is deleted"):
        other.delete("one")
    assert other.stop("one").state == "stopping"
    assert real.wait("one", "stopped").text == ""
    assert (real.root / "one/checkpoints/step-00000005.pt").exists()
    assert real.standing("one").resumable
    assert real.resume("one").state == "queued"
    scontrol("update", f"JobId={real.job('one').number}", "StartTime=now")
    assert real.wait("one", "finished").code == 0
    assert other.about("one")["on"] == "slurm"


def test_what_others_do_to_jobs_is_seen(real: OnCluster) -> None:
    real.send("cancelled")
    real.send("waiting", extra="--begin=now+1hour")
    real.send("failing", "fails")
    real.wait("cancelled", "running")
    # The signal of a plain scancel is as good as a stop; but nobody here asked for one.
    subprocess.run(["scancel", real.job("cancelled").number], check=True)
    assert real.stop("waiting").state in ("stopping", "stopped")
    found = real.wait("cancelled", "stopped")
    assert found.text.startswith("It was cancelled in SLURM (job ")
    assert found.resumable
    assert real.wait("waiting", "stopped").text == "Stopped: it starts over when resumed."
    found = real.wait("failing", "failed")
    assert (found.text, found.code) == ("The loss is no number.", 1)
    with pytest.raises(SettingError, match=r"SLURM refused: .*invalid partition") as refused:
        real.send("refused", partition="nowhere")
    assert refused.value.field == "slurm.partition"
    assert not (real.root / "refused").exists()


def test_a_time_limit_is_met_by_a_checkpoint_and_gone_on_from(real: OnCluster) -> None:
    # SLURM looks at time limits twice a minute.
    real.send("long", time="1", warning=58)
    real.wait("long", "running")
    number = real.job("long").number

    def requeued() -> bool:
        real.runs()
        return real.job("long").waits()

    wait_until(requeued, 120)
    assert real.standing("long").state == "queued"
    assert (real.root / "long/checkpoints/step-00000005.pt").exists()

    asked_at = 0.0

    def finished() -> bool:
        # It would wait for half a minute, which SLURM may set anew until the job has left its node.
        nonlocal asked_at
        if requeued() and time.monotonic() - asked_at > 3:
            asked_at = time.monotonic()
            subprocess.run(["scontrol", "update", f"JobId={number}", "StartTime=now"], check=False,
                           capture_output=True)  # fmt: skip
        return real.standing("long").state == "finished"

    try:
        wait_until(finished, 480)
    except AssertionError:
        shown = subprocess.run(["scontrol", "show", "job", number], capture_output=True, text=True)
        console = (real.root / "long/console.txt").read_text()
        pytest.fail(f"{real.standing('long')}\n{shown.stdout}\n{console}")
    found = real.standing("long")
    assert real.job("long").number == number
    assert found.step == 10
    console = (real.root / "long/console.txt").read_text()
    assert "The time limit is close: the job is queued again and will continue." in console


# --- with stand-ins for SLURM


def sent(folder: Path, job: Job, **known: Any) -> Path:
    """A run that was sent some time ago."""
    folder.mkdir(parents=True, exist_ok=True)
    began = known.pop("began", time.time() - 100)
    write_launch(folder, Launch((), "slurm", "cpu", began, began=began, job=job, **known))
    return folder


def said(folder: Path, state: str, **facts: Any) -> None:
    from trainers.runs.folder import Run

    Run(folder).write_state(state, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("job", "word", "state", "text"),
    [
        ("RUNNING", None, "running", "Preparing: data, backbone, cached features. SLURM job 7"),
        ("TIMEOUT", None, "failed", "SLURM's time limit ended it (job 7): it starts over when"),
        ("TIMEOUT", "stopped", "stopped", "SLURM's time limit ended it (job 7): it starts over"),
        ("TIMEOUT", "running", "failed", "SLURM's time limit ended it (job 7): it starts over"),
        ("NODE_FAIL", "running", "failed", "One of its nodes failed (job 7): it starts over when"),
        (
            "OUT_OF_MEMORY",
            None,
            "failed",
            "It used more memory than SLURM had allocated to it (job 7)",
        ),
        ("CANCELLED", "running", "stopped", "It was cancelled in SLURM (job 7): it starts over"),
        ("FAILED", "failed", "failed", "The disk is full."),
        ("COMPLETED", "stopped", "stopped", ""),
        ("COMPLETED", "finished", "finished", ""),
        ("CANCELLED", "finished", "finished", ""),
        (GONE, "finished", "finished", ""),
        (GONE, "running", "failed", "SLURM no longer knows it (job 7): it starts over"),
    ],
)
def test_what_the_folder_and_slurm_say_together(
    tmp_path: Path, job: str, word: str | None, state: str, text: str
) -> None:
    folder = sent(tmp_path / "one", Job("7", job))
    if word is not None:
        facts = {"reason": "The disk is full."} if word == "failed" else {}
        said(folder, word, **facts)
    launch = read_launch(folder)
    assert launch is not None
    assert launch.alive() is (job == "RUNNING")
    found = standing(folder)
    assert found.state == state
    assert found.text.startswith(text)
    if not text:
        assert found.text == ""


def test_an_earlier_attempts_word_does_not_count(tmp_path: Path) -> None:
    folder = sent(tmp_path / "one", Job("7", "FAILED"), began=time.time() + 50)
    said(folder, "finished")
    assert standing(folder).state == "failed"


def test_news_are_noted_down_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sent(tmp_path / "one", Job("7"))
    fresh = sent(tmp_path / "two", Job("8"), began=time.time())
    seen = {"7": Job("7", "RUNNING", "None", "n1"), "8": Job("8", GONE)}
    monkeypatch.setattr(commands, "look", lambda numbers: {n: seen[n] for n in numbers})
    refresh(tmp_path)
    launch = read_launch(folder)
    assert launch is not None
    assert launch.job == seen["7"]
    assert is_alive(fresh)  # one that was just sent may not be known everywhere
    before = (folder / "launch.json").stat().st_mtime_ns
    refresh(tmp_path)
    assert (folder / "launch.json").stat().st_mtime_ns == before
    (folder / "slurm-code.txt").write_text("7 143\n")
    seen["7"] = Job("7", "CANCELLED")
    refresh(tmp_path)
    launch = read_launch(folder)
    assert launch is not None
    assert launch.ended is not None
    assert launch.code == -15
    assert "7" not in cluster.open_jobs(tmp_path)


def test_the_shells_note_is_believed_only_of_its_own_job(tmp_path: Path) -> None:
    assert code_of(tmp_path, "7") is None
    for note, code in {
        "7 1": 1,
        "7 0\n": 0,
        "7 137": -9,
        "6 1": None,
        "7 x": None,
        "7": None,
    }.items():
        (tmp_path / "slurm-code.txt").write_text(note)
        assert code_of(tmp_path, "7") == code


def test_a_slurm_that_does_not_answer_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sent(tmp_path / "one", Job("7", "RUNNING"))

    def silent(numbers: list[str]) -> dict[str, Job]:
        raise SlurmError("SLURM is not responding (squeue).")

    monkeypatch.setattr(commands, "look", silent)
    lookout = Lookout(tmp_path)
    lookout.look()
    wait_until(lambda: lookout.problem == "SLURM is not responding (squeue).")
    assert standing(folder).state == "running"


def test_orders_for_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "slurm.toml"))
    (tmp_path / "slurm.toml").write_text('partition = "gpu"\ntime = "12:00:00"\n')
    monkeypatch.setattr(orders, "why_absent", lambda: "")
    raw = {"recipe": "samples", "name": "one", "settings": {"batch": "8"}, "on": "slurm"}

    def read(**more: Any) -> Any:
        order, errors = read_order({**raw, **more})
        return errors if order is None else order

    order = read(slurm={"gpus": "4", "partition": "", "time": "1-0"})
    assert order.slurm.partition == "gpu"
    assert order.slurm.time == "1-0"
    assert order.config.devices == "all"  # a process on each GPU
    line = command_line(order.about(), Path("runs/one"))
    assert line.endswith("--on slurm --slurm partition=gpu time=1-0 gpus=4")
    assert read(slurm={"gpus": 4}, settings={"batch": "8", "devices": "2"}).config.devices == "2"
    assert read(slurm={}).config.devices == "1"
    assert list(read(slurm={"partition": "a b"})) == ["slurm.partition"]
    assert list(read(slurm={"nodes": 3})) == ["batch"]
    assert list(read(slurm={"gpus": 1}, settings={"device": "cpu"})) == ["slurm.gpus"]
    assert list(read(settings={"device": "cuda:1"})) == ["device"]
    assert list(read(slurm={"gpus": 1}, settings={"devices": "2", "batch": "8"})) == ["devices"]
    assert list(read(slurm="gpus=4")) == ["slurm"]
    assert list(read(on="the moon")) == ["on"]
    assert read(on="here").slurm is None
    monkeypatch.setattr(orders, "why_absent", lambda: "There is no SLURM here.")
    assert read() == {"on": "There is no SLURM here."}


def test_a_name_that_is_no_job_cannot_be_read_back(tmp_path: Path) -> None:
    folder = sent(tmp_path / "one", Job("7"))
    text = (folder / "launch.json").read_text()
    (folder / "launch.json").write_text(text.replace('"7"', "7"))
    assert read_launch(folder) is None


def test_where_a_run_goes_on_can_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "PROGRAM", (str(PRETENDER),))
    folder = sent(tmp_path / "one", Job("7", "TIMEOUT"), ended=time.time(), about={
        "recipe": "samples", "data": None, "settings": {"devices": "2"}, "config": {},
        "slurm": {"gpus": 2},
    })  # fmt: skip
    (folder / "config.json").write_text('{"recipe": "samples", "devices": "2", "batch": 8}')
    made = Runner(tmp_path)
    with pytest.raises(SettingError, match="seed cannot change in the middle"):
        made.resume("one", {"seed": "1"})
    with pytest.raises(SettingError, match="divide among 3"):
        made.resume("one", {"devices": "3", "device": "cpu"}, {"on": "here"})
    made.resume("one", {"devices": "1", "device": "cpu"}, {"on": "here"})
    launch = read_launch(folder)
    assert launch is not None
    assert launch.job is None
    assert launch.arguments[-3:] == ("--set", "devices=1", "device=cpu")
    assert "slurm" not in launch.about
    wait_until(lambda: made.standing("one").state == "finished")

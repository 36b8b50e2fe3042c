"""The script of a job, run by a real shell with stand-ins for the trainer and for scontrol."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.small_studio import wait_until
from trainers.slurm.options import Options
from trainers.slurm.script import CODE, directives, script

TRAINER = """
import json, os, signal, sys, time
run = sys.argv[-1]
open(os.path.join(run, "words"), "a").write(" ".join(sys.argv[1:-1]) + "\\n")
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
open(os.path.join(run, "config.json"), "w").write("{}")
if "quick" not in sys.argv:
    while not asked:
        time.sleep(0.01)
json.dump({"state": "stopped" if asked else "finished"}, open(run + "/state.json", "w"), indent=1)
sys.exit(0 if "quick" not in sys.argv else 3)
"""


class Job:
    """A script, and the shell that runs it as SLURM would."""

    def __init__(self, folder: Path) -> None:
        self.run = folder / "my run's"
        self.run.mkdir()
        self.tools = folder / "tools"
        self.tools.mkdir()
        (self.tools / "trainer.py").write_text(TRAINER)
        scontrol = self.tools / "scontrol"
        scontrol.write_text(f'#!/bin/sh\necho "$@" >> {self.tools}/asked\n')
        scontrol.chmod(0o755)

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        text = script(
            self.run,
            Options(),
            [*words, "begins", str(self.run)],
            ["resumes", str(self.run)],
            ["export FROM_SETUP=1"],
            program=[str(self.tools / "trainer.py")],
        )
        file = self.tools / "job.sh"
        file.write_text(text)
        return subprocess.Popen(
            ["bash", str(file)],
            env={**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}", "SLURM_JOB_ID": "12"},
            stdout=subprocess.DEVNULL,
        )

    def begun(self) -> list[str]:
        wait_until((self.run / "config.json").exists)
        return (self.run / "words").read_text().split("\n")[:-1]

    def asked(self) -> str:
        file = self.tools / "asked"
        return file.read_text() if file.exists() else ""


def test_the_warning_before_the_time_limit_puts_it_back_and_it_goes_on(tmp_path: Path) -> None:
    job = Job(tmp_path)
    shell = job.begin()
    assert job.begun() == ["begins"]
    shell.send_signal(signal.SIGUSR1)
    assert shell.wait(20) == 0
    assert job.asked() == "requeue 12\n"
    assert (job.run / CODE).read_text() == "12 0\n"
    shell = job.begin()
    wait_until(lambda: job.begun() == ["begins", "resumes"])
    (job.run / "state.json").unlink()
    shell.send_signal(signal.SIGTERM)
    assert shell.wait(20) == 0
    assert (job.run / "state.json").exists()
    assert job.asked() == "requeue 12\n"  # whoever stops it wants no more


def test_an_end_of_its_own_is_noted_and_nothing_put_back(tmp_path: Path) -> None:
    job = Job(tmp_path)
    assert job.begin("quick").wait(20) == 3
    assert (job.run / CODE).read_text() == "12 3\n"
    assert job.asked() == ""


def test_what_sbatch_is_told(tmp_path: Path) -> None:
    asked = Options(partition="gpu", account="lab", gpus=4, cpus=16, memory="64G", time="2:00:00",
                    nodes=2, extra=("--constraint=a100",))  # fmt: skip
    told = directives(tmp_path / "my-run", asked)
    for one in ("--partition=gpu", "--account=lab", "--gpus-per-node=4", "--cpus-per-task=16",
                "--mem=64G", "--time=2:00:00", "--nodes=2", "--constraint=a100", "--requeue",
                "--signal=B:USR1@120", "--job-name=ppap-my-run"):  # fmt: skip
        assert one in told
    assert not any(one.startswith(("--qos", "--gpus")) for one in directives(tmp_path, Options()))
    # A share is no pattern of SLURM's.
    assert f'--output="{tmp_path}/50%%/console.txt"' in directives(tmp_path / "50%", Options())


@pytest.mark.parametrize("nodes", [1, 2])
def test_it_is_a_script_whatever_it_is_about(tmp_path: Path, nodes: int) -> None:
    words = ["camvid", "--data=/my {run} data", "--set", "backbone=$(id)'\"`"]
    text = script(tmp_path / "r", Options(nodes=nodes), words, ["--resume"])
    file = tmp_path / "job.sh"
    file.write_text(text)
    assert subprocess.run(["bash", "-n", str(file)], check=False).returncode == 0
    assert "'--data=/my {run} data'" in text
    assert ("srun" in text) is (nodes > 1)
    # What the shell makes of the words is what was asked for.
    lines = text.splitlines()
    begin = lines.index("else") + 1
    shown = subprocess.run(
        ["bash", "-c", f'{lines[begin]}\nprintf "%s\\0" "${{words[@]}}"'],
        capture_output=True,
        check=True,
    ).stdout
    assert shown.decode().split("\0")[:-1] == words
    assert sys.executable in text

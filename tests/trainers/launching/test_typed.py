"""Runs sent to SLURM from the command line; its commands are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.small_runs import Place
from trainers import train
from trainers.launching import typed
from trainers.launching.orders import Order
from trainers.recipes import find
from trainers.runs.launch import read_launch
from trainers.runs.notes import read_notes
from trainers.slurm import commands
from trainers.slurm.jobs import Job
from trainers.slurm.options import VARIABLE


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A data set, and a SLURM that takes everything."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "slurm.toml"))
    (tmp_path / "slurm.toml").write_text('time = "1:00:00"\nsetup = ["module load cuda"]\n')
    monkeypatch.setattr(typed, "why_absent", lambda: "")
    numbers = iter(range(40, 50))
    monkeypatch.setattr(commands, "submit", lambda script: str(next(numbers)))
    return Place(tmp_path)


def test_a_run_is_sent_and_can_be_waited_for(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*place.words("sent", place.config(epochs=1)), "--no-report", "--on", "slurm"]
    words += ["--tag", "cluster"]
    assert train.main([*words, "--slurm", "partition=gpu", "nodes=2"]) == 0
    assert "Submitted to SLURM as job 40; its script is" in capsys.readouterr().err
    folder = place.root / "sent"
    assert read_notes(folder).tags == ("cluster",)
    script = (folder / "slurm.sh").read_text()
    resume = f"words=(--no-report --out={folder} --resume"
    begin = "words=(--no-report coco_vits16 "
    asked = ("--partition=gpu", "--nodes=2", "--time=1:00:00")
    for part in (*asked, "\nmodule load cuda\n", begin, resume):
        assert part in script
    launch = read_launch(folder)
    assert launch is not None
    assert launch.job == Job("40")
    assert launch.about["slurm"]["partition"] == "gpu"
    # It is there: nobody sends it twice.
    assert train.main(words) == 2
    assert "is already running: It is waiting in SLURM as job 40." in capsys.readouterr().err
    seen = iter([Job("40", "RUNNING", "None", "n1"), Job("40", "TIMEOUT", "TimeLimit", "n1")])
    monkeypatch.setattr(typed, "EVERY", 0)
    monkeypatch.setattr(commands, "look", lambda numbers: {"40": next(seen)})
    assert train.main([*words, "--wait"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith("SLURM job 40 on n1.")
    assert told[-1].startswith("SLURM's time limit ended it (job 40): it starts over")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--slurm", "partition=a b"], "partition must be a name"),
        (["--slurm", "gpu"], "--slurm takes KEY=VALUE, with KEY one of partition, account"),
        (["--slurm", "gpus=3"], "does not divide among 3 processes"),
        (["--set", "devices=x"], "devices must be a number"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_sentence(
    place: Place, capsys: pytest.CaptureFixture[str], more: list[str], said: str
) -> None:
    words = [*place.words("sent", place.config()), "--on", "slurm"]
    assert train.main([*words, *more]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert len(told.splitlines()) == 1
    assert not (place.root / "sent").exists()


def test_without_slurm_that_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(typed, "why_absent", lambda: "There is no SLURM here.")
    assert train.main([*place.words("sent", place.config()), "--on", "slurm"]) == 2
    assert capsys.readouterr().err == "There is no SLURM here.\n"


def test_an_order_needs_no_cluster_to_be_compared() -> None:
    """What is asked of SLURM is no setting of the run."""
    config = find("samples").config
    assert Order("a", "samples", None, {}, config).about().keys() == {"recipe", "data", "settings"}

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.ppap.checkpoints.test_own import made
from tests.support.small_runs import ALONE
from trainers.config import Config
from trainers.runs.folder import BEST, LAST, REPORTED, Run
from trainers.runs.metrics import read_metrics
from trainers.training import records as module
from trainers.training.distributed import World
from trainers.training.records import Best, Records, memory_mb
from trainers.training.resuming import newest


def records(folder: Path, world: World = ALONE, **changes: Any) -> Records:
    return Records(Config(**changes), Run(folder), world=world, total=40)


def save(given: Records, step: int) -> None:
    given.save(type(made())(**{**vars(made()), "step": step}))


def test_a_step_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trainers")
    given = records(tmp_path, batch=8)
    given.begin(0, validated=True)
    given.log(3, 0.75, 1e-3, {"loss": torch.tensor(0.5), "precision": math.nan, "positives": 4.0})
    given.log(4, 1, 1e-3, {"loss": math.nan, "precision": 0.5})
    given.close()
    line, _ = read_metrics(tmp_path / "metrics.jsonl")
    assert line["kind"] == "step"
    assert (line["step"], line["epoch"], line["lr"]) == (3, 0.75, 1e-3)
    assert (line["loss"], line["precision"], line["positives"]) == (0.5, None, 4.0)
    assert line["images_per_second"] is None  # after a single step nobody knows
    assert line["memory_mb"] > 1
    # Without labels no precision is known; any other number that is none must be seen.
    assert "Step 3 of 40: loss 0.5, positives 4\n" in caplog.text
    assert "Step 4 of 40: loss nan, precision 0.5" in caplog.text
    state = Run(tmp_path).state()
    assert (state["state"], state["step"], state["steps"]) == ("running", 4, 40)


def test_speed_and_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = records(tmp_path, batch=8)
    monkeypatch.setattr(given.pace, "per_second", lambda: 2.5)
    given.begin(0, validated=True)
    given.log(30, 1, 1e-3, {"loss": 0.5})
    given.close()
    assert read_metrics(tmp_path / "metrics.jsonl")[0]["images_per_second"] == 20
    assert Run(tmp_path).state()["time_left"] == 4


def test_of_several_processes_the_mean_is_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def summed(numbers: list[float], world: World) -> list[float]:
        return [number + 10 for number in numbers]

    monkeypatch.setattr(module, "sum_numbers", summed)
    for rank in (1, 0):
        given = records(tmp_path, World(rank, 2, rank, torch.device("cpu")))
        given.begin(0, validated=True)
        given.log(1, 1, 1e-3, {"b": 2.0, "a": torch.tensor(4.0)})
        given.close()
        assert (tmp_path / "metrics.jsonl").exists() is (rank == 0)
    (line,) = read_metrics(tmp_path / "metrics.jsonl")
    assert (line["a"], line["b"]) == (7, 6)


def test_the_best_is_remembered(tmp_path: Path) -> None:
    given = records(tmp_path, keep=1, selection="held_out")
    given.begin(0, validated=True)
    for step, score in ((1, 5.0), (2, 7.0), (3, 7.0), (4, math.nan), (5, 6.0)):
        given.validated(step, step, score, {"split": "val", "cluster_miou": score})
        save(given, step)
        given.keep_best(step)
    given.close()
    assert given.best == Best(7.0, 2)
    run = Run(tmp_path)
    assert [file.name for file in run.steps()] == ["step-00000005.pt"]
    assert (run.checkpoints / LAST).samefile(run.steps()[0])
    assert not (run.checkpoints / BEST).samefile(run.steps()[0])
    given.name_reported()
    assert (run.checkpoints / REPORTED).samefile(run.checkpoints / BEST)
    assert [line["cluster_miou"] for line in read_metrics(run.metrics_file)] == [5, 7, 7, None, 6]


def test_without_a_best_the_last_is_reported(tmp_path: Path) -> None:
    for number, selection in enumerate(("last", "held_out", "evaluation")):
        given = records(tmp_path / str(number), selection=selection)
        save(given, 3)
        given.keep_best(3)
        given.name_reported()
        folder = given.run.checkpoints
        assert (folder / REPORTED).samefile(folder / LAST)
        assert not (folder / BEST).exists()


def test_other_processes_name_nothing(tmp_path: Path) -> None:
    given = records(tmp_path, World(1, 2, 1, torch.device("cpu")))
    given.best = Best(1.0, 3)
    given.keep_best(3)
    given.name_reported()
    assert list(tmp_path.iterdir()) == []


def test_memory_is_in_megabytes() -> None:
    assert 50 < memory_mb(torch.device("cpu")) < 100_000


@pytest.mark.parametrize("keep", [1, 2])
def test_a_run_that_passed_over_a_damaged_checkpoint_can_go_on_again(
    tmp_path: Path, keep: int
) -> None:
    """The damaged one has the highest number: it must not be what is kept."""
    given = records(tmp_path, keep=keep)
    for step in (5, 10):
        save(given, step)
    damaged = tmp_path / "checkpoints" / "step-00000010.pt"
    damaged.write_bytes(damaged.read_bytes()[:200])
    if keep == 1:  # somebody took the older one from a copy
        save(given, 5)
    for step in (6, 7):
        save(given, step)
        found = newest(Run(tmp_path), lambda _: None)
        assert found is not None
        assert found[1].step == step
    assert damaged.exists()

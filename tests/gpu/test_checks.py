"""The checks themselves, small and on the CPU: what passes there, and that wrong numbers do not."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.gpu.checks import CHECKS, golden, loss, memory, resume, trajectory, waiting
from tests.gpu.sheet import Place, Sheet
from trainers.runs.folder import Run
from trainers.training.trainer import Trainer


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(torch.device("cpu"), tmp_path, small=True)


def done(name: str, place: Place) -> Sheet:
    sheet = Sheet()
    CHECKS[name].work()(place, sheet)
    return sheet


@pytest.mark.parametrize("name", ["golden", "loss", "processes", "waiting", "recipe coco_vits8"])
def test_it_passes_on_a_cpu(place: Place, name: str) -> None:
    sheet = done(name, place)
    assert sheet.rows
    assert sheet.broken == []


def test_a_wrong_gradient_is_seen(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    right = golden.ppap_loss

    def wrong(*args: Any, **named: Any) -> Any:
        return right(*args, **{**named, "temperature": named["temperature"] * 1.001})

    monkeypatch.setattr(golden, "ppap_loss", wrong)
    broken = {row.what.partition(": ")[2] for row in done("golden", place).broken}
    assert broken == {"loss, off by", "gradient, off by"}


def test_another_loss_than_the_dense_one_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = loss.step

    def wrong(batch: Any) -> Any:
        found = right(batch)
        batch.projected.grad *= 1.01
        return found

    monkeypatch.setattr(loss, "step", wrong)
    assert [row.what for row in done("loss", place).broken] == ["dense: gradient, off by"]


# --- training


@pytest.mark.parametrize(("factor", "broken"), [(1, 0), (1.002, 4), (float("nan"), 4)])
def test_a_trajectory_that_strays_is_seen(
    place: Place, monkeypatch: pytest.MonkeyPatch, factor: float, broken: int
) -> None:
    with np.load(trajectory.FOLDER / "trajectory_adam.npz") as stored:
        numbers = dict(stored)
    ours = {name: column for column, name in trajectory.LOSSES.items()}
    monkeypatch.setattr(trajectory, "trained", lambda *_, **__: SimpleNamespace(run="run"))
    monkeypatch.setattr(
        trajectory,
        "told",
        lambda run, name: (factor * trajectory.column(numbers, ours[name])).tolist(),
    )
    assert len(done("trajectory", place).broken) == broken


@pytest.mark.parametrize("wait", [True, False])
def test_waits_are_seen_where_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    """As PyTorch warns of them on a GPU."""
    whole = Trainer._trunk

    def trunk(self: Trainer, batch: Any) -> Any:
        if wait:
            warnings.warn("called a synchronizing CUDA operation (Triggered …)", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
        return whole(self, batch)

    monkeypatch.setattr(Trainer, "_trunk", trunk)
    monkeypatch.setattr(waiting, "TIMED", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the steps that nobody watches
        broken = done("waiting", place).broken
    assert len(broken) == (2 if wait else 0)
    for row in broken:
        assert str(row.value).startswith("trainers/training/trainer.py:")
        assert str(row.value).endswith(f"({waiting.LOOKED_AT})")


def test_memory_that_runs_out(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def little(device: torch.device) -> Iterator[None]:
        def trunk(*_: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(Trainer, "_trunk", trunk)
            yield

    monkeypatch.setattr(memory, "little_memory", little)
    sheet = done("memory", place)
    assert [row.kept for row in sheet.rows] == [True] * 5
    # A step that fits is no proof.
    monkeypatch.setattr(memory, "little_memory", lambda device: contextlib.nullcontext())
    again = Place(place.device, place.folder / "again", small=True)
    assert len(done("memory", again).broken) == 3


@pytest.mark.parametrize(
    ("twice", "same", "strayed", "broken"),
    [(True, True, 0, 0), (True, False, 1e-9, 2), (False, False, 1e-5, 0), (False, False, 1e-2, 2)],
)
def test_a_resumed_run_beside_undisturbed_ones(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    twice: bool,
    same: bool,
    strayed: float,
    broken: int,
) -> None:
    """Bit for bit where the card repeats itself, else no farther off than the card itself is."""
    values = {"one": 0.0, "two": 0.0 if twice else 2e-6, "killed": strayed}

    def value(run: Run) -> float:
        return values[run.folder.name.split()[0]]

    monkeypatch.setattr(resume, "undisturbed", lambda made, name, config: Run(made.root / name))
    monkeypatch.setattr(resume, "command", lambda words, script="": -9 if script else 0)
    monkeypatch.setattr(
        resume, "results", lambda run: 0 if same and value(run) == strayed else value(run)
    )
    monkeypatch.setattr(resume, "difference", lambda one, other: abs(value(one) - value(other)))
    assert len(done("resume", place).broken) == broken

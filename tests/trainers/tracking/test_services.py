"""What W&B and trackio are asked for where they send: stand-ins take the place of both."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trainers.tracking.about import About
from trainers.tracking.asked import Asked
from trainers.tracking.trackio_run import TrackioError, TrackioRun
from trainers.tracking.wandb_run import WandbRun


class Service:
    """``wandb`` or ``trackio``: notes what it is asked."""

    def __init__(self) -> None:
        self.inits: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.exits: list[Any] = []
        self.summary: dict[str, float] = {}
        self.Settings = dict
        self.id = "given"

    def init(self, **words: Any) -> Service:
        self.inits.append(words)
        return self

    def log(self, numbers: dict[str, float], step: int) -> None:
        self.logged.append((step, numbers))

    def finish(self, exit_code: int | None = None) -> None:
        self.exits.append(exit_code)

    def Api(self) -> SimpleNamespace:
        return SimpleNamespace(runs=lambda project: [])


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    made = Service()
    monkeypatch.setattr(os, "environ", os.environ.copy())
    for name in ("wandb", "trackio"):
        monkeypatch.setitem(sys.modules, name, made)
    with warnings.catch_warnings():
        yield made


def about(folder: Path) -> About:
    return About(folder, "run", "team/project", {"lr": 0.1})


def test_wandb_online_goes_on_with_the_same_run_and_sends_nothing_twice(
    service: Service, tmp_path: Path
) -> None:
    older = tmp_path / "tracking/wandb/offline-run-1-x"
    for _ in range(2):
        run = WandbRun(about(tmp_path), Asked("wandb", "online"))
        older.mkdir(parents=True, exist_ok=True)
        for step in (1, 2):
            run.write("step", step, {"loss": 0.5})
        run.write("validation", 2, {"miou": 3.0, "split": "val"})
        run.caught_up()
    run.write("step", 3, {"loss": 0.25})
    run.report(3, {"U-mIoU": 20.0})
    run.close(failed=True)
    first, second = service.inits
    assert first["id"] == second["id"]
    assert (first["mode"], first["resume"]) == ("online", "allow")
    assert (first["entity"], first["project"], first["name"]) == ("team", "project", "run")
    assert first["settings"]["x_disable_meta"] is True
    assert first["settings"]["console"] == "off"
    assert service.logged == [
        (1, {"step/loss": 0.5}),
        (2, {"step/loss": 0.5}),
        (2, {"validation/miou": 3.0}),
        (3, {"step/loss": 0.25}),
    ]
    assert service.summary == {"report/U-mIoU": 20.0}
    assert service.exits == [1]
    assert older.is_dir()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"


def test_who_was_offline_and_goes_online_sends_all(service: Service, tmp_path: Path) -> None:
    for place in ("", "online"):
        run = WandbRun(about(tmp_path), Asked("wandb", place))
        run.write("step", 1, {"loss": 0.5})
    assert [one["mode"] for one in service.inits] == ["offline", "online"]
    assert [one["resume"] for one in service.inits] == [None, "allow"]
    assert len({one["id"] for one in service.inits}) == 1
    assert [step for step, _ in service.logged] == [1, 1]


def test_a_space_is_private_and_gets_nothing_twice(service: Service, tmp_path: Path) -> None:
    os.environ.pop("HF_HUB_OFFLINE", None)
    for _ in range(2):
        run = TrackioRun(about(tmp_path), Asked("trackio", "me/space"))
        run.write("step", 1, {"loss": 0.5})
        run.report(1, {"U-mIoU": 20.0})
    first, second = service.inits
    assert first == second
    assert (first["space_id"], first["private"], first["resume"]) == ("me/space", True, "allow")
    assert (first["auto_log_cpu"], first["auto_log_gpu"]) == (False, False)
    assert service.logged == [(1, {"step/loss": 0.5}), (1, {"report/U-mIoU": 20.0})]
    assert "HF_HUB_OFFLINE" not in os.environ
    # What a Space does not take now is kept by trackio and sent later.
    warnings.warn("trackio failed to flush: this batch could not be persisted.", stacklevel=1)
    run.write("step", 2, {"loss": 0.5})


def test_numbers_that_trackio_loses_on_this_machine_are_an_error(
    service: Service, tmp_path: Path
) -> None:
    run = TrackioRun(about(tmp_path), Asked("trackio"))
    assert service.inits[0]["space_id"] is None
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    warnings.warn("something else", stacklevel=1)
    run.write("step", 1, {"loss": 0.5})
    warnings.warn("trackio failed to flush: this batch could not be persisted.", stacklevel=1)
    with pytest.raises(TrackioError, match="could not be persisted"):
        run.write("step", 2, {"loss": 0.5})

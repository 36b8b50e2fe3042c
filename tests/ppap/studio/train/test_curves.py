"""What the Train page asks of curves: many runs read at once, a range of steps in finer points."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from ppap.studio.sources import Sources
from ppap.studio.train.server import Training
from tests.trainers.runs.test_watching import line
from trainers.config import Config
from trainers.launching.runner import Runner
from trainers.runs import watching
from trainers.runs.folder import Run
from trainers.runs.table import POINTS


@pytest.fixture
def tab(tmp_path: Path) -> Training:
    for name in ("a", "b", "c"):
        run = Run(tmp_path / "runs" / name)
        run.write_config(Config())
        run.metrics_file.write_text("".join(line(step, loss=step / 2) for step in range(4000)))
        run.write_state("finished", step=4000, steps=4000)
    return Training(
        Runner(tmp_path / "runs"), Sources([], uploads=tmp_path / "uploads", any_folder=True)
    )


def look(tab: Training, cursors: dict[str, Any]) -> dict[str, Any]:
    names = ("a", "b", "c", "gone", "../runs/a")
    watch = [{"name": name, "cursor": cursors.get(name)} for name in names]
    reply = tab.watch({"watch": watch})
    json.dumps(reply)
    changes: dict[str, Any] = reply["changes"]
    return changes


def test_long_runs_are_told_when_they_are_read(
    tab: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little time there is, each look reads on, and each series comes once."""
    monkeypatch.setattr(watching, "METRICS_BYTES", 30_000)
    monkeypatch.setattr(watching, "LITTLE", 100)
    monkeypatch.setattr("ppap.studio.train.server.READING_SECONDS", -1)
    cursors: dict[str, Any] = {}
    told: list[tuple[str, int]] = []
    looks = 0
    while len(told) < 3:
        looks += 1
        assert looks < 20
        for name, changes in look(tab, cursors).items():
            cursors[name] = changes["cursor"]
            if changes["series"]:
                assert not changes["more"]
                told.append((name, len(changes["series"]["step"]["loss"]["x"])))
    assert looks > 3
    assert sorted(told) == [("a", POINTS), ("b", POINTS), ("c", POINTS)]
    assert all(changes["series"] == {} for changes in look(tab, cursors).values())


def test_a_range_in_finer_points(tab: Training) -> None:
    file = look(tab, {})["a"]["cursor"]["file"]
    reply = tab.finer({"name": "a", "from": 10, "to": 12.5})
    assert reply["file"] == file
    assert reply["series"]["step"]["loss"] == {"x": [10, 11, 12], "y": [5.0, 5.5, 6.0]}
    assert tab.finer({"name": "a", "from": -5, "to": -1})["series"] == {}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("a", 5, 4),
        ("a", None, 4),
        ("a", "0", 4),
        ("a", 0, True),
        ("a", math.nan, 4),
        ("a", 0, math.inf),
        pytest.param("a", 0, 10**400, id="huge"),
        ("a", [0], 4),
        ("gone", 0, 4),
        ("../runs/a", 0, 4),
        (None, 0, 4),
    ],
)
def test_hostile_ranges_are_refused(tab: Training, name: Any, first: Any, last: Any) -> None:
    reply = tab.finer({"name": name, "from": first, "to": last})
    assert set(reply) <= {"error", "field", "offers", "gone"}
    assert reply["error"].endswith(".")

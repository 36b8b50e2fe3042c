"""The order of the queue on disk: read whatever stands there, moved without touching others'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ppap.settings import SettingError
from trainers.launching.ordering import (
    FILE,
    Arrangement,
    moved,
    read_arrangement,
    with_pause,
    without_pause,
    write_arrangement,
)
from trainers.runs.owner import write_owner

A, B, C, D = (Path("/runs") / name for name in "abcd")


def everybody(_: Path) -> bool:
    return True


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_arrangement(tmp_path) == Arrangement({})
    arranged = Arrangement({"ada": 5.0}, (("b", 2.0), ("a", 1.0)))
    write_arrangement(tmp_path, arranged)
    assert read_arrangement(tmp_path) == arranged


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"paused": 5, "order": 5},
        {"paused": {"ada": "now", "x" * 999: 1.0}, "order": [["a"], ["a", None], [1, 2], "a"]},
        {"paused": {"ada": 1e400}, "order": [["a", True]]},
    ],
)
def test_what_makes_no_sense_is_left_out(tmp_path: Path, raw: Any) -> None:
    (tmp_path / FILE).write_text(json.dumps(raw))
    assert read_arrangement(tmp_path) == Arrangement({})


def test_what_cannot_be_read_may_be_a_pause(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    found = read_arrangement(tmp_path)
    assert found.holds_back(A)
    assert found.paused_for("ada") == (tmp_path / FILE).stat().st_mtime
    assert not read_arrangement(tmp_path / "none").holds_back(A)
    assert not read_arrangement(tmp_path / FILE / "none").holds_back(A)


def test_runs_that_are_not_named_wait_behind_in_the_order_of_their_times() -> None:
    waiting = [(1.0, A), (2.0, B), (3.0, C), (4.0, D)]
    assert Arrangement({}).sorted(waiting[::-1]) == [A, B, C, D]
    order = (("d", 4.0), ("b", 2.0), ("gone", 1.0))
    assert Arrangement({}, order).sorted(waiting) == [D, B, A, C]
    # One that was taken out and waits again begins at the end.
    assert Arrangement({}, order).sorted([(1.0, A), (9.0, D)]) == [A, D]


def test_a_run_moves_first_up_and_down() -> None:
    queue = [A, B, C]
    assert moved(queue, C, "first", everybody) == [C, A, B]
    assert moved(queue, C, "up", everybody) == [A, C, B]
    assert moved(queue, A, "down", everybody) == [B, A, C]
    for way, one in (("first", A), ("up", A), ("down", C)):
        assert moved(queue, one, way, everybody) == queue
    for odd in ("last", "", None, 1, ["up"]):
        with pytest.raises(SettingError) as refused:
            moved(queue, A, odd, everybody)
        assert refused.value.field == "to"


def test_runs_of_others_stay_where_they_are() -> None:
    queue = [A, B, C, D]
    assert moved(queue, D, "first", lambda one: one in (B, D)) == [A, D, C, B]
    assert moved(queue, B, "up", lambda one: one in (B, D)) == queue


def test_a_pause_holds_back_ones_own_runs_or_all(tmp_path: Path) -> None:
    hers, his = tmp_path / "hers", tmp_path / "his"
    for folder, user in ((hers, "ada"), (his, "bob")):
        folder.mkdir()
        write_owner(folder, user)
    free = Arrangement({})
    assert not free.holds_back(hers)
    assert free.paused_for("ada") is None
    ada = with_pause(free, "ada")
    assert ada.holds_back(hers)
    assert not ada.holds_back(his)
    assert ada.paused_for("bob") is None
    every = with_pause(ada, "")
    assert every.holds_back(his)
    assert every.paused_for("bob") == every.paused[""]
    # Paused once more, it has been since the first time.
    assert with_pause(ada._replace(paused={"ada": 1.0}), "ada").paused == {"ada": 1.0}
    assert without_pause(every, "").paused.keys() == {"ada"}

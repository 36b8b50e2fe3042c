"""The queue paused and reordered, and notes on runs, while real processes run and wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ppap.settings import SettingError
from tests.support.small_studio import wait_until
from tests.trainers.launching.test_runner import Pretending
from trainers.launching.arranging import Arranging
from trainers.launching.ordering import EVERYBODY, read_arrangement
from trainers.launching.queue import waiting
from trainers.launching.runner import PAUSED
from trainers.runs.folder import RunError
from trainers.runs.launch import read_launch, write_launch
from trainers.runs.notes import Notes, read_notes
from trainers.runs.owner import write_owner
from trainers.slurm.jobs import Job


def names(runs: Pretending) -> list[str]:
    return [folder.name for folder in waiting(runs.root)]


def test_a_paused_queue_starts_nothing_until_it_is_resumed(runs: Pretending) -> None:
    arranging = Arranging(runs)
    assert arranging.paused().since is None
    runs.begin("one")
    runs.begin("two")
    paused = arranging.pause()
    assert paused.since is not None
    assert arranging.pause() == paused
    # Another studio sees the same; the keeper, which starts the next, obeys it.
    assert Arranging(Pretending(runs.root)).paused() == paused
    runs.stop("one")
    runs.wait("one", "stopped")
    launch = read_launch(runs.root / "one")
    assert launch is not None
    assert launch.keeper is not None
    wait_until(lambda: not launch.keeper.alive())  # type: ignore[union-attr]
    found = {one.name: one for one in runs.runs()}
    assert found["two"].state == "queued"
    assert found["two"].text == PAUSED
    # Nor does what is asked for meanwhile.
    assert runs.begin("three").state == "queued"
    arranging.go_on()
    runs.wait("two", "running")
    assert runs.standing("three").text != PAUSED
    assert names(runs) == ["three"]


def test_a_waiting_run_is_moved_and_starts_in_its_turn(runs: Pretending) -> None:
    arranging = Arranging(runs)
    for name in ("one", "two", "three", "four"):
        runs.begin(name)
    assert names(runs) == ["two", "three", "four"]
    arranging.move("four", "first")
    assert names(runs) == ["four", "two", "three"]
    assert [runs.standing(name).position for name in ("four", "two", "three")] == [1, 2, 3]
    arranging.move("four", "down")
    arranging.move("three", "up")
    assert names(runs) == ["two", "three", "four"]
    arranging.move("four", "first")
    runs.stop("one")
    runs.wait("four", "running")
    # What waits again begins at the end, and so does what is asked for later.
    runs.stop("two")
    runs.begin("five")
    runs.resume("two")
    assert names(runs) == ["three", "five", "two"]
    for name, error in (("four", RunError), ("none", SettingError), ("../one", SettingError)):
        with pytest.raises(error):
            arranging.move(name, "up")
    with pytest.raises(SettingError):
        arranging.move("two", "sideways")
    assert names(runs) == ["three", "five", "two"]


def test_slurm_orders_its_own_jobs(runs: Pretending) -> None:
    runs.begin("one")
    runs.begin("two")
    launch = read_launch(runs.root / "two")
    assert launch is not None
    job = Job(*("PENDING" if name == "state" else "" for name in Job._fields))
    write_launch(runs.root / "two", replace(launch, queued=None, began=1.0, job=job))
    with pytest.raises(RunError, match="SLURM decides"):
        Arranging(runs).move("two", "first")
    write_launch(runs.root / "two", launch)


def test_whoever_has_runs_of_their_own_holds_back_and_moves_those(runs: Pretending) -> None:
    runs.begin("one")
    for name, user in (("bobs", "bob"), ("adas", "ada"), ("more", "ada")):
        runs.begin(name)
        write_owner(runs.root / name, user)
    ada = Pretending(
        runs.root, sees=lambda folder: folder.name in ("adas", "more"), holds=lambda: "ada"
    )
    arranging = Arranging(ada)
    arranging.move("more", "first")
    assert names(runs) == ["bobs", "more", "adas"]
    with pytest.raises(SettingError):
        arranging.move("bobs", "down")
    arranging.pause()
    assert Arranging(runs).paused().since is None
    runs.stop("one")
    runs.wait("bobs", "running")
    runs.stop("bobs")
    runs.wait("bobs", "stopped")
    assert {one.state for one in ada.runs()} == {"queued"}
    # Everybody's pause is not hers to end.
    Arranging(runs).pause()
    assert arranging.paused().by_all
    with pytest.raises(RunError, match="all users"):
        arranging.go_on()
    Arranging(runs).go_on()
    assert EVERYBODY not in read_arrangement(runs.root).paused
    arranging.go_on()
    runs.wait("more", "running")


def test_a_note_is_written_on_a_run_that_runs_and_follows_its_name(runs: Pretending) -> None:
    arranging = Arranging(runs)
    runs.begin("one")
    runs.wait_begun("one")
    first = Notes(("baseline",), "Larger batch.")
    assert arranging.note("one", first, Notes()) == first
    # Somebody who knew something else loses nothing, and overwrites nothing.
    with pytest.raises(RunError, match="in the meantime"):
        arranging.note("one", Notes(("mine",)), Notes())
    assert read_notes(runs.root / "one") == first
    arranging.note("one", Notes(("mine",)), first)
    runs.stop("one")
    runs.wait("one", "stopped")
    runs.rename("one", "other")
    assert read_notes(runs.root / "other") == Notes(("mine",))
    for name in ("one", "../other", None):
        with pytest.raises(SettingError):
            arranging.note(name, first, None)

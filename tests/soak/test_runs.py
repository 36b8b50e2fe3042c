"""Runs that are killed, or whose disk fills, at random moments: they go on as if nothing had been.

Each time, what had been saved is still there and whole, and in the end the run equals one that
nobody disturbed, to the last bit.
"""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ppap.checkpoints.own import CheckpointError, load_checkpoint
from tests.soak.conftest import Tell
from tests.support.killable import At, Killable, killable
from tests.support.small_disks import fill, small_disk
from tests.support.small_runs import Place, results, state_of
from trainers.runs.folder import LAST, Run
from trainers.runs.metrics import read_metrics
from trainers.runs.standing import standing

KILLS, FILLINGS, LIMITS = 50, 20, 10
STEPS = 20
# Times that the disk of one run fills.
IN_A_ROW = 4
EVERYTHING: dict[str, Any] = {
    "selection": "held_out",
    "held_out": 0.25,
    "epochs": 3,
    "probe_epochs": 2,
    "cluster_start": "spread",
    "cluster_starts": 2,
    "checkpoint_every": 1,
    "schedule": "cosine",
    "keep": 2,
}
# Functions that a checkpoint is written by, in the order of the work.
WRITES = ("_feed", "content_digest", "_partial", "_save", "persistent_id", "_sync", "sync_folder",
          "link", "thin_out", "write_text")  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("soak"), images=12)


@pytest.fixture(scope="module")
def train(place: Place) -> Iterator[Killable]:
    first = place.words("first", place.config(epochs=1, probe_epochs=1))
    with killable(place.root / "log.txt", [*first, "--no-report"]) as made:
        yield made


@pytest.fixture(scope="module")
def wanted(train: Killable, place: Place) -> dict[str, Any]:
    """What the run comes to that nobody disturbs, and how long it takes."""
    for name in ("warmed up", "undisturbed"):
        began = time.monotonic()
        assert train(words_for(place, place.root / name)) == 0
    return {
        "results": results(Run(place.root / "undisturbed")),
        "seconds": time.monotonic() - began,
    }


class Saved:
    """What a run had saved at a moment."""

    def __init__(self, run: Run) -> None:
        self.steps = {file.name: load_checkpoint(file).step for file in run.steps()}
        self.newest = max(self.steps.values(), default=0)
        # A validation that no checkpoint knows of yet comes again.
        self.lines = [
            line
            for line in read_metrics(run.metrics_file)
            if line["step"] < self.newest or (line["step"], line["kind"]) == (self.newest, "step")
        ]

    def assert_kept(self, run: Run) -> None:
        """Nothing of it is lost, and whatever is there is whole."""
        for file in run.checkpoints.glob("*.pt"):
            load_checkpoint(file)
        newest = max((load_checkpoint(file).step for file in run.steps()), default=0)
        assert newest >= self.newest
        if self.steps:
            # Killed between the two names, the last one is a step behind.
            assert load_checkpoint(run.checkpoints / LAST).step >= self.newest - 1
        lines = read_metrics(run.metrics_file)
        for line in self.lines:
            assert line in lines


def words_for(place: Place, folder: Path) -> list[str]:
    """Begin the run in a folder, or go on with it."""
    if Run(folder).exists():
        words = place.resumed(str(folder))
    else:
        words = place.words(str(folder), place.config(**EVERYTHING))
    return [*words, "--no-report"]


def test_killed_at_random_moments(
    train: Killable, place: Place, wanted: dict[str, Any], tell: Tell
) -> None:
    chance = random.Random(7)
    killed, writing, runs = 0, 0, 0
    while killed < KILLS:
        folder = place.root / f"killed {runs}"
        run, runs = Run(folder), runs + 1
        while True:
            before = Saved(run)
            in_a_write = chance.random() < 0.5
            if in_a_write:
                at = At(chance.choice(WRITES), chance.randrange(1, 20))
                code = train(words_for(place, folder), at)
            else:
                code = train(words_for(place, folder), after=chance.uniform(0, wanted["seconds"]))
            assert code in (0, -signal.SIGKILL)
            before.assert_kept(run)
            if code == 0:
                break
            killed, writing = killed + 1, writing + in_a_write
            if killed >= KILLS:
                assert train(words_for(place, folder)) == 0
                break
        assert results(run) == wanted["results"]
        assert not list(folder.rglob("*.partial"))
    tell("kills", f"{killed}, of which {writing} while something was being written; {runs} runs")


# --- a disk that fills


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 24 * 1024) as made:
        yield made


def fill_at(disk: Path, run: Run, step: int, pause: float, over: threading.Event) -> None:
    """Fill the disk a moment after the run has come to a step."""
    while state_step(run) < step and not over.is_set():
        time.sleep(0.005)
    over.wait(pause)
    fill(disk)


def state_step(run: Run) -> int:
    """How far the run says that it is."""
    return int(run.state().get("step", 0)) if run.state().get("state") == "running" else -1


def test_a_disk_that_fills_at_random_moments(
    train: Killable, place: Place, wanted: dict[str, Any], disk: Path, tell: Tell
) -> None:
    chance = random.Random(11)
    filled, failed, runs = 0, 0, 0
    while filled < FILLINGS:
        folder = disk / f"run {runs}"
        run, runs = Run(folder), runs + 1
        for _ in range(IN_A_ROW):
            before = Saved(run)
            step = chance.randint(min(before.newest, STEPS - 1), STEPS - 1)
            pause = chance.uniform(0, wanted["seconds"] / STEPS)
            over = threading.Event()
            filling = threading.Thread(
                target=fill_at, args=(disk, run, step, pause, over), daemon=True
            )
            filling.start()
            code = train(words_for(place, folder))
            over.set()
            filling.join()
            filled, failed = filled + 1, failed + (code != 0)
            before.assert_kept(run)
            said = standing(folder)
            assert state_of(run)["state"] == said.state == ("failed" if code else "finished")
            if code:
                assert str(folder) in said.text
                assert "cannot be written" in said.text
            (disk / "filler").unlink()
            if not code:  # it was done before the disk was full
                break
        assert train(words_for(place, folder)) == 0
        assert results(run) == wanted["results"]
        assert not list(folder.rglob("*.partial"))
    tell("disk fillings", f"{filled}, of which {failed} ended the run; {runs} runs")


def test_files_that_may_not_become_large(
    train: Killable, place: Place, wanted: dict[str, Any], tell: Tell
) -> None:
    """A limit of the process, such as a quota: another error, at other places."""
    chance = random.Random(13)
    refused = 0
    folder = place.root / "limited"
    for _ in range(LIMITS):
        before = Saved(Run(folder))
        code = train(words_for(place, folder), limited=chance.uniform(0, wanted["seconds"] / 4))
        assert code in (0, 1, 2)
        refused += code != 0
        before.assert_kept(Run(folder))
        if Run(folder).exists():
            assert state_of(Run(folder))["state"] != "running"
    assert train(words_for(place, folder)) == 0
    assert results(Run(folder)) == wanted["results"]
    tell("limits on the size of files", f"{LIMITS}, of which {refused} ended the run")


def test_a_damaged_checkpoint_is_known_for_one(wanted: dict[str, Any], place: Place) -> None:
    """What the tests above rely on."""
    file = place.root / "undisturbed/checkpoints" / LAST
    copy = place.root / "torn.pt"
    copy.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError):
        load_checkpoint(copy)

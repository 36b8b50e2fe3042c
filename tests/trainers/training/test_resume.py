"""A run that was killed or stopped, wherever, and resumed equals one that was not, to the last bit.

Everything here goes through the train command, in real processes that end by real signals.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.support.killable import At, Killable, killable
from tests.support.small_runs import Place, results, state_of
from trainers.config import Config
from trainers.runs.folder import Run
from trainers.runs.metrics import read_metrics

# Everything that a run may be in the middle of: two stretches, several cluster probes of which the
# best is chosen, validations on held-out images, checkpoints within an epoch, a learning rate that
# changes, and channels dropped by chance.
EVERYTHING: dict[str, Any] = {
    "selection": "held_out",
    "held_out": 0.25,
    "epochs": 2,
    "probe_epochs": 2,
    "cluster_start": "spread",
    "cluster_starts": 2,
    "checkpoint_every": 2,
    "schedule": "cosine",
    "keep": 2,
}
# Calls of functions of trainers/ that such a run makes; it is killed at one of them.
CALLS = 1800
TIMES = 5
STEPS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """8 training images of which 2 are held out: 3 steps an epoch, 12 in all."""
    return Place(tmp_path_factory.mktemp("resume"), images=10)


@pytest.fixture(scope="module")
def train(place: Place) -> Iterator[Killable]:
    first = place.words("first", place.config(epochs=1, probe_epochs=1, cache="on"))
    with killable(place.root / "log.txt", [*first, "--no-report"]) as made:
        yield made


def uninterrupted(train: Killable, place: Place, name: str, config: Config) -> dict[str, Any]:
    """What the run computes that nobody disturbs; made once for each configuration."""
    run = Run(place.root / name)
    if not run.exists():
        assert train([*place.words(name, config), "--no-report"]) == 0
        assert state_of(run)["state"] == "finished"
    return results(run)


def went_on(train: Killable, place: Place, name: str, config: Config, *ats: At) -> int:
    """Begin the run, or go on with it."""
    begun = Run(place.root / name).exists()
    words = place.resumed(name) if begun else place.words(name, config)
    return train([*words, "--no-report"], *ats)


@pytest.mark.parametrize("cache", ["off", "on"])
@pytest.mark.parametrize("workers", [0, 2])
def test_killed_at_random_points(train: Killable, place: Place, workers: int, cache: str) -> None:
    config = place.config(**EVERYTHING, workers=workers, cache=cache)
    name = f"{cache} {workers}"
    wanted = uninterrupted(train, place, name, config)
    assert [line["step"] for line in wanted["metrics"] if line["kind"] == "step"] == list(
        range(1, STEPS + 1)
    )
    chance = random.Random(name)
    codes = []
    for _ in range(TIMES):
        at = At(None, chance.randrange(1, CALLS))
        codes.append(went_on(train, place, f"{name} killed", config, at))
        if codes[-1] == 0:
            break
    assert set(codes) <= {0, -signal.SIGKILL}
    assert codes.count(-signal.SIGKILL) >= 2, "CALLS are too many: it was hardly ever killed"
    assert went_on(train, place, f"{name} killed", config) == 0
    assert results(Run(place.root / f"{name} killed")) == wanted
    assert not list((place.root / f"{name} killed").rglob("*.partial"))


POINTS = [
    At("_one_step", 5),
    At("backward", 7),
    At("save_checkpoint", 2),
    At("_umask", 5),  # a file is written, but has not taken the old one's place
    At("sync_folder", 6),  # it has, just now
    At("link", 3),
    At("thin_out", 4),
    At("_begin_probes", 1),
    At("settle", 5),
    At("end_of_epoch", 3),
    At("run_at", 1),
    At("_scores", 2),
    At("_draw", 1),
    At("validated", 1),
    At("end_of_epoch", 4),  # validated and told, but not in a checkpoint yet
    At("keep_best", 4),  # in a checkpoint, which has no name as the best yet
    At("name_reported", 1),
]


def called(at: At) -> str:
    return f"{at.function} {at.nth}"


@pytest.mark.parametrize("at", POINTS, ids=called)
def test_killed_at_every_delicate_point(train: Killable, place: Place, at: At) -> None:
    config = place.config(**EVERYTHING)
    wanted = uninterrupted(train, place, "off 0", config)
    name = called(at)
    assert went_on(train, place, name, config, at) == -signal.SIGKILL
    assert state_of(Run(place.root / name))["state"] == "running"
    assert went_on(train, place, name, config) == 0
    assert results(Run(place.root / name)) == wanted


STOPS = {
    "before the first step": (At("_prepared", 1), 1),
    "within an epoch": (At("_one_step", 4), 4),
    "at an epoch's end": (At("_one_step", 3), 3),
    "at the end of the network's stretch": (At("_one_step", 6), 6),
    "at the end of the epoch that is validated": (At("_one_step", 9), 9),
    "in a validation": (At("_scores", 1), 9),
    "at the very end": (At("_one_step", 12), 12),
    "in the last validation": (At("_scores", 2), 12),
}


@pytest.mark.parametrize("where", STOPS)
def test_stopped_on_request(train: Killable, place: Place, where: str) -> None:
    config = place.config(**EVERYTHING)
    wanted = uninterrupted(train, place, "off 0", config)
    at, step = STOPS[where]
    number = signal.SIGINT if where == "within an epoch" else signal.SIGTERM
    assert went_on(train, place, where, config, at._replace(signal=number)) == 0
    run = Run(place.root / where)
    state = state_of(run)
    assert (state["state"], state["step"], state["steps"]) == ("stopped", step, STEPS)
    assert str(run.latest()).endswith(f"step-{step:08d}.pt")
    assert went_on(train, place, where, config) == 0
    assert state_of(run)["state"] == "finished"
    # Stopped at an epoch's end, the run still has its validation to come, and then has it.
    assert results(run) == wanted


def test_stopped_while_features_are_cached(train: Killable, place: Place) -> None:
    config = place.config(**EVERYTHING, cache="on")
    wanted = uninterrupted(train, place, "on 0", config)
    run = Run(place.root / "caching")
    words = [*place.words("caching", config), "--no-report"]
    words[words.index("--cache") + 1] = str(place.root / "other cache")
    assert train(words, At("build", 1, signal.SIGTERM)) == 0
    state = state_of(run)
    assert (state["state"], state["step"], run.latest()) == ("stopped", 0, None)
    assert went_on(train, place, "caching", config) == 0
    assert results(run) == wanted


def test_stopped_in_the_report(train: Killable, place: Place) -> None:
    config = place.config(epochs=1)
    run = Run(place.root / "report")
    assert train(place.words("report", config), At("evaluate_split", 1, signal.SIGTERM)) == 0
    assert state_of(run)["state"] == "stopped"
    assert not (run.folder / "report.json").exists()
    assert train(place.resumed("report")) == 0
    assert state_of(run)["state"] == "finished"
    assert (run.folder / "report.json").exists()
    assert (run.folder / "report/report.html").exists()


def test_a_terminal_that_is_closed_stops_it_as_well(train: Killable, place: Place) -> None:
    """SIGHUP leaves a checkpoint, as SIGTERM does; what is printed then goes nowhere."""
    config = place.config(**EVERYTHING)
    wanted = uninterrupted(train, place, "off 0", config)
    at = At("_one_step", 4, signal.SIGHUP)
    assert went_on(train, place, "hung up", config, at) == 0
    run = Run(place.root / "hung up")
    state = state_of(run)
    assert (state["state"], state["step"]) == ("stopped", 4)
    assert went_on(train, place, "hung up", config) == 0
    assert results(run) == wanted


@pytest.mark.slow
def test_under_nohup_it_goes_on(place: Place, train: Killable) -> None:
    config = place.config(**EVERYTHING)
    wanted = uninterrupted(train, place, "off 0", config)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does, for what it starts
    try:
        process = started(place.words("nohup", config))
    finally:
        signal.signal(signal.SIGHUP, before)
    run = Run(place.root / "nohup")
    with process:
        wait_for_step(run, 2, process)
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert state_of(run)["state"] == "finished"
    assert results(run) == wanted


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no terminals here")
def test_a_terminal_that_really_goes(train: Killable, place: Place) -> None:
    config = place.config(batch=1, epochs=200, checkpoint_every=50, workers=2)
    master, slave = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "trainers.train", *place.words("terminal", config), "--no-report"],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    os.close(slave)
    run = Run(place.root / "terminal")
    reader = threading.Thread(target=drain, args=(master,), daemon=True)
    reader.start()
    # Its state is written now and then only, its metrics at every step.
    while not any(line["step"] >= 5 for line in read_metrics(run.metrics_file)):
        assert process.poll() is None
        time.sleep(0.02)
    HANGING_UP.set()
    reader.join(20)
    os.close(master)  # now the system tells everybody on it
    assert process.wait(60) == 0
    state = state_of(run)
    assert state["state"] == "stopped"
    assert str(run.latest()).endswith(f"step-{state['step']:08d}.pt")


HANGING_UP = threading.Event()


def drain(master: int) -> None:
    """Read a terminal's output, so that it does not wait, until it is to be closed."""
    while not HANGING_UP.is_set():
        ready, _, _ = select.select([master], [], [], 0.05)
        if ready:
            os.read(master, 4096)


def test_a_second_interrupt_ends_at_once(train: Killable, place: Place) -> None:
    config = place.config(**EVERYTHING)
    wanted = uninterrupted(train, place, "off 0", config)
    run = Run(place.root / "twice")
    # The second comes while the step is under way that the first waits for.
    ats = (At("_one_step", 5, signal.SIGINT), At("check_finite", 5, signal.SIGINT))
    assert went_on(train, place, "twice", config, *ats) == 130
    state = state_of(run)
    assert (state["state"], state["step"]) == ("failed", 4)
    assert "Interrupted twice" in state["reason"]
    assert went_on(train, place, "twice", config) == 0
    assert results(run) == wanted


def started(words: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "trainers.train", *words, "--no-report"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def wait_for_step(run: Run, step: int, process: subprocess.Popen[str]) -> None:
    while not any(line["step"] >= step for line in read_metrics(run.metrics_file)):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)


@pytest.mark.slow
def test_real_signals_to_real_processes(train: Killable, place: Place) -> None:
    """Killed at some moment, then a SIGTERM to all of its processes, then to the end."""
    config = place.config(batch=1, epochs=6, checkpoint_every=7, validate_every=3, workers=2)
    wanted = uninterrupted(train, place, "long", config)
    run = Run(place.root / "long killed")
    with started(place.words("long killed", config)) as process:
        wait_for_step(run, 9, process)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    reached = read_metrics(run.metrics_file)[-1]["step"]
    with started(place.resumed("long killed")) as process:
        wait_for_step(run, reached + 10, process)
        os.killpg(process.pid, signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 0, said
    assert "Stopped at step" in said
    assert state_of(run)["state"] == "stopped"
    assert went_on(train, place, "long killed", config) == 0
    assert results(run) == wanted

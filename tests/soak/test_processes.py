"""A run of two processes that is stopped and goes on equals one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import ROOT
from tests.soak.conftest import Tell
from tests.support.small_runs import Place, results
from trainers.runs.folder import Run

LIMIT_SECONDS = 600
STOPS = 3


def begin(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "trainers.train", *words, "--no-report"],
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def test_two_processes_go_on_to_the_last_bit(tmp_path: Path, tell: Tell) -> None:
    place = Place(tmp_path)
    config = place.config(batch=4, epochs=5, checkpoint_every=1, keep=1000, devices="2")
    log = tmp_path / "log.txt"
    assert begin(place.words("whole", config), log).wait(LIMIT_SECONDS) == 0, log.read_text()
    run = Run(place.root / "parts")
    words, stopped_at = place.words("parts", config), []
    for _ in range(STOPS):
        before = len(run.steps())
        process = begin(words, log)
        end = time.monotonic() + LIMIT_SECONDS
        while len(run.steps()) <= before and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_SECONDS) == 0, log.read_text()
        stopped_at.append(len(run.steps()))
        words = place.resumed("parts")
    assert begin(words, log).wait(LIMIT_SECONDS) == 0, log.read_text()
    assert results(run) == results(Run(place.root / "whole"))
    tell("two processes stopped", f"after steps {stopped_at}, and gone on to the last bit")

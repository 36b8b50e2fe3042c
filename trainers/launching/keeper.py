"""Stays with one run: starts it, notes how it ended, and starts the next that waits.

``python -m trainers.launching.keeper RUN`` is started by ``trainers.launching.queue``, in a session
of its own, and outlives whoever asked for the run. It is small, since it imports nothing
heavy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from ppap.places import ROOT
from trainers.launching.queue import held, start_waiting
from trainers.processes import identity
from trainers.runs.launch import GIVEN, Launch, read_launch, write_launch

# Seconds between looks at whether somebody's patience has come to an end.
LOOK_SECONDS = 0.5


def main(folder: Path) -> int:
    """Keep the run in ``folder`` to its end."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # Not ignored: that would be handed on to the run.
        signal.signal(number, lambda *_: None)
    child = begin(folder)
    code = None if child is None else watch(child, folder)
    return end(folder, code)


def begin(folder: Path) -> subprocess.Popen[bytes] | None:
    """Start the run, and say which processes it is; None when it was stopped before."""
    with held(folder.parent):
        launch = read_launch(folder)
        if launch is None or launch.stop is not None:
            return None
        child = subprocess.Popen(
            [sys.executable, *launch.arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, GIVEN: ",".join(launch.given)},
        )
        known = replace(launch, keeper=identity(os.getpid()), trainer=identity(child.pid))
        write_launch(folder, known)
        return child


def watch(child: subprocess.Popen[bytes], folder: Path) -> int:
    """Wait for the end; kill what does not stop within its patience."""
    while True:
        try:
            return child.wait(LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            launch = read_launch(folder)
            if launch is not None and out_of_patience(launch):
                os.killpg(child.pid, signal.SIGKILL)


def out_of_patience(launch: Launch) -> bool:
    """Whether it was asked to stop too long ago."""
    return launch.stop is not None and time.time() > launch.stop + launch.patience


def end(folder: Path, code: int | None) -> int:
    """Note how it ended, and let the next begin."""
    with held(folder.parent):
        launch = read_launch(folder)
        if launch is not None:
            write_launch(folder, replace(launch, ended=time.time(), code=code))
        start_waiting(folder.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

"""A run's side of a tracker's process: lines go into a pipe, and the run never waits for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ppap.places import ROOT
from trainers.tracking.about import FOLDER, REPORT, About
from trainers.tracking.asked import Asked
from trainers.tracking.writer import END, FAILED

# Bytes that wait for a process which does not take them; then it is given up.
MOST_WAITING = 64 * 2**20
# Seconds that the end of a run waits for a tracker that writes here, or sends.
PATIENCE, PATIENCE_ONLINE = 60.0, 120.0
SOON = 0.02


class TrackerError(RuntimeError):
    """A tracker that takes nothing more; the message says why."""


class Aside:
    """Tells a tracker in a process of its own.

    The process has a session of its own, too: signals to the run do not reach it, and where the run
    is killed, it sees the end of the pipe and keeps what it has been told.
    """

    def __init__(self, about: About, asked: Asked) -> None:
        folder = about.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self.patience = PATIENCE_ONLINE if asked.place else PATIENCE
        self.log = folder / f"{asked.name}.log"
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "trainers.tracking.writer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.into, self.back = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.into, False)
        os.set_blocking(self.back, False)
        self.waiting: deque[bytes] = deque()
        self.size = 0
        self._put(about.first_line(asked))

    def write(self, kind: str, step: int, numbers: Mapping[str, Any]) -> None:
        """Tell of a line; TrackerError where nobody listens any more."""
        self._put(json.dumps({"kind": kind, "step": step, **numbers}))

    def report(self, step: int, scores: Mapping[str, float]) -> None:
        """Tell of the scores at the end."""
        self._put(json.dumps({"step": step, REPORT: scores}))

    def close(self, *, failed: bool) -> None:
        """Wait until all is told and written, but not for ever.

        Raises:
            TrackerError: it failed, or takes longer; then it goes on by itself.
        """
        try:
            self._put(json.dumps({END: FAILED if failed else "finished"}))
            self._wait(time.monotonic() + self.patience)
        finally:
            self._let_go()

    def _wait(self, until: float) -> None:
        while self.waiting and time.monotonic() < until:
            time.sleep(SOON)
            self._push()
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()
        try:
            code = self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TrackerError(
                f"it needs more than {self.patience:g} s to finish, and continues on its own"
            ) from None
        if code:
            raise TrackerError(self._reason())

    def _put(self, line: str) -> None:
        data = (line + "\n").encode("utf-8", "backslashreplace")
        self.waiting.append(data)
        self.size += len(data)
        self._push()
        if self.size > MOST_WAITING:
            self.process.kill()
            self._let_go()
            raise TrackerError("it takes numbers more slowly than they arrive")

    def _push(self) -> None:
        """Hand over what the pipe takes now."""
        while self.waiting:
            first = self.waiting[0]
            try:
                done = os.write(self.into, first)
            except BlockingIOError:
                return
            except OSError:
                reason = self._reason()
                self._let_go()
                raise TrackerError(reason) from None
            self.size -= done
            if done == len(first):
                self.waiting.popleft()
            else:
                self.waiting[0] = first[done:]

    def _let_go(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _reason(self) -> str:
        """What the process said before it ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        said = b""
        with suppress(OSError):
            said = os.read(self.back, 65536)
        for line in said.splitlines():
            with suppress(ValueError, KeyError, TypeError):
                return str(json.loads(line)[FAILED])
        return f"its process ended with status {self.process.poll()}"

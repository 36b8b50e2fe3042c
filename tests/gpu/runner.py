"""Checks one after the other, each in its time, none able to end the others."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from tests.conftest import ROOT
from tests.gpu.sheet import Outcome, Row

# A check is not begun in less.
LEAST_SECONDS = 5.0
# The last lines of what a worker that died has printed.
LINES = 6


class Worker:
    """A process for checks, started when it is needed and again after it was ended."""

    def __init__(self, device: str, folder: Path, *, small: bool = False) -> None:
        self.words = [sys.executable, "-m", "tests.gpu.worker", device, str(folder / "work")]
        self.words += ["small"] if small else []
        self.log = folder / "worker.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.lines = Lines()

    def ask(self, name: str, seconds: float) -> dict[str, Any]:
        """Let a check run, at most so long; what the worker answered, or what became of it."""
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        rows: list[dict[str, Any]] = []
        end = time.monotonic() + seconds
        try:
            process.stdin.write(f"{name}\n".encode())
            process.stdin.flush()
        except OSError:
            return self._ended(rows)
        while True:
            line = self.lines.within(process.stdout, end - time.monotonic())
            if line is None:
                self.end()
                return {"state": "late", "said": f"not done after {seconds:.0f} s", "rows": rows}
            if not line:
                return self._ended(rows)
            found: dict[str, Any] = json.loads(line)
            if "row" in found:
                rows.append(found["row"])
                continue
            if found["state"] == "broke":
                self.end()  # its GPU may be of no more use
            return {**found, "rows": rows}

    def _running(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            self.lines = Lines()
            with self.log.open("w") as log:
                self.process = subprocess.Popen(
                    self.words,
                    cwd=ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    # With all that it starts, to be ended together.
                    start_new_session=True,
                )
        return self.process

    def _ended(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """What is known of a worker that ended by itself."""
        assert self.process is not None
        code = self.process.wait()
        last = self.log.read_text(errors="replace").splitlines()[-LINES:]
        self.end()
        said = "\n".join([*last, f"the process ended with {code}"])
        return {"state": "broke", "said": said, "rows": rows}

    def end(self) -> None:
        """End the process and those that it started."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.process = None


class Lines:
    """What a process writes, line by line, for as long as one may wait."""

    def __init__(self) -> None:
        self.rest = b""

    def within(self, stream: IO[bytes], seconds: float) -> bytes | None:
        """A line, empty where there will be no more; None where none came in time."""
        end = time.monotonic() + seconds
        while b"\n" not in self.rest:
            ready, _, _ = select.select([stream], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                return None
            more = os.read(stream.fileno(), 65_536)
            if not more:
                return b""
            self.rest += more
        line, _, self.rest = self.rest.partition(b"\n")
        return line + b"\n"


def outcomes_of(
    checks: Sequence[tuple[str, str, float]],
    worker: Worker,
    *,
    limit: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Outcome]:
    """Run checks in their order.

    Args:
        checks: name, meaning, and the seconds that each may take.
        worker: runs them.
        limit: seconds for all; a check has no more than what is left.
        clock: seconds that pass.
    """
    end = clock() + limit
    try:
        for name, meaning, seconds in checks:
            began = clock()
            left = min(seconds, end - began)
            if left < min(seconds, LEAST_SECONDS):
                yield Outcome(name, meaning, "left out", 0, "no time was left for it")
                continue
            found = worker.ask(name, left)
            rows = tuple(Row(**row) for row in found.get("rows", ()))
            yield Outcome(
                name, meaning, found["state"], clock() - began, found.get("said", ""), rows
            )
    finally:
        worker.end()


def run_all(
    checks: Sequence[tuple[str, str, float]],
    *,
    device: str,
    limit: float,
    small: bool = False,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """All checks on a device; ``told`` of each as soon as it is over."""
    found = []
    with tempfile.TemporaryDirectory(prefix="ppap-gpu-") as folder:
        worker = Worker(device, Path(folder), small=small)
        for outcome in outcomes_of(checks, worker, limit=limit):
            told(outcome)
            found.append(outcome)
    return found


def summary(outcomes: Iterable[Outcome]) -> str:
    """One sentence on all of them."""
    states: dict[str, int] = {}
    for one in outcomes:
        states[one.state] = states.get(one.state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in states.items()) + "."

"""Processes by their number and their beginning: numbers are used again, beginnings are not.

Only the standard library and psutil are imported: what keeps an eye on a run for hours must stay
small.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import psutil

ZOMBIE = "Z"
# What a process's number can be; a file may say anything.
LARGEST_PID = 2**31 - 1


class Identity(NamedTuple):
    """One process, not to be mistaken for another."""

    pid: int
    started: float | None
    """In clock ticks since the machine started, or elsewhere than on Linux in seconds since 1970;
    None where the system does not tell."""
    boot: str = ""
    """Which start of the machine that was; empty where the system does not tell."""

    def alive(self) -> bool:
        """Whether this very process still runs; one that only waits to be buried does not."""
        if not 0 < self.pid <= LARGEST_PID or (self.boot and self.boot != boot()):
            return False
        if self.started is None:
            return exists(self.pid)
        return process_started(self.pid) == self.started and state_of(self.pid) != ZOMBIE

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and those that it started, unless it has ended."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)


@contextlib.contextmanager
def taking_signals(take: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let ``take`` have the signals that ask a run to end, meanwhile.

    Under ``nohup`` a closed terminal means nothing.
    """
    listened = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        listened.append(signal.SIGHUP)
    before = {number: signal.signal(number, take) for number in listened}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def identity(pid: int) -> Identity:
    """The process that has this number now."""
    return Identity(pid, process_started(pid), boot())


def machine() -> str:
    """This machine's name, as it is told to the others that share a disk with it."""
    return socket.gethostname()


def process_started(pid: int) -> float | None:
    """When a process began, as ``Identity`` keeps it; None where that is unknown."""
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error, OSError):
            return float(psutil.Process(pid).create_time())
        return None
    fields = _stat(pid)
    return None if fields is None else float(fields[19])


def state_of(pid: int) -> str | None:
    """One letter, as of ``ps``; None where that is unknown."""
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error, OSError):
            zombie = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
            return ZOMBIE if zombie else "S"
        return None
    fields = _stat(pid)
    return None if fields is None else fields[0]


def _stat(pid: int) -> list[str] | None:
    """What follows the name of the program, which may hold spaces, in ``/proc/PID/stat``."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def exists(pid: int) -> bool:
    """Whether any process has this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # somebody else's
        return True
    return True


def boot() -> str:
    """A text that differs after each start of the machine; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def ending(code: int | None) -> str:
    """An exit status in words."""
    if code is None:
        return "It ended unobserved, so its exit status is not known"
    if code >= 0:
        return f"It ended with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    why = ", perhaps by the system because memory ran out" if name == "SIGKILL" else ""
    return f"It was killed ({name}){why}"
